"""Activation checkpointing as data: which layers run again in backward, so that what they keep until then is not kept."""

from archc.checkpointing.candidates import READY, blocks, norm_act_conv
from archc.checkpointing.mistakes import mistakes, spans
from archc.checkpointing.places import Mistake
from archc.checkpointing.reading import plan_of, read_plan
from archc.checkpointing.regions import CheckpointPlan, Region

__all__ = [
    "READY",
    "CheckpointPlan",
    "Mistake",
    "Region",
    "blocks",
    "mistakes",
    "norm_act_conv",
    "plan_of",
    "read_plan",
    "spans",
]
