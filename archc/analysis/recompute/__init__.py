"""Activation checkpointing as data: which layers run again in backward, so that what they keep until then is not kept."""

from archc.analysis.recompute.candidates import READY, blocks, norm_act_conv
from archc.analysis.recompute.mistakes import mistakes, spans
from archc.analysis.recompute.plan import CheckpointPlan, PlanMistake, Region
from archc.analysis.recompute.reading import plan_of, read_plan

__all__ = [
    "READY",
    "CheckpointPlan",
    "PlanMistake",
    "Region",
    "blocks",
    "mistakes",
    "norm_act_conv",
    "plan_of",
    "read_plan",
    "spans",
]
