"""A module that was built at one size runs at the others that its spec allows, and gives what the analysis says of them."""

from __future__ import annotations

import pytest

import archc

torch = pytest.importorskip("torch")

SPECS = {
    "skips": ("[3, 20, 24]", "a: {conv: {channels: 4, kernel: 3}}, c: {from: [input, a], center_crop: }, "
              "d: {from: [a, c], concat: }"),
    "pyramid": ("[3, 20, 24]", "a: {conv: {channels: 4, kernel: 3, stride: 2, padding: 1}}, "
                "up: {from: [a, input], upsample: {mode: linear}}, sum: {from: [up, input], concat: }, cut: {crop: [1, 0, 2, 1]}"),
    "tokens": ("[3, 20, 24]", "a: {conv: {channels: 4, kernel: 4, stride: 4}}, t: tokens, n: layernorm, l: {linear: 6}, "
               "turned: {transpose: [0, 1]}, flat: {reshape: [6, -1]}, m: {mean: {axis: 1}}"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("size", [(20, 24), (32, 16), (27, 41)])
def test_small_networks(name: str, size: tuple[int, int]) -> None:
    shape, layers = SPECS[name]
    text = f"archc: 1\nname: {name}\ninput: {shape}\nlayers: {{{layers}}}"
    module = archc.build(archc.loads(text), device="meta").eval()
    out = module(torch.zeros(2, 3, *size, device="meta"))
    expected = archc.analyze(archc.loads(text, input=(3, *size)))
    assert tuple(out.shape[1:]) == tuple(expected.layers[-1].node.output.shape)


@pytest.mark.parametrize(("spec", "size"), [("unet", (700, 668)), ("unet", (572, 700))])
def test_networks_that_ship(spec: str, size: tuple[int, int]) -> None:
    channels = next(iter(archc.load(spec).inputs.values())).shape[0]
    out = archc.build(spec, device="meta")(torch.zeros(2, channels, *size, device="meta"))
    assert tuple(out.shape[1:]) == tuple(archc.analyze(spec, input=(channels, *size)).layers[-1].node.output.shape)
