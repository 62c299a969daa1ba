"""Each format as `archc import` takes it: found by its file, written as a spec, and the very same network again."""

from __future__ import annotations

from pathlib import Path

import pytest

import archc
from archc.importing import ImportedError, import_source
from archc.text.diagnostics import SpecError
from tests.importing import darknet_cfgs, keras_models, prototxts, yolo_files

FILES = {
    "yolov3-tiny.cfg": (darknet_cfgs.yolov3_tiny(), 8_852_366),
    "deploy.prototxt": (prototxts.googlenet(), 6_998_552),
    "mobilenet.json": (keras_models.mobilenet(), 4_231_976),
    "config.json": ('{"model_type": "gpt2", "n_layer": 2}', 53_561_088),
    "yolov8n.yaml": (yolo_files.yolov8(), 3_157_200),
    "yolov5n.yaml": (yolo_files.yolov5("n"), 1_872_157),
}


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_imported_as_what_it_is(file: str, tmp_path: Path) -> None:
    text, parameters = FILES[file]
    (tmp_path / file).write_text(text)
    found = import_source(str(tmp_path / file))
    assert archc.analyze(archc.loads(found.text)).parameters == parameters


@pytest.mark.parametrize("file", [*FILES, "net.keras", "net.h5"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 99, b"\x80\x04.", b"{" * 9_999, b"PK\x03\x04" + bytes(50), b"a: &a [*a]", b"\xff\xfe\x00\xd8"]
)
def test_a_file_that_is_none_of_its_kind_is_refused_in_words(file: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises((SpecError, ImportedError)):
        import_source(str(tmp_path / file))


LAYER = 'layer { type: "ReLU" bottom: "input" top: "TOP" name: "NAME" }'
TWO = "".join(f'layer {{ type: "Input" name: "i" top: "{top}" input_param {{ shape {{ dim: 1 dim: 3 }} }} }}' for top in ("input", "3a"))


@pytest.mark.parametrize("name", ["nan", "__x", "forward", "train/x", "input", "index", "a.b", "-", "", "3", "\u00e9 \u4e2d", "x" * 300])
def test_names_that_a_spec_cannot_have_are_made_fit(name: str, tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    second = LAYER.replace("TOP", "b").replace("input", "a")
    file.write_text(
        TWO + LAYER.replace("TOP", "a").replace("NAME", name) + second.replace("NAME", name) + LAYER.replace("TOP", name or "x")
    )
    graph = archc.loads(import_source(str(file)).text)
    assert len(graph.inputs) == 2 and len(graph.nodes) == 3


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_cut_anywhere_is_refused_or_read(file: str, tmp_path: Path) -> None:
    text, place = FILES[file][0], tmp_path / file
    for cut in range(1, 24):
        place.write_text(text[: cut * len(text) // 24 + cut % 3])
        try:
            import_source(str(place))
        except (SpecError, ImportedError) as error:
            assert "Traceback" not in str(error)
