"""Memory, what fits, plans, time, lint, devices and budgets work where neither torch nor the compiled core of pydantic is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

SCRIPT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "ignite", "pydantic_core"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from archc.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
SPEC = """\
budget: {parameters: "<= 200", train_memory: "<= 1MiB @ batch 8, optimizer adam"}
input: [3, 16, 16]
layers: [{conv: {channels: 4, kernel: 3, bias: false}}, batchnorm, relu, global_avgpool, flatten, {linear: 10}]
"""
DEVICE = "devices: {mine: {memory: 1 GiB, bandwidth: 100 GB/s, flops: {float32: 1 TFLOP/s}}}\n"


def ran(*words: str, code: int = 0) -> str:
    wide = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], cwd=ROOT, capture_output=True, text=True, env=wide)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


COMMANDS = [
    ("memory resnet50 --batch 256 --optimizer adam --amp bf16 --device a100-40gb", "training with adam (foreach)"),
    ("memory resnet18 --batch 8 --checkpoint norms", "recomputed in backward"),
    ("memory resnet18 --inference --format csv", "phase,layer,kind,bytes"),
    ("fit resnet18 --memory 4GiB --optimizer momentum", "the largest batch for 4.00 GiB is"),
    ("fit resnet18 --batch 256 --memory 4GiB", "with checkpointing, a batch of 256 fits"),
    ("time resnet18 --device a100-40gb --batch 64 --dtype bf16 --training", "least time"),
    ("lint vgg16_bn --batch 64", "4,224 parameters"),
    ("devices", "a100-40gb"),
    ("devices h100-sxm", "reached from"),
]


@pytest.mark.parametrize(("words", "told"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_a_command(words: str, told: str) -> None:
    assert told in ran(*words.split())


def test_a_budget(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(SPEC)
    assert "1 spec: 1 good" in ran("check", str(spec))
    spec.write_text(SPEC.replace("<= 1MiB", "<= 1KiB"))
    assert "A802" in ran("check", str(spec), code=1)


def test_a_plan_and_a_device_of_ones_own(tmp_path: Path) -> None:
    plan, device = tmp_path / "plan.yaml", tmp_path / "mine.yaml"
    device.write_text(DEVICE)
    assert "wrote" in ran("fit", "resnet18", "--batch", "64", "--memory", "900MiB", "-o", str(plan))
    assert "recomputed in backward" in ran("memory", "resnet18", "--batch", "64", "--checkpoint", str(plan))
    assert "least time" in ran("time", "resnet18", "--device", str(device), "--batch", "4", "--dtype", "float32")


def test_what_needs_torch_says_so() -> None:
    assert "torch" in ran("calibrate", "-o", "here.yaml", code=2)
