"""Replaced heads, and classifiers on cached features."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("ignite")

import safetensors.torch

import archc
from archc.cli.main import main
from archc.data import DataError, open_data
from archc.recipe import Data
from archc.runtime.weights.load import load_weights, save_weights
from archc.runtime.weights.renaming import WeightsError
from archc.training.extraction import extract
from archc.training.fit import resume_run
from archc.training.options import TrainError, TrainOptions
from archc.training.predict import TrainedRun
from archc.training.run import RunFolder, open_run
from archc.training.transfer import FEATURES, classifier_graph, extract_features, new_tensors, put_classifier

CPU = torch.device("cpu")


def halved(images):
    return images.float() / 128 - 1


def test_the_head_is_what_has_another_shape():
    assert new_tensors(archc.load("resnet18"), archc.load("resnet18", classes=7)) == ["fc.weight", "fc.bias"]


def test_a_replacement_that_changes_nothing_or_everything_is_refused():
    with pytest.raises(TrainError, match="nothing in lenet5 was replaced"):
        new_tensors(archc.load("lenet5"), archc.load("lenet5", act="relu"))
    with pytest.raises(TrainError, match="nothing of the weights would be left"):
        new_tensors(archc.load("lenet5"), archc.load("vgg11"))


def test_new_tensors_keep_their_start_and_the_body_is_loaded(tmp_path):
    old, new = archc.build("resnet20_cifar"), archc.build("resnet20_cifar", classes=3)
    save_weights(old, tmp_path / "old.safetensors")
    start = {name: value.clone() for name, value in new.state_dict().items()}
    fresh = new_tensors(archc.load("resnet20_cifar"), archc.load("resnet20_cifar", classes=3))
    told = load_weights(new, tmp_path / "old.safetensors", fresh=fresh)
    for name, value in new.state_dict().items():
        assert torch.equal(value, (start if name in fresh else old.state_dict())[name])
    assert "new, not loaded: fc.bias, fc.weight" in told.text()


def test_features_are_what_the_last_layer_is_given():
    graph = archc.load("lenet5")
    module = archc.build(graph).eval()
    data = open_data(Data(), (1, 28, 28), 0)
    found = extract_features(graph, module, data, halved, CPU)
    assert {name: len(split) for name, split in found.splits().items()} == {name: len(split) for name, split in data.splits().items()}
    rows = [5, 0, 77]
    values, labels = found.validation.read(rows)
    images, expected = data.validation.read(rows)
    assert labels.tolist() == expected.tolist()
    whole = module(halved(torch.from_numpy(images)))
    assert torch.allclose(module.fc3(torch.from_numpy(values)), whole, atol=1e-6)
    assert found.validation.name(5) == data.validation.name(5)


def test_a_classifier_goes_back_into_its_network():
    graph = archc.load("lenet5")
    module, small = archc.build(graph), archc.build(classifier_graph(graph))
    assert {name: tuple(one.shape) for name, one in small.named_parameters()} == {f"{FEATURES}.weight": (10, 84), f"{FEATURES}.bias": (10,)}
    put_classifier(graph, module, small)
    assert torch.equal(module.fc3.weight, small.get_submodule(FEATURES).weight)
    assert torch.equal(module.fc3.bias, small.get_submodule(FEATURES).bias)


def test_networks_that_end_otherwise_are_refused():
    with pytest.raises(TrainError, match="comes from"):
        classifier_graph(archc.load("unet"))


def recipe_of_two(epochs: int = 4):
    return replace(archc.load("lenet5").recipe, epochs=epochs, batch=64)


def extracted(folder, weights, say=lambda line: None):
    options = TrainOptions(device="cpu", weights=weights, say=say, pictures=False)
    return extract(archc.load("lenet5"), recipe_of_two(), RunFolder(folder), options)


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    path = tmp_path_factory.mktemp("body") / "body.safetensors"
    torch.manual_seed(0)
    save_weights(archc.build("lenet5"), path)
    return path


def test_extraction_trains_the_last_layer_alone(tmp_path, body):
    outcome = extracted(tmp_path / "run", body)
    before, after = safetensors.torch.load_file(body), outcome.module.state_dict()
    assert {name for name, value in after.items() if not torch.equal(value, before[name])} == {"fc3.weight", "fc3.bias"}
    saved = safetensors.torch.load_file(tmp_path / "run" / "best.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in after.items())
    data = open_data(Data(), (1, 28, 28), 0)
    trained = TrainedRun(open_run(tmp_path / "run"), "cpu")
    assert trained.evaluate(data.test).accuracy == pytest.approx(outcome.metrics["test_accuracy"])
    assert outcome.metrics["accuracy"] > 0.5  # of a body that was never trained


def test_extraction_goes_on_where_it_was_ended(tmp_path, body):
    class Ended(Exception):
        pass

    def end(line: str) -> None:
        if line.startswith("epoch 2"):
            raise Ended

    said: list[str] = []
    whole = extracted(tmp_path / "whole", body, said.append).module.state_dict()
    assert said[-1].endswith(f"{tmp_path / 'whole'}")  # and not the classifier within
    with pytest.raises(Ended):
        extracted(tmp_path / "ended", body, end)
    with pytest.raises(TrainError, match="no epoch is complete"):
        TrainedRun(open_run(tmp_path / "ended"), "cpu")
    resumed = resume_run(tmp_path / "ended", TrainOptions(device="cpu", pictures=False)).module.state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_head_is_replaced_also_where_its_size_stays(tmp_path, body, capsys):
    words = ["train", "lenet5", "--weights", str(body), "--replace-head", "classes=10", "--epochs", "1", "--device", "cpu"]
    assert main([*words, "--dry-run"]) == 0
    assert "new, not loaded: fc3.bias, fc3.weight" in capsys.readouterr().out
    assert main([*words[:3], str(tmp_path / "none.pth"), *words[4:], "--dry-run"]) == 2
    assert main([*words[:4], "--replace-head", "act=relu", "--dry-run"]) == 2
    assert "nothing in lenet5 was replaced" in capsys.readouterr().err


def test_another_head_is_offered_where_weights_have_one_of_another_size(tmp_path, body, capsys):
    """In the words of the command line, and in those of the library."""
    other = ["train", "lenet5", "--set", "classes=7", "--device", "cpu", "--dry-run"]
    assert main([*other, "--weights", str(body)]) == 2
    assert "--replace-head classes=10" in " ".join(capsys.readouterr().err.split())
    assert main(other) == 2
    assert "--replace-head" not in capsys.readouterr().err
    save_weights(archc.build(archc.load("lenet5", classes=7)), tmp_path / "seven.safetensors")
    words = ["train", "lenet5", "--weights", str(tmp_path / "seven.safetensors"), "--device", "cpu", "--dry-run"]
    assert main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "fc3.weight 7x84 in the file, 10x84 in the network" in said
    assert said.endswith("--partial would load the 8 that fit, and leave the rest --replace-head classes=10 would begin a new head")
    assert main([*words, "--replace-head", "classes=10"]) == 0
    with pytest.raises(WeightsError, match=r"partial=True would load .*\nclasses=10, partial=True would begin a new head$"):
        archc.train("lenet5", weights=tmp_path / "seven.safetensors", folder=tmp_path / "run", device="cpu")
    with pytest.raises(DataError, match=r"write classes=10, partial=True where"):
        archc.train(archc.load("lenet5", classes=7), weights=body, folder=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_head_is_offered_for_nothing_but_a_head(tmp_path, capsys):
    save_weights(archc.build("resnet20_cifar"), tmp_path / "other.safetensors")
    assert main(["train", "lenet5", "--weights", str(tmp_path / "other.safetensors"), "--device", "cpu", "--dry-run"]) == 2
    assert "--replace-head" not in capsys.readouterr().err
