"""`archc build`, as people meet it: what it writes, what it says, and that a mistake writes nothing."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import archc
from archc.cli.main import main
from archc.ops.registry import OPERATORS
from tests.helpers.onnx_operators import operators_read_once  # noqa: F401

NET = """
name: tiny
input: [3, 8, 8]
params: {classes: 4}
layers:
  conv: {conv: {channels: 6, kernel: 3, padding: 1, bias: false}}
  bn: batchnorm
  act: relu
  pool: global_avgpool
  flatten: flatten
  drop: {dropout: 0.5}
  fc: {linear: $classes}
"""
HEADS = """
name: heads
input: [3, 8, 8]
outputs: {output: fc, aux: aux}
layers:
  conv: {conv: {channels: 4, kernel: 3}}
  aux: {train_only: true, layers: {pool: global_avgpool, flatten: flatten, fc: {linear: 5}}}
  relu: relu
  flatten: flatten
  fc: {linear: 5}
"""
WORDS = "name: words\ninput: [6]\nlayers: {table: {embedding: {entries: 11, features: 3}}, flatten: flatten, fc: {linear: 2}}\n"
NAMES = ["conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "bn.num_batches_tracked", "fc.weight", "fc.bias"]

Run = Callable[..., tuple[int, str, str]]
Refused = Callable[..., str]


@pytest.fixture
def torch() -> Any:
    found = pytest.importorskip("torch")
    found.manual_seed(0)
    found.set_num_threads(1)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `archc build` in a folder that has the specs of this file: (status, output, errors)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    for name, text in (("tiny", NET), ("heads", HEADS), ("words", WORDS)):
        Path(f"{name}.yaml").write_text(text)

    def go(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(["build", *words])
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return go


@pytest.fixture
def refused(run: Run) -> Refused:
    """What a wrong command says: status 2, lines of 80 columns, nothing on standard output, and no file written or changed."""

    def go(*words: str) -> str:
        before = files()
        status, out, err = run(*words)
        assert (status, out, files()) == (2, "", before)
        assert all(len(line) <= 80 and line.isprintable() for line in err.splitlines()), err
        return err

    return go


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() if path.is_file() else b"" for path in sorted(Path().iterdir())}


def made(file: str, weights: str) -> Any:
    """The network of a written source with written weights, by PyTorch and safetensors alone."""
    import torch as pytorch
    from safetensors.torch import load_file

    module = next(one for name, one in reversed(runpy.run_path(file).items()) if isinstance(one, type))()
    state = load_file(weights) if weights.endswith(".safetensors") else pytorch.load(weights, weights_only=True)
    module.load_state_dict(state, strict=True)
    return module.eval()


def equal(one: Any, other: Any) -> bool:
    return list(one) == list(other) and all(one[name].equal(other[name]) for name in one)


# source


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


# weights


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


# devices and dtypes


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


# exports


def outputs(name: str, *inputs: Any) -> list[Any]:
    """What an exported file makes of inputs."""
    import torch as pytorch

    if name.endswith(".pt2"):
        return [pytorch.export.load(name).module()(*inputs)]
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(name, providers=["CPUExecutionProvider"])
    given = {one.name: x.numpy() for one, x in zip(session.get_inputs(), inputs, strict=True)}
    return [pytorch.as_tensor(one) for one in session.run(None, given)]


@pytest.fixture(params=["onnx", "pt2"])
def suffix(request: pytest.FixtureRequest) -> str:
    if request.param == "onnx":
        for name in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(name, reason="pip install '.[onnx]'")
    return str(request.param)


def test_an_export_holds_the_weights_written_beside_it(run: Run, torch: Any, suffix: str) -> None:
    status, out, err = run("tiny.yaml", "-o", "net.py", "-o", "net.pth", "-o", f"net.{suffix}")
    assert (status, err) == (0, "") and out.startswith(f"net.{suffix}  ") and "outputs differ by at most" in out and "any batch" in out
    x = torch.randn(5, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(outputs(f"net.{suffix}", x)[0], made("net.py", "net.pth")(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [(), ("--deployed",), ("--optimize", "inference"), ("--optimize", "train")])
def test_exports_have_no_heads(run: Run, torch: Any, options: tuple[str, ...]) -> None:
    assert run("heads.yaml", *options, "-o", "net.py", "-o", "net.pth", "-o", "net.pt2", "--no-check")[0] == 0
    assert list(torch.export.load("net.pt2").state_dict) == ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]
    heads = [name for name in torch.load("net.pth") if name.startswith("aux")]
    assert heads == ([] if options in (("--deployed",), ("--optimize", "inference")) else ["aux.fc.weight", "aux.fc.bias"])
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(outputs("net.pt2", x)[0], made("net.py", "net.pth")(x), rtol=1e-5, atol=1e-6)


def test_weights_without_heads_are_enough_for_an_export(run: Run, torch: Any) -> None:
    run("heads.yaml", "--deployed", "-o", "small.pth")
    assert run("heads.yaml", "--weights", "small.pth", "-o", "net.pt2", "--no-check")[0] == 0


def test_an_input_of_indices(run: Run, torch: Any, suffix: str) -> None:
    assert run("words.yaml", "-o", "net.py", "-o", "net.pth", "-o", f"net.{suffix}")[0] == 0
    x = torch.randint(11, (5, 6))
    with torch.no_grad():
        assert torch.allclose(outputs(f"net.{suffix}", x)[0], made("net.py", "net.pth")(x), rtol=1e-5, atol=1e-6)


def test_one_batch_and_no_check(run: Run, torch: Any) -> None:
    status, out, _ = run("tiny.yaml", "-o", "net.pt2", "--batch", "2", "--no-check")
    assert status == 0 and "torch.export, batch 2\nnot checked" in out
    assert outputs("net.pt2", torch.randn(2, 3, 8, 8))[0].shape == (2, 4)
    with pytest.raises(Exception, match="Guard failed"):
        outputs("net.pt2", torch.randn(3, 3, 8, 8))


def test_an_opset_is_for_onnx_alone(run: Run, torch: Any) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    assert run("tiny.yaml", "-o", "net.pt2", "-o", "net.onnx", "--opset", "19", "--batch", "dynamic", "--no-check")[0] == 0
    assert onnx.load("net.onnx").opset_import[0].version == 19 and Path("net.pt2").exists()


def test_an_export_that_fails_leaves_no_other_file(refused: Refused, torch: Any) -> None:
    pytest.importorskip("onnxscript")
    told = refused("tiny.yaml", "--opset", "300", "-o", "a.py", "-o", "a.pth", "-o", "a.pt2", "-o", "a.onnx")
    assert told.startswith("archc: the exporter cannot write opset 300 of this module")


# mistakes

SUFFIXES = ".py, .safetensors, .pth, .pt, .onnx, .pt2"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("-o net.txt", f"-o net.txt: .txt is not a known format;\nend it in one of {SUFFIXES}"),
        ("-o net.onx", '-o net.onx: .onx is not a known format;\ndid you mean ".onnx"?'),
        ("-o net.PY", '-o net.PY: .PY is not a known format;\ndid you mean ".py"?'),
        ("-o net", f"-o net: the name has no ending that tells the format;\nend it in one of {SUFFIXES}"),
        ("-o net.py -o .py", f"-o .py: the name has no ending that tells the format;\nend it in one of {SUFFIXES}"),
        ("-o none/net.py", "-o none/net.py: there is no folder none"),
        ("-o none/net.onnx", "-o none/net.onnx: there is no folder none"),
        ("-o tiny.yaml/net.pth", "-o tiny.yaml/net.pth: there is no folder tiny.yaml"),
        ("-o folder.py", "-o folder.py: that is a folder"),
        ("--rename s/a/b/", "--rename needs --weights FILE, which is missing"),
        ("--partial -o net.pth", "--partial needs --weights FILE, which is missing"),
        ("--explain-passes", "--explain-passes needs --optimize or --convolutional, which is missing"),
        ("--optimize inferense", '--optimize inferense: it is not an optimization;\ndid you mean "inference"?'),
        ("--optimize O3", "--optimize O3: it is not an optimization;\nthere are inference, train"),
        *(
            (f"--batch {word} -o net.onnx", f"--batch {word}: write a number from 1 up, or leave out --batch")
            for word in ("0", "-1", "1.5", "two", "²", "2147483648", "9" * 11)
        ),
        ("--batch 3 -o net.py", "--batch applies to exports, and there is no -o FILE.onnx or FILE.pt2"),
        ("--no-check", "--no-check applies to exports, and there is no -o FILE.onnx or FILE.pt2"),
        ("--opset 18 -o net.pt2", "--opset applies to ONNX, and there is no -o FILE.onnx"),
        ("--opset x -o net.onnx", "argument --opset: invalid int value: 'x'\n  see `archc build --help`"),
        ("--dtype bf16 -o net.pt2", "--dtype bf16: .pt2 files hold float32; leave out --dtype, or those files"),
        ("--device meta -o net.pth", "--device meta: on that device the network has no values to write"),
        ("--renam s/a/b/", 'unrecognized arguments: --renam s/a/b/; did you mean "--rename"?\n  see `archc build --help`'),
    ],
)
def test_wrong_options_whole(refused: Refused, words: str, told: str) -> None:
    Path("folder.py").mkdir()
    assert refused("tiny.yaml", *words.split(" ")) == f"archc: {told}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--device gpu", '--device gpu: no such device; did you mean "cuda"?'),
        ("--device cpu:1", "--device cpu:1: only cuda takes a number; write --device cpu"),
        ("--dtype float12", '--dtype float12: no such dtype; did you mean "float32" or "float16" or "bfloat16"?'),
        ("--dtype nonsense", "--dtype nonsense: no such dtype; one of float32, float64, float16, bfloat16"),
        ("--memory-format nhwc", "--memory-format nhwc: no such format; one of auto, contiguous, channels_last, channels_last_3d"),
        ("--weights none.pth", "none.pth does not exist"),
        ("--weights tiny.yam", 'tiny.yam does not exist; did you mean "tiny.yaml"?'),
        ("--weights tiny.yaml", "tiny.yaml is neither safetensors nor a file of torch.save"),
        ("--weights empty.pth", "empty.pth is empty"),
        ("--weights .", ". is a folder; name a file in it"),
    ],
)
def test_wrong_weights_and_places_whole(refused: Refused, torch: Any, words: str, told: str) -> None:
    Path("empty.pth").touch()
    found = refused("tiny.yaml", *words.split(" "), "-o", "net.py", "-o", "net.pth")
    assert " ".join(found.split()) == f"archc: {told}"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("conv", "archc: not a rule\n  conv\n  ^\n  write s/pattern/replacement/\n"),
        ("s/conv/", 'archc: the replacement has no "/" at its end\n  s/conv/\n         ^\n  write s/pattern/replacement/\n'),
        ("s/(/x/", "archc: the pattern cannot be read: missing ), unterminated subpattern\n  s/(/x/\n    ^\n"),
    ],
)
def test_rules_that_cannot_be_read_whole(run: Run, refused: Refused, torch: Any, rule: str, told: str) -> None:
    run("tiny.yaml", "-o", "net.pth")
    assert refused("tiny.yaml", "--weights", "net.pth", "--rename", rule, "-o", "x.py") == told


def test_weights_that_would_run_code(refused: Refused, torch: Any) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (Path("ran"),)

    torch.save({"conv.weight": Trap()}, "trap.pth")
    assert "holds more than tensors" in refused("tiny.yaml", "--weights", "trap.pth", "-o", "net.pth")


def test_a_folder_that_may_not_be_written_to(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("shut").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode == os.W_OK and Path(path).name == "shut"))
    for name in ("shut/net.py", "shut/net.pt2"):
        assert refused("tiny.yaml", "-o", name) == f"archc: -o {name}: there is no permission to write in the folder shut\n"


def test_a_spec_with_mistakes(refused: Refused) -> None:
    Path("wrong.yaml").write_text("input: [3, 8, 8]\nlayers: [cnov]\n")
    assert refused("wrong.yaml", "-o", "net.py").startswith('error[A301]: no layer or block is called "cnov"\n --> wrong.yaml:2:10\n')
    assert '"vgg16"' in refused("vgg61", "-o", "net.py")
    assert refused("-o", "net.py") == "archc: the following arguments are required: SPEC\n  see `archc build --help`\n"


@pytest.fixture
def formless() -> Iterator[None]:
    """An operator of a plugin that says no PyTorch form."""
    yield
    OPERATORS.remove("formless")


@pytest.mark.usefixtures("formless")
def test_an_operator_without_a_form(refused: Refused) -> None:
    Path("plugin.py").write_text(
        "from archc.ops import Facts, Shape, op\n\n\n@op\ndef formless(x: Shape) -> Facts:\n"
        '    """[C] -> [C]. Nothing that PyTorch has."""\n    return Facts(x, weights=(), macs=0)\n'
    )
    Path("net.yaml").write_text("input: [3]\nlayers: {odd: formless}\n")
    for words in ([], ["-o", "net.py"], ["-o", "net.pth", "-o", "net.onnx"]):
        told = refused("net.yaml", "--plugin", "plugin.py", *words)
        assert told == "archc: the operator formless says no PyTorch form, so odd cannot be built\n"


# files are whole


@pytest.mark.parametrize("name", ["net.py", "net.pth", "net.safetensors", "net.pt2", "net.onnx"])
def test_a_file_stands_as_it_was_where_writing_fails(refused: Refused, torch: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pytest.importorskip({"onnx": "onnxscript", "safetensors": "safetensors"}.get(name.partition(".")[2], "torch"))
    Path(name).write_text("kept")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    told = refused("tiny.yaml", "-o", name)
    assert told.startswith("archc: ") and "No space left on device" in told.replace("\n", " ") and files()[name] == b"kept"


@pytest.mark.parametrize("name", ["net.py", "net.pth", "net.pt2"])
def test_a_file_is_replaced_whole(run: Run, torch: Any, name: str) -> None:
    assert run("tiny.yaml", "-o", name)[0] == 0
    short = Path(name).stat().st_size
    Path(name).write_bytes(b"x" * 100_000)
    assert run("tiny.yaml", "-o", name)[0] == 0
    assert abs(Path(name).stat().st_size - short) < 100 and [one for one in files() if one not in SPECS] == [name]


SPECS = ("tiny.yaml", "heads.yaml", "words.yaml")


def test_weights_can_replace_the_file_that_they_came_from(run: Run, torch: Any) -> None:
    run("tiny.yaml", "-o", "net.py", "-o", "net.pth")
    before = made("net.py", "net.pth").state_dict()
    assert run("tiny.yaml", "--weights", "net.pth", "-o", "net.pth")[0] == 0
    assert equal(made("net.py", "net.pth").state_dict(), before)


# without torch


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
