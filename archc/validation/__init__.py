"""Data that comes from outside, described by dataclasses and checked against them: device files, plans, the files of a run."""
