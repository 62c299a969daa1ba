"""Where images and labels come from: sets on disk or in the installation, as arrays of a network's input shape. Knows no torch.

Needs numpy and pillow, and what a source asks for: scikit-learn (digits), webdataset (shards).
"""

from archc.data.dataset import Corrupt, DataError, DataSet, Normalization, Split
from archc.data.opening import check_classes, open_data
from archc.data.pixels import read_image

__all__ = ["Corrupt", "DataError", "DataSet", "Normalization", "Split", "check_classes", "open_data", "read_image"]
