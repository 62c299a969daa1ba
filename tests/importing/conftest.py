"""One thread: small networks gain nothing by more, and two runs side by side lose much."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):
    import torch

    torch.set_num_threads(1)
