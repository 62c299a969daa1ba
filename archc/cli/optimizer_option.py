"""`--optimizer NAME`, of the catalogue, which is read where a name is given or listed: most runs have none."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


class Names:
    """The names of the optimizers."""

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        from archc.catalog.optimizers import OPTIMIZERS

        return iter(OPTIMIZERS)


def optimizer_option(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument("--optimizer", choices=Names(), metavar="NAME", help=f"{purpose}: %(choices)s")
