"""Each format as `archc import` takes it: found by its file, written as a spec, and the very same network again."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

import archc
from archc.importing import ImportedError, import_source
from archc.importing.registry import read_file_of
from archc.text.diagnostics import SpecError
from tests.importing import darknet_cfgs, keras_models, prototxts, test_caffe, test_darknet, test_keras, yolo_files

FILES = {
    "yolov3-tiny.cfg": (darknet_cfgs.yolov3_tiny(), 8_852_366),
    "deploy.prototxt": (prototxts.googlenet(), 6_998_552),
    "mobilenet.json": (keras_models.mobilenet(), 4_231_976),
    "config.json": ('{"model_type": "gpt2", "n_layer": 2}', 53_561_088),
    "yolov8n.yaml": (yolo_files.yolov8(), 3_157_200),
    "yolov5n.yaml": (yolo_files.yolov5("n"), 1_872_157),
}

SHORT = {"config.json": 60, "mobilenet.json": 120}  # those that are folded here, and how long they then are at the most


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_imported_as_what_it_is(file: str, tmp_path: Path) -> None:
    text, parameters = FILES[file]
    (tmp_path / file).write_text(text)
    found = import_source(str(tmp_path / file), flat=file not in SHORT)
    assert archc.analyze(archc.loads(found.text)).parameters == parameters
    assert found.lines < SHORT.get(file, found.lines + 1)


@pytest.mark.parametrize("file", [*FILES, "net.keras", "net.h5"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 99, b"\x80\x04.", b"{" * 9_999, b"PK\x03\x04" + bytes(50), b"a: &a [*a]", b"\xff\xfe\x00\xd8"]
)
def test_a_file_that_is_none_of_its_kind_is_refused_in_words(file: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises((SpecError, ImportedError)):
        read_file_of(str(tmp_path / file))


LAYER = 'layer { type: "ReLU" bottom: "input" top: "TOP" name: "NAME" }'
TWO = "".join(f'layer {{ type: "Input" name: "i" top: "{top}" input_param {{ shape {{ dim: 1 dim: 3 }} }} }}' for top in ("input", "3a"))


@pytest.mark.parametrize("name", ["nan", "__x", "forward", "train/x", "input", "index", "a.b", "-", "", "3", "\u00e9 \u4e2d", "x" * 300])
def test_names_that_a_spec_cannot_have_are_made_fit(name: str, tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    second = LAYER.replace("TOP", "b").replace("input", "a")
    file.write_text(
        TWO + LAYER.replace("TOP", "a").replace("NAME", name) + second.replace("NAME", name) + LAYER.replace("TOP", name or "x")
    )
    graph = archc.loads(import_source(str(file), flat=True).text)
    assert len(graph.inputs) == 2 and len(graph.nodes) == 3


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_cut_anywhere_is_refused_or_read(file: str, tmp_path: Path) -> None:
    text, place = FILES[file][0], tmp_path / file
    for cut in range(1, 24):
        place.write_text(text[: cut * len(text) // 24 + cut % 3])
        try:
            read_file_of(str(place))
        except (SpecError, ImportedError) as error:
            assert "Traceback" not in str(error)


ODD = ["0", "-1", "7", "1e308", "99999999999", "2147483647", "true", "null", "nan", "x", '""', "[]", "{}", "[1, 2]", "-0.5", "65536"]
SMALL = {
    "net.cfg": test_darknet.SMALL,
    "net.prototxt": test_caffe.small(),
    "net.json": test_keras.every_layer(),
    "config.json": '{"model_type": "qwen3", "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 1, "vocab_size": 50}',
    "net.yaml": yolo_files.yolov8("segment"),
}


@pytest.mark.parametrize("file", SMALL)
def test_values_that_are_odd_are_refused_or_read(file: str, tmp_path: Path) -> None:
    draw, place = random.Random(0), tmp_path / file
    for _ in range(60):
        text = SMALL[file]
        for _ in range(draw.randint(1, 2)):
            found = draw.choice(list(re.finditer(r'-?\d+(\.\d+)?|"\w+"', text)))
            text = text[: found.start()] + draw.choice(ODD) + text[found.end() :]
        place.write_text(text)
        try:
            assert read_file_of(str(place))[1].text.startswith("archc: 1\n")
        except (SpecError, ImportedError) as error:
            assert str(error)
