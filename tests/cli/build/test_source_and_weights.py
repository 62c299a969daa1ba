"""`archc build` writes source and weights that PyTorch reads without archc."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import archc
from tests.cli.build.common import NAMES, NET, Refused, Run, equal, files, made
from tests.helpers.onnx_operators import operators_read_once  # noqa: F401


def test_source_to_standard_output_and_to_a_file(run: Run) -> None:
    status, out, err = run("tiny.yaml")
    assert (status, out, err) == (0, archc.source("tiny.yaml"), "")
    assert run("tiny.yaml", "-o", "net.py") == (0, "wrote net.py\n", "")
    assert Path("net.py").read_text() == out and "self.fc = nn.Linear(6, 4)" in out
    assert "self.fc = nn.Linear(6, 7)" in run("tiny.yaml", "--set", "classes=7")[1]
    assert "[6, 16, 16]" in run("tiny.yaml", "--input", "3x16x16")[1]


def test_a_spec_that_ships(run: Run) -> None:
    assert run("resnet18")[1] == archc.source("resnet18")


def test_deployed_source_has_no_heads(run: Run) -> None:
    assert "self.aux" in run("heads.yaml")[1] and "aux" not in run("heads.yaml", "--deployed")[1]


def test_explained_passes_are_told_beside_the_source(run: Run) -> None:
    plain = run("tiny.yaml", "--optimize", "inference")
    status, out, err = run("tiny.yaml", "--optimize", "inference", "--explain-passes")
    assert (status, out) == (0, plain[1]) and plain[2] == "" and "BatchNorm" not in out
    assert "dropped 1 layer" in err and "folded 1 batch normalization" in err and "in place: 1 relu" in err
    assert run("tiny.yaml", "--optimize", "train", "--explain-passes")[2].strip()


def test_several_files_hold_one_network(run: Run, torch: Any) -> None:
    pytest.importorskip("safetensors")
    status, out, err = run("tiny.yaml", "-o", "net.py", "-o", "net.safetensors", "-o", "net.pth", "-o", "net.pt")
    sizes = [line.split("  ")[0] for line in out.splitlines()]
    assert (status, err, sizes) == (0, "", ["wrote net.safetensors", "wrote net.pth", "wrote net.pt", "wrote net.py"])
    states = [made("net.py", f"net.{suffix}").state_dict() for suffix in ("safetensors", "pth", "pt")]
    assert list(states[0]) == NAMES and equal(states[0], states[1]) and equal(states[0], states[2])


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_round_trip(run: Run, torch: Any, suffix: str) -> None:
    pytest.importorskip("safetensors")
    run("tiny.yaml", "-o", "net.py", "-o", f"one.{suffix}")
    status, out, _ = run("tiny.yaml", "--weights", f"one.{suffix}", "-o", "two.safetensors", "-o", "two.pth")
    assert status == 0 and out.startswith(f"loaded all 8 tensors from one.{suffix}\n")
    one = made("net.py", f"one.{suffix}")
    assert all(equal(one.state_dict(), made("net.py", name).state_dict()) for name in ("two.safetensors", "two.pth"))
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert archc.build("tiny.yaml", weights=f"one.{suffix}").eval()(x).equal(one(x))


def test_weights_alone_are_tried(run: Run, torch: Any) -> None:
    run("tiny.yaml", "-o", "net.pth")
    before = files()
    assert run("tiny.yaml", "--weights", "net.pth") == (0, "loaded all 8 tensors from net.pth\n", "")
    assert files() == before


def test_rename(run: Run, refused: Refused, torch: Any) -> None:
    run("tiny.yaml", "-o", "net.py", "-o", "net.pth")
    state = torch.load("net.pth")
    torch.save({f"backbone.{name}".replace("fc", "head"): one for name, one in state.items()}, "old.pth")
    rules = ["--rename", r"s/^backbone\.//", "--rename", r"s/^head\./fc./"]
    told = refused("tiny.yaml", "--weights", "old.pth", "-o", "new.pth")
    assert all(f"--rename '{rule}'" in told for rule in rules[1::2]) and "would make all 8 tensors fit" in told
    assert run("tiny.yaml", "--weights", "old.pth", *rules, "-o", "new.pth")[0] == 0
    assert equal(made("net.py", "new.pth").state_dict(), state)


def test_partial_with_another_head(run: Run, refused: Refused, torch: Any) -> None:
    run("tiny.yaml", "-o", "net.pth")
    told = refused("tiny.yaml", "--set", "classes=5", "--weights", "net.pth", "-o", "start.pth")
    assert told == (
        "archc: net.pth does not fit the network: 6 tensors fit, of 8 in the file and 8\n"
        "  in the network\n"
        "different: 2\n"
        "  fc.weight  4x6 in the file, 5x6 in the network\n"
        "  fc.bias    4 in the file, 5 in the network\n"
        "--partial would load the 6 that fit, and leave the rest\n"
    )
    status, out, _ = run("tiny.yaml", "--set", "classes=5", "--weights", "net.pth", "--partial", "-o", "start.pth")
    assert status == 0 and out.startswith("loaded 6 of 8 tensors from net.pth\n") and "fc.bias    4 in the file, 5 in the network" in out
    old, new = (torch.load(name) for name in ("net.pth", "start.pth"))
    assert all(old[name].equal(new[name]) for name in NAMES[:6]) and new["fc.weight"].shape == (5, 6)


def test_googlenet_with_and_without_the_tensors_of_its_heads(run: Run, refused: Refused, torch: Any) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    run("googlenet", "-o", "whole.safetensors")
    whole = archc.build("googlenet", weights="whole.safetensors").state_dict()
    heads = {name for name in whole if name.startswith(("aux1.", "aux2."))}
    save_file({name: one for name, one in whole.items() if name not in heads}, "small.safetensors")
    assert len(heads) == 20
    assert "in the network, not in the file: 18" in refused("googlenet", "--weights", "small.safetensors", "-o", "x.pth")
    for name in ("whole", "small"):
        assert run("googlenet", "--deployed", "--weights", f"{name}.safetensors", "-o", f"{name}.pth")[0] == 0
        state = torch.load(f"{name}.pth")
        assert state.keys() == whole.keys() - heads and all(state[one].equal(whole[one]) for one in state)


def test_optimized_for_inference_with_weights(run: Run, torch: Any) -> None:
    """Normalizations that do something, so that folding has something to get wrong."""
    run("tiny.yaml", "-o", "net.py", "-o", "net.pth")
    held = torch.load("net.pth")
    for name in ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"):
        held[name].uniform_(0.5, 2)
    torch.save(held, "net.pth")
    status, out, _ = run("tiny.yaml", "--weights", "net.pth", "--optimize", "inference", "-o", "fast.py", "-o", "fast.pth")
    assert status == 0 and "loaded all 8 tensors" in out
    plain, fast = made("net.py", "net.pth"), made("fast.py", "fast.pth")
    assert list(fast.state_dict()) == ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]
    x = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(fast(x), plain(x), rtol=1e-5, atol=1e-6)


def test_weights_of_another_dtype(run: Run, torch: Any) -> None:
    assert run("tiny.yaml", "--dtype", "bf16", "-o", "net.pth")[0] == 0
    dtypes = {name: one.dtype for name, one in torch.load("net.pth").items()}
    assert dtypes.pop("bn.num_batches_tracked") == torch.int64 and set(dtypes.values()) == {torch.bfloat16}


def test_no_file_wanted(run: Run, torch: Any) -> None:
    assert run("tiny.yaml", "--dtype", "f16", "--device", "cpu") == (0, "built tiny  436 B in 8 tensors, float16 on cpu\n", "")
    assert run("tiny.yaml", "--device", "meta")[1] == "built tiny  864 B in 8 tensors, float32 on meta\n"
    Path("idle.yaml").write_text("input: [3]\nlayers: [relu]\n")
    assert run("idle.yaml", "--dtype", "f16")[1] == "built idle, which has no weights\n"


def test_cuda_without_a_gpu(refused: Refused, torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch, "__version__", "9.9.9")
    assert refused("tiny.yaml", "--device", "cuda", "-o", "net.pth", "-o", "net.py") == (
        "archc: --device cuda: PyTorch sees no GPU. This PyTorch (9.9.9) is built for the\n"
        "  CPU only: install a CUDA build of PyTorch, see pytorch.org. To run without a\n"
        "  GPU write --device cpu.\n"
    )


def test_a_network_beyond_all_memory(refused: Refused, torch: Any) -> None:
    Path("big.yaml").write_text("input: [1048576]\nlayers: [{linear: 1073741824}]\n")
    assert refused("big.yaml", "-o", "big.pth") == "archc: the weights are 4096 TiB, and there is not enough memory for them\n"


def test_source_needs_no_torch(tmp_path: Path) -> None:
    """One process that cannot import torch: it writes source, and says what is missing for the rest."""
    (tmp_path / "tiny.yaml").write_text(NET)
    script = (
        "import sys; sys.modules['torch'] = sys.modules['numpy'] = None\n"
        "from archc.cli.main import main\n"
        "runs = [], ['-o', 'a.py'], ['-o', 'b.py', '-o', 'b.onnx'], ['--dtype', 'f16']\n"
        "told = [main(['build', 'tiny.yaml', *words]) for words in runs]\n"
        "sys.exit(str(told))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    missing = "archc: this needs torch, which is not installed: pip install torch numpy (extra archc-nn[torch]) "
    assert " ".join(ran.stderr.split()) == missing * 2 + "[0, 0, 2, 2]"
    assert ran.stdout == (tmp_path / "a.py").read_text() + "wrote a.py\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.py", "tiny.yaml"]


def test_help_fits(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0 and max(map(len, out.splitlines())) <= 80
