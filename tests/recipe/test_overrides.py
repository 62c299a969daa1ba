"""A recipe changed from outside: by settings one by one, and by files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archc.elaborate.recipe.overrides import Override, recipe_with
from archc.recipe.recipe import Data, EarlyStop, Part, Recipe
from archc.text.diagnostics import SpecError
from tests.helpers.recipes import PLAIN, READ, WHOLE, of


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        (["epochs=3"], {"epochs": 3}),
        (["epochs = 3"], {"epochs": 3}),
        (["epochs=$length"], {"epochs": 7}),
        (["epochs=3", "epochs=4"], {"epochs": 4}),
        (["batch=128"], {"batch": 128}),
        (["data=photos"], {"data": Data("photos")}),
        (["data.size=64"], {"data": replace(READ.data, size=(64, 64))}),
        (["data.size=64", "data=a=b"], {"data": Data("a=b", size=(64, 64))}),
        (["optimizer.lr=0.1"], {"optimizer": Part("adamw", {**READ.optimizer.options, "lr": 0.1})}),
        (["optimizer.adamw.lr=0.1"], {"optimizer": Part("adamw", {**READ.optimizer.options, "lr": 0.1})}),
        (["optimizer.lr=0.3", "optimizer=sgd"], {"optimizer": Part("sgd", {"lr": 0.3, "weight_decay": 0.0})}),
        (["optimizer.lr=0.3", "optimizer.eps=1"], {"optimizer": Part("adamw", {**READ.optimizer.options, "lr": 0.3, "eps": 1})}),
        (["schedule={step: {at: [5]}}", "schedule.gamma=0.5"], {"schedule": Part("step", {"every": None, "at": (5,), "gamma": 0.5})}),
        (["augment=[flip]"], {"augment": (Part("flip", {"p": 0.5}),)}),
        (["augment="], {"augment": ()}),
        (["augment.crop.padding=8"], {"augment": (READ.augment[0], Part("crop", {"padding": 8}), READ.augment[2])}),
        (["rates.fc.*=3"], {"rates": {**READ.rates, "fc.*": 3}}),
        (["rates.stem.*=3"], {"rates": {"*.bias": 2, "stem.*": 3}}),
        (["heads.aux1=0"], {"heads": {"aux1": 0}}),
        (["unfreeze.7=[stem.weight]"], {"unfreeze": {**READ.unfreeze, 7: ("stem.weight",)}}),
        (["stop="], {"stop": None}),
        (["stop.least=0.5"], {"stop": EarlyStop(10, "loss", 0.5)}),
        (["ema="], {"ema": None}),
        (["epochs=1"], {"epochs": 1}),  # the spec's warm-up and epochs of `unfreeze` are beyond it, which a short try may do
    ],
)
def test_overrides(given: list[str], changes: dict[str, Any]) -> None:
    assert recipe_with(of(WHOLE), given) == replace(READ, **changes)


def test_a_part_that_was_not_there() -> None:
    assert recipe_with(PLAIN, ["stop.patience=3"]).stop == EarlyStop(3)
    assert recipe_with(PLAIN, ["rates.*.bias=3"]).rates == {"*.bias": 3}


@pytest.mark.parametrize(
    ("given", "place", "told"),
    [
        ("epochs", "--train epochs:1:1", "optimizer.lr=0.1"),
        ("epochs=0", "--train epochs:1:8", "epochs is 0, not a whole number from 1"),
        ("epochs=[", "--train epochs:1:8", "missing"),
        ("epochs.x=1", "--train epochs.x:1:1", "epochs has no parts"),
        ("epoch=1", "--train epoch:1:1", 'did you mean "epochs"?'),
        ("lr=1", "--train lr:1:1", "write optimizer.lr=…"),
        ("workers=1", "--train workers:1:1", "write data.workers=…"),
        ("optimizer=adan", "--train optimizer:1:11", 'did you mean "adam"'),
        ("optimizer.rate=1", "--train optimizer.rate:1:1", "here it is called `lr`"),
        ("optimizer.momentum=1", "--train optimizer.momentum:1:1", 'adamw has no argument "momentum"'),
        ("optimizer.lr=-1", "--train optimizer.lr:1:14", "not a number above 0"),
        ("optimizer.=1", "--train optimizer.:1:1", "there is no name after the dot"),
        ("data.siz=64", "--train data.siz:1:1", 'did you mean "size"?'),
        ("augment.flop.p=1", "--train augment.flop.p:1:1", 'did you mean "flip"?'),
        ("augment.flip=1", "--train augment.flip:1:1", "does not appear exactly once"),
        ("rates.steam.*=1", "--train rates.steam.*:1:1", 'did you mean "stem.*"'),
        ("freeze=[steam.*]", "--train freeze:1:9", 'did you mean "stem.*"'),
        ("freeze=[fc]", "--train freeze:1:9", 'write "fc.*"'),
        ('freeze=["*"]', "--train freeze:1:8", ""),
        ("heads.aux=1", "--train heads.aux:1:1", 'did you mean "aux1"?'),
        ("unfreeze.x=[stem.*]", "--train unfreeze.x:1:1", '"x" is not an epoch'),
        ("unfreeze.20=[stem.*]", "--train unfreeze.20:1:1", "after the last of 20"),
        ("warmup=20", "--train warmup:1:8", "a warm-up of 20 epochs is too long for 20"),
        ("loss=mse", "--train loss:1:6", "mixup works with"),
        ("schedule=one_cycle", "--train schedule:1:10", "remove warmup"),
        ("epochs=$nothing", "--train epochs:1:9", "nothing is called"),
        ("accumulate=7", None, None),  # batch: fit divides into anything
    ],
)
def test_wrong_overrides(given: str, place: str | None, told: str | None) -> None:
    graph = of(WHOLE)
    if told in (None, ""):
        recipe_with(graph, [given])  # nothing is wrong: what is frozen learns from an epoch on
        return
    with pytest.raises(SpecError) as error:
        recipe_with(graph, [given])
    (found,) = error.value.diagnostics
    assert str(found.span) == place and told in f"{found.message} {found.hint}", str(error.value)
    assert graph.recipe == READ


def test_all_mistakes_at_once() -> None:
    with pytest.raises(SpecError) as error:
        recipe_with(PLAIN, ["epochs=0", "sed=1", "seed=x", "batch", Override("--lr", "optimizer.lr", "fast")])
    assert [str(one.span) for one in error.value.diagnostics] == [
        "--train batch:1:1",
        "--train epochs:1:8",
        "--train sed:1:1",
        "--train seed:1:6",
    ]
    with pytest.raises(SpecError, match=r"--lr:1:1(?s:.*)fast") as error:
        recipe_with(PLAIN, [Override("--lr", "optimizer.lr", "fast")])


# Files


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    for text in ("epochs: 3\nseed: 1\n", "train: {epochs: 3, seed: 1}\n"):
        file.write_text(text)
        assert recipe_with(of(WHOLE), ["seed=2"], file) == replace(READ, epochs=3, seed=2)
    file.write_text("")
    assert recipe_with(PLAIN, (), file) == Recipe()


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        *(
            ("epochs: 0\n", ":1:9", "A402"),
            ("seed: 1\nepoch: 3\n", ":2:1", "A201"),
            ("[epochs]\n", ":1:1", "A202"),
            ("a: [\n", ":1:5", "A101"),
        ),
        *(("freeze: [no.*]\n", ":1:10", "A303"), ("seed: 1\nseed: 2\n", ":2:1", "A102"), ("loss: mse\nmixup: 1\n", ":2:8", "A404")),
    ],
)
def test_wrong_files(text: str, place: str, code: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as error:
        recipe_with(PLAIN, (), file)
    (found,) = error.value.diagnostics
    assert found.code == code and str(found.span) == f"{file}{place}"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        recipe_with(PLAIN, (), tmp_path / "nothing.yaml")


def test_work_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    for text in (f"freeze: [{'a, ' * 2000}a]", f"augment: [{'flip, ' * 2000}flip]", f"freeze: ['{'*a' * 500}']"):
        file.write_text(text)
        with pytest.raises(SpecError) as error:
            recipe_with(PLAIN, (), file)
        assert [one.code for one in error.value.diagnostics] in (["A603"], ["A402"])
