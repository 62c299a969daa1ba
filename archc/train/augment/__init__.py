"""Augmentation of whole batches on the device they lie on, with draws for each image: kinds of change, and mixtures of images."""

from archc.train.augment.augmentation import Augmentation
from archc.train.augment.mixing import mix

__all__ = ["Augmentation", "mix"]
