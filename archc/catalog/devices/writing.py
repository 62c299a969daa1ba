"""A device as the text of a `devices:` file."""

from __future__ import annotations

from collections.abc import Iterator

from archc.catalog.devices.device import Calibration, Device, Rates


def to_yaml(device: Device) -> str:
    """A file with one device, that `read_devices` reads as it was."""
    lines = ["devices:", f"  {device.key}:", f"    name: {_quote(device.name)}"]
    lines += [
        f"    {key}: {value}"
        for key, value in (("year", device.year), ("memory", device.memory), ("visible", device.visible))
        if value is not None
    ]
    lines += ["    cuda: true"] if device.cuda else []
    lines.append(f"    bandwidth: {_number(device.bandwidth)}")
    if device.flops:
        lines.append(f"    flops: {{{', '.join(f'{dtype}: {_number(peak)}' for dtype, peak in device.flops.items())}}}")
    lines += [f"    {key}: {_quote(text)}" for key, text in (("source", device.source), ("note", device.note)) if text]
    if device.aliases:
        lines.append(f"    aliases: [{', '.join(map(_quote, device.aliases))}]")
    if device.calibration is not None:
        lines += ["    calibration:", *(f"      {line}" for line in _calibration(device.calibration))]
    return "\n".join([*lines, ""])


def _calibration(known: Calibration) -> Iterator[str]:
    yield f"dtype: {known.dtype}"
    if known.threads is not None:
        yield f"threads: {known.threads}"
    for way, classes in (("forward", known.forward), ("backward", known.backward)):
        if classes:
            yield f"{way}:"
            yield from (f"  {name}: {{{_rates(rates)}}}" for name, rates in classes.items())
    if known.trials:
        yield "trials:"
    for trial in known.trials:
        seconds = f"measured: {_number(trial.measured)}, forecast: {_number(trial.forecast)}"
        yield f"  - {{network: {_quote(trial.network)}, batch: {trial.batch}, training: {str(trial.training).lower()}, {seconds}}}"


def _rates(rates: Rates) -> str:
    parts = {"overhead": rates.overhead, "compute": rates.compute, "memory": rates.memory, "weights": rates.weights}
    return ", ".join(f"{name}: {_number(value)}" for name, value in parts.items() if value is not None)


def _number(value: float) -> str:
    """Four significant digits: a measurement has no more."""
    return f"{value:.4g}"


def _quote(text: str) -> str:
    """A text in double quotes, whatever it holds."""
    plain = [c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text]
    return '"' + "".join(plain) + '"'
