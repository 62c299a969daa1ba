"""Augmentation of whole batches on the device they lie on, with draws for each image: kinds of change, and mixtures of images."""

from archc.training.augment.augmentation import Augmentation
from archc.training.augment.mixing import mix

__all__ = ["Augmentation", "mix"]
