"""Plans of checkpointing that make a training step fit: what runs again, at the least extra work, judged by simulation."""

from archc.analysis.recompute.planner.macs import Recomputed, Reruns, extra_macs, step_macs
from archc.analysis.recompute.planner.planning import Planned, PlanRow, plan

__all__ = ["PlanRow", "Planned", "Recomputed", "Reruns", "extra_macs", "plan", "step_macs"]
