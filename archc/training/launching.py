"""One command in several processes of this machine, as torchrun starts them."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def launch(words: Sequence[str], processes: int) -> int:
    """`archc WORDS` in so many processes; the exit status of the one that failed, or 0."""
    for name in ("torch.distributed.elastic", "torch.distributed.elastic.agent.server.api", "torch.distributed.launcher"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what went wrong was told by the process itself
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, rdzv_backend="c10d", rdzv_endpoint="localhost:0", run_id="archc", max_restarts=0
    )
    try:
        elastic_launch(config, sys.executable)("-m", "archc", *words)
    except ChildFailedError as error:
        return min((failure.exitcode for failure in error.failures.values() if failure.exitcode > 0), default=1)
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        return 128 + error.sigval
    return 0
