"""A folder of files is there whole or not at all, and what was there before stays until then."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.text.atomic import write_folder


def tree(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in sorted(folder.rglob("*")) if one.is_file()}


def test_a_folder_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    write_folder(tmp_path / "step", {"a": "1", "b": b"2"})
    write_folder(tmp_path / "step", {"a": "3", "names": lambda path: path.write_text(",".join(one.name for one in path.parent.iterdir()))})
    assert tree(tmp_path) == {"step/a": "3", "step/names": tree(tmp_path)["step/names"]}
    assert set(tree(tmp_path)["step/names"].split(",")) == {"a", "names"}


def test_a_folder_that_fails_leaves_the_older_one(tmp_path: Path) -> None:
    write_folder(tmp_path / "step", {"a": "1"})

    def broken(path: Path) -> None:
        path.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_folder(tmp_path / "step", {"a": "2", "b": broken})
    assert tree(tmp_path) == {"step/a": "1"}
