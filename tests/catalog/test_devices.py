"""The catalogue of devices, and device files: their figures, names, mistakes and round trip."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.catalog.devices.catalogue import find, load_file, parse_devices, shipped
from archc.catalog.devices.device import CLASSES, Calibration, Device, DeviceError, Rates, Trial
from archc.catalog.devices.reading import to_yaml
from archc.catalog.dtypes import ARITHMETIC
from archc.cli.main import main
from archc.text.diagnostics import SpecError
from archc.text.quantity import BANDWIDTH, BYTES, FLOPS, Units, rate_text, read_amount, time_text
from archc.text.source import Source


def read(text: str) -> dict[str, Device]:
    return parse_devices(Source("mine.yaml", text))


def test_every_device_has_a_source_and_plausible_figures() -> None:
    for device in shipped().values():
        assert device.source and device.name, device.key
        assert device.memory is not None and 2**33 <= device.memory <= 2**38
        assert 5e10 <= device.bandwidth <= 1e13 and device.bandwidth == int(device.bandwidth)
        assert set(device.flops) <= set(ARITHMETIC)
        assert (device.year is None) == (device.key == "cpu")


def test_peaks_grow_as_the_formats_shrink() -> None:
    """No dense unit is slower in the narrower of two formats."""
    for device in shipped().values():
        peaks = [device.flops[name] for name in ("float64", "float32", "tf32", "float16") if name in device.flops]
        assert peaks == sorted(peaks), device.key
        if "float16" in device.flops and "bfloat16" in device.flops:
            assert device.flops["float16"] == device.flops["bfloat16"]


# NVIDIA's counts of multiply-adds a cycle and multiprocessor, by the white papers: figures that the data sheets do not repeat.
@pytest.mark.parametrize(
    ("key", "dtype", "units", "a_cycle", "clock"),
    [
        ("v100-16gb", "float16", 80, 512, 1.530e9),
        ("t4", "float16", 40, 512, 1.590e9),
        ("a100-40gb", "bfloat16", 108, 1024, 1.410e9),
        ("a100-40gb", "tf32", 108, 512, 1.410e9),
        ("a100-40gb", "float32", 108, 64, 1.410e9),
        ("h100-sxm", "bfloat16", 132, 2048, 1.830e9),
        ("rtx-3060", "float32", 28, 128, 1.777e9),
        ("rtx-3080", "bfloat16", 68, 256, 1.710e9),
        ("rtx-3090", "bfloat16", 82, 256, 1.695e9),
        ("rtx-4070", "float32", 46, 128, 2.475e9),
        ("rtx-4080", "bfloat16", 76, 256, 2.505e9),
        ("rtx-4090", "bfloat16", 128, 256, 2.520e9),
        ("rtx-5090", "bfloat16", 170, 256, 2.407e9),
        ("l4", "float32", 58, 128, 2.040e9),
        ("l40s", "float32", 142, 128, 2.520e9),
        ("a10", "float32", 72, 128, 1.695e9),
        ("mi300x", "float16", 304, 1024, 2.100e9),
        ("mi250x", "float16", 220, 512, 1.700e9),
    ],
)
def test_peaks_are_units_times_clock(key: str, dtype: str, units: int, a_cycle: int, clock: float) -> None:
    assert shipped()[key].flops[dtype] == pytest.approx(2 * units * a_cycle * clock, rel=0.012)


@pytest.mark.parametrize(
    ("key", "bits", "gigatransfers"),
    [("t4", 256, 10), ("a10", 384, 12.5), ("l4", 192, 12.5), ("l40s", 384, 18), ("rtx-3060", 192, 15), ("rtx-3080", 320, 19),
     ("rtx-3090", 384, 19.5), ("rtx-4070", 192, 21), ("rtx-4080", 256, 22.4), ("rtx-4090", 384, 21), ("rtx-5090", 512, 28),
     ("a100-40gb", 5120, 2.43), ("v100-16gb", 4096, 1.757), ("mi250x", 8192, 3.2), ("mi300x", 8192, 5.2), ("m1", 128, 4.266),
     ("jetson-agx-orin", 256, 6.4), ("cpu", 128, 3.2)],
)  # fmt: skip
def test_bandwidths_are_width_times_rate(key: str, bits: int, gigatransfers: float) -> None:
    assert shipped()[key].bandwidth == pytest.approx(bits / 8 * gigatransfers * 1e9, rel=0.005)


def test_names() -> None:
    names = [one for device in shipped().values() for one in (device.key, *device.aliases)]
    assert len(names) == len(set(names))
    assert all(find(device.key) is device and find(device.name) is device for device in shipped().values())
    assert find("A100").key == find("a100 40GB").key == find("A100_40gb").key == "a100-40gb"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("rtx-409", '"rtx-4090"'),
        ("h10o-sxm", "h100"),
        ("a100-8", '"a100-80gb"'),
        ("nothing like it", "`archc devices` lists them"),
        ("\x1b[31m", "x1b"),
    ],
)
def test_a_wrong_name_has_the_nearest(wrong: str, told: str) -> None:
    with pytest.raises(DeviceError) as caught:
        find(wrong)
    assert told in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("devices:\n  a100: {bandwidth: 1 TB/s, flops: {float32: 2.5e12}}\n")
    assert find(str(path)).flops == {"float32": 2.5e12}
    assert find("a100", load_file(path)).bandwidth == 1e12 != find("a100").bandwidth
    path.write_text("devices:\n  one: {bandwidth: 1}\n  two: {bandwidth: 2}\n")
    with pytest.raises(DeviceError, match=r"2 devices \(one, two\)"):
        find(str(path))
    with pytest.raises(SpecError, match="no such file"):
        find(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("text", "code", "place", "told"),
    [
        ("layers: []\n", "A201", "1:1", 'no key "layers"'),
        ("[]\n", "A202", "1:1", "not a mapping"),
        ("devices: {Big: {bandwidth: 1 GB/s}}\n", "A306", "1:11", "lower-case"),
        ("devices:\n  a: {flops: {float32: 1}}\n", "A204", "2:6", "needs `bandwidth`"),
        ("devices:\n  a: {bandwith: 1}\n", "A201", "2:7", 'did you mean "bandwidth"?'),
        ("devices:\n  a: {bandwidth: fast}\n", "A402", "2:18", '"1555 GB/s"'),
        ("devices:\n  a: {bandwidth: 900 GiB}\n", "A402", "2:18", "not a quantity"),
        ("devices:\n  a: {bandwidth: -3}\n", "A404", "2:18", "out of range"),
        ("devices:\n  a: {bandwidth: 0 GB/s}\n", "A404", "2:18", "out of range"),
        ("devices:\n  a: {bandwidth: 1e300}\n", "A404", "2:18", "out of range"),
        ("devices:\n  a: {bandwidth: .inf}\n", "A107", "2:18", "not finite"),
        ("devices:\n  a: {bandwidth: [1]}\n", "A402", "2:18", "a number"),
        ("devices:\n  a: {bandwidth: true}\n", "A402", "2:18", "a number"),
        ("devices:\n  a: {bandwidth: 1, flops: {flot32: 1}}\n", "A201", "2:29", "float32"),
        ("devices:\n  a: {bandwidth: 1, year: soon}\n", "A404", "2:27", "from 1940 to 2100"),
        ("devices:\n  a: {bandwidth: 1, name: 7}\n", "A402", "2:27", "a text"),
        ("devices:\n  a: {bandwidth: 1, aliases: b}\n", "A202", "2:30", "not a list"),
        ("devices:\n  a: {bandwidth: 1, calibration: {dtype: int3, forward: {}}}\n", "A404", "2:42", "no dtype"),
        ("devices:\n  a: {bandwidth: 1, calibration: {dtype: float32, forward: {conv: {overhead: 1}}}}\n", "A201", "2:61", "convolution"),
        ("devices:\n  a: {bandwidth: 1, calibration: {dtype: float32, forward: {pooling: {overhead: -1}}}}\n", "A404", "2:81", "range"),
        ("devices: {a: {bandwidth: 1}, a: {bandwidth: 2}}\n", "A102", "1:30", "is given twice"),
        ("devices: {a: !!python/object:os.system {}}\n", "A105", "1:14", "a tag"),
    ],
)  # fmt: skip
def test_mistakes_are_drawn_at_their_place(
    text: str, code: str, place: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert main(["devices", "--devices", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"error[{code}]" in error and f"mine.yaml:{place}\n" in error and told in error, error


@given(st.text(max_size=200) | st.from_regex(r"devices:\n  [a-z]: \{bandwidth: [^\n]*\}\n", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except SpecError as error:
        assert error.diagnostics
    else:
        assert all(device.bandwidth > 0 for device in found.values())


positive = st.floats(1e-6, 1e6).map(lambda value: float(f"{value:.4g}"))
rates = st.builds(Rates, st.just(0.0) | positive, st.none() | positive, st.none() | positive, st.none() | positive)
classes = st.dictionaries(st.sampled_from(CLASSES), rates, max_size=4)
trials = st.lists(
    st.builds(Trial, st.text(max_size=20).filter(str.isprintable), st.integers(1, 99), st.booleans(), positive, positive), max_size=3
)
calibrations = st.builds(
    Calibration, st.sampled_from(list(ARITHMETIC)), st.none() | st.integers(1, 64), classes, classes, trials.map(tuple)
)


peaks = st.dictionaries(st.sampled_from(list(ARITHMETIC)), positive)
devices = st.builds(
    Device,
    key=st.just("a-b.1"),
    name=st.text(),
    bandwidth=positive,
    flops=peaks,
    memory=st.none() | st.integers(1, 2**45),
    year=st.none() | st.integers(1950, 2050),
    source=st.text(),
    note=st.text(),
    aliases=st.lists(st.text(), max_size=2).map(tuple),
    calibration=st.none() | calibrations,
)


@given(devices)
def test_what_is_written_is_read_as_it_was(device: Device) -> None:
    back = read(to_yaml(device))[device.key]
    assert back == device
    if device.calibration is not None:
        assert back.calibration is not None and back.calibration.trials == device.calibration.trials
        assert (back.calibration.dtype, back.calibration.threads) == (device.calibration.dtype, device.calibration.threads)
        assert (back.calibration.forward, back.calibration.backward) == (device.calibration.forward, device.calibration.backward)


@pytest.mark.parametrize(
    ("text", "units", "value"),
    [
        ("40 GiB", BYTES, 40 * 2**30),
        ("1555 GB/s", BANDWIDTH, 1.555e12),
        ("19.5TFLOP/s", FLOPS, 19.5e12),
        ("5 parsec", BYTES, None),
        ("1 GB", FLOPS, None),
    ],
)
def test_quantities(text: str, units: Units, value: float | None) -> None:
    assert read_amount(text, units) == value


def test_numbers_as_text() -> None:
    assert [rate_text(value, "B") for value in (1.556e12, 900e9, 12)] == ["1.56 TB/s", "900 GB/s", "12.0 B/s"]
    assert [time_text(value) for value in (0, 3e-9, 1.5e-5, 0.9996, 61.04)] == ["0", "3.00 ns", "15.0 µs", "1.00 s", "61.0 s"]
    assert time_text(0.9994) == "999 ms"


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and sum(line.startswith(tuple(shipped())) for line in lines) >= len(shipped())
    assert main(["devices", "h200"]) == 0
    assert "NVIDIA H200 SXM" in capsys.readouterr().out
    for form in ("json", "csv", "markdown"):
        assert main(["devices", "--format", form]) == 0
        assert "rtx-4090" in capsys.readouterr().out.replace("\\", "")
