"""What a memory is read as, what a device has for tensors, and that all who ask get one answer."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archc
from archc.analysis.memory.fit import Fitting
from archc.analysis.memory.timeline import Options
from archc.catalog.devices.capacity import CONTEXT, WORKSPACES, of_device, of_size
from archc.catalog.devices.catalogue import find, parse_devices, shipped
from archc.catalog.devices.reading import to_yaml
from archc.cli.main import main
from archc.html.data import TrainingChoice, record
from archc.text.quantity import read_size, reading
from archc.text.source import Source

READINGS = [
    ("24", 24 * 2**30), ("24GiB", 24 * 2**30), ("24 gib", 24 * 2**30), ("24GB", 24 * 10**9), ("24G", 24 * 10**9), ("24g", 24 * 10**9),
    ("1.5GiB", 3 * 2**29), ("512MiB", 2**29), ("512M", 512 * 10**6), ("40_000 MB", 40 * 10**9), ("1,024KiB", 2**20), ("7 B", 7),
    ("1TB", 10**12),
]  # fmt: skip


@pytest.mark.parametrize(("text", "size"), READINGS)
def test_one_reading(text: str, size: int) -> None:
    assert read_size(text) == size and reading(text) == f"{text} is {size:,} bytes"


def test_python_reads_sizes_as_the_command_line_does() -> None:
    plans = [archc.checkpoint("resnet18", memory=memory, batch=64).plan for memory in (2**30, "1GiB", "1gib", "1_048_576 KiB")]
    assert all(plan == plans[0] for plan in plans) and plans[0].regions
    with pytest.raises(ValueError, match="much"):
        archc.checkpoint("resnet18", memory="much", batch=64)


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "0", "24Gb/s", "24XB", "1e3", "GiB", "24 Gi B", "9999999999TiB", "nan", "1GiBB"])
def test_what_is_no_size(text: str) -> None:
    assert read_size(text) is None


@given(st.integers(1, 10**6), st.sampled_from(["K", "M", "G"]), st.booleans(), st.booleans())
def test_units_are_powers(number: int, letter: str, binary: bool, lower: bool) -> None:
    unit = f"{letter}{'i' if binary else ''}B"
    wanted = number * (1024 if binary else 1000) ** ("KMG".index(letter) + 1)
    assert read_size(f"{number}{unit.lower() if lower else unit}") == wanted


def test_a_device_is_less_than_its_data_sheet() -> None:
    for device in shipped().values():
        if device.memory is None:
            continue
        found = of_device(device)
        assert found.total == device.memory and found.usable == device.memory - sum(one.bytes for one in found.reserves)
        assert all(one.bytes > 0 and one.source and one.how in ("seen", "assumed") for one in found.reserves), device.key
        assert bool(found.reserves) == device.cuda
        assert device.visible is None or found.usable == device.visible - CONTEXT - WORKSPACES
        assert of_device(device, 0).usable == device.memory and of_device(device, 2**30).usable == device.memory - 2**30


def test_a_size_is_all_there_unless_told() -> None:
    assert of_size("24GB").usable == 24 * 10**9 and of_size("24GB", 10**9).usable == 23 * 10**9


def test_devices_of_ones_own() -> None:
    text = "devices: {mine: {memory: 10 GiB, visible: 9 GiB, cuda: true, bandwidth: 1 GB/s}, plain: {memory: 8 GiB, bandwidth: 1 GB/s}}\n"
    mine, plain = parse_devices(Source("mine.yaml", text)).values()
    assert of_device(mine).usable == 9 * 2**30 - CONTEXT - WORKSPACES and of_device(plain).usable == 8 * 2**30
    assert parse_devices(Source("again.yaml", to_yaml(mine)))["mine"] == mine
    with pytest.raises(archc.SpecError, match="cannot see more memory than there is"):
        parse_devices(Source("wrong.yaml", text.replace("visible: 9 GiB", "visible: 11 GiB")))


@pytest.mark.parametrize("words", ["--device t4", "--device a100-40gb --optimizer adam --amp bf16", "--memory 6GB --reserve 1GiB"])
def test_one_answer(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The largest batch of `fit` fits by `memory`, eight more do not; both name the same capacity."""
    assert main(["fit", "resnet18", "--no-plan", "--format", "json", *words.split()]) == 0
    fit = json.loads(capsys.readouterr().out)
    largest = fit["alternatives"][0]["largest_batch"]
    told = []
    for batch in (largest, largest + 8):
        assert main(["memory", "resnet18", "--batch", str(batch), "--format", "json", *words.split()]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert [one["fits"] for one in told] == [True, False]
    assert told[0]["capacity"] == fit["capacity"] and fit["memory"] == fit["capacity"]["usable"]


def test_the_report_says_what_fit_says() -> None:
    graph, device = archc.load("resnet18"), find("t4")
    page = record([graph], device, TrainingChoice(32, "autocast", "adam"))
    options = Options(1, optimizer="adam", device="cuda", amp="bfloat16")
    assert page["networks"][0]["largest"] == Fitting(graph).largest(options, of_device(device).usable)
    assert next(one for one in page["devices"] if one["key"] == "t4")["memory"] == of_device(device).usable


def test_the_output_says_what_was_taken_off(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("memory", "fit"):
        assert main([command, "lenet5", "--device", "a100-40gb"]) == 0
        out = capsys.readouterr().out
        assert re.search(r"a100-40gb: 40\.0 GiB, less 625 MiB driver \(seen\), less 512 MiB", " ".join(out.split()))
        assert max(map(len, out.splitlines())) <= 80
