"""Networks that ship learn the digits."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ignite")
import archc


def test_lenet5_by_its_recipe(tmp_path: Path) -> None:
    """A third of its epochs. The whole recipe ends over 99 %."""
    outcome = archc.train("lenet5", folder=tmp_path / "run", device="cpu", epochs=10)
    assert outcome.metrics["test_accuracy"] > 0.97


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "params", "epochs"),
    [("resnet20_cifar", {}, 5), ("mobilenet_v2", {"classes": 10, "width": 0.35}, 24)],
)
def test_deep_networks(tmp_path: Path, name: str, params: dict[str, object], epochs: int) -> None:
    """At 32x32, of digits of 8x8: batch normalization, shortcuts, depthwise convolutions. MobileNetV2 has one pixel left at its end."""
    net = archc.load(name, input=[3, 32, 32], **params)
    changes = {
        "epochs": epochs,
        "batch": 64,
        "optimizer": {"adamw": {"lr": 0.003}},
        "schedule": "one_cycle",
        "warmup": 0.0,
        "data": "digits",
    }
    outcome = archc.train(net, folder=tmp_path / "run", device="cpu", augment=[], ema=None, **changes)
    assert outcome.metrics["test_accuracy"] > 0.9
