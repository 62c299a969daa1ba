"""The typed graph, which is all that stages after elaboration see: its classes, its structure, copies of it, and it as a spec."""

from archc.graph.graph import Graph, Node, PassedOn, Promise, Scope, Value, Written

__all__ = ["Graph", "Node", "PassedOn", "Promise", "Scope", "Value", "Written"]
