"""`archc build` says what is wrong, and then no file is written or changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archc.ops.registry import OPERATORS
from tests.cli.build.common import Refused, Run, equal, files, made
from tests.helpers.onnx_operators import operators_read_once  # noqa: F401

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
