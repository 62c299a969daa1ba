"""`train`: how a recipe is read, inherited, changed from outside, written and read back."""

from __future__ import annotations

import argparse
import inspect
import math
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archc
from archc.aliases.table import table as aliases
from archc.catalog.initializers import INITIALIZERS
from archc.cli.recipe_options import overrides, recipe_options
from archc.codegen.lowering import run_passes
from archc.elaborate.compiler import compile_spec, compile_text
from archc.elaborate.recipe.overrides import recipe_with
from archc.graph import Graph
from archc.graph.write_spec import resolve_text
from archc.recipe.keys import DATA, KEYS, STOP, VALUES
from archc.recipe.recipe import Data, EarlyStop, Part, Recipe, recipe_text, written
from archc.recipe.tables import AUGMENTATIONS, LOSSES, OPTIMIZERS, SCHEDULES, TABLES
from archc.reference.schema import schema
from archc.signature import MISSING, Signature
from archc.signature.choices import Choice
from archc.text.diagnostics import SpecError
from tests.helpers.paths import ROOT
from tests.helpers.recipes import HEAD, PLAIN, READ, WHOLE, of

HEIR = "archc: 1\nextends: base.yaml\n"


def test_every_setting_is_read() -> None:
    assert of(WHOLE).recipe == READ
    assert all(getattr(READ, one.name) != getattr(Recipe(), one.name) for one in fields(Recipe))
    assert set(KEYS) == {one.name for one in fields(Recipe)}


def test_every_setting_has_a_default() -> None:
    assert PLAIN.recipe == of("train:\n").recipe == of("train: {}\n").recipe == Recipe()
    assert {name: param.default for name, param in VALUES.params.items()} == {name: getattr(Recipe(), name) for name in VALUES.params}
    assert Data(**{name: param.default for name, param in DATA.params.items()}) == Data()
    assert [one.name for one in fields(EarlyStop)] == list(STOP.params)
    for part, table in ((Recipe().optimizer, OPTIMIZERS), (Recipe().schedule, SCHEDULES), (Recipe().loss, LOSSES)):
        assert dict(part.options) == table[part.name].defaults()


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("data: photos", {"data": Data("photos")}),
        ("data: {size: [32, 64]}", {"data": Data(size=(32, 64))}),
        ("optimizer: sgd", {"optimizer": Part("sgd", {"lr": 0.1, "weight_decay": 0.0})}),
        ("optimizer: {sgd: 0.5}", {"optimizer": Part("sgd", {"lr": 0.5, "weight_decay": 0.0})}),
        ("schedule: {step: 30}", {"schedule": Part("step", {"every": 30, "at": None, "gamma": 0.1})}),
        ("schedule: {step: {at: [2, 3.5]}}", {"schedule": Part("step", {"every": None, "at": (2, 3.5), "gamma": 0.1})}),
        ("augment: flip", {"augment": (Part("flip", {"p": 0.5}),)}),
        ("augment: {flip: 0.1}", {"augment": (Part("flip", {"p": 0.1}),)}),
        ("augment: []", {}),
        ("augment: ", {}),
        ("stop: 4", {"stop": EarlyStop(4)}),
        ("stop: null", {}),
        ("clip: null", {}),
        ("precision: fp16", {"precision": "float16"}),
        ('freeze: "stem.*"', {"freeze": ("stem.*",)}),
        ("freeze: [.stem.weight]", {"freeze": (".stem.weight",)}),
        ("heads: {}", {}),
        ("epochs: $length", {"epochs": 7}),
        ("epochs: ${length * 3}", {"epochs": 21}),
        ("schedule: {polynomial: {end: $base}}", {"schedule": Part("polynomial", {"power": 1, "end": 0.2})}),
        ("augment: $kinds", {"augment": (Part("flip", {"p": 0.5}), Part("vertical_flip", {"p": 0.5}))}),
    ],
)
def test_forms(text: str, changes: dict[str, Any]) -> None:
    assert of(f"train:\n  {text}\n").recipe == replace(Recipe(), **changes)


def test_it_is_inherited_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(HEAD + "train: {epochs: 3, optimizer: {sgd: {lr: 0.3, weight_decay: 0.1}}, freeze: [stem.*]}\n")
    (tmp_path / "heir.yaml").write_text(HEIR + "train: {optimizer: sgd, seed: 4}\n")
    found = archc.load(tmp_path / "heir.yaml").recipe
    assert found == replace(Recipe(), epochs=3, optimizer=Part("sgd", {"lr": 0.1, "weight_decay": 0.0}), freeze=("stem.*",), seed=4)


def test_names_of_a_base_are_not_held_against_its_heirs(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(HEAD + 'train: {freeze: [stem.*], rates: {"bn.*": 2}, heads: {aux1: 1}}\n')
    layers = "layers: [global_avgpool, flatten, {linear: 10}]\n"
    (tmp_path / "heir.yaml").write_text(HEIR + layers)
    assert archc.load(tmp_path / "heir.yaml").recipe.freeze == ("stem.*",)
    (tmp_path / "own.yaml").write_text(HEIR + layers + "train: {freeze: [stem.*], heads: {aux1: 1}}\n")
    with pytest.raises(SpecError) as told:
        archc.load(tmp_path / "own.yaml")
    assert [one.code for one in told.value.diagnostics] == ["A303", "A303"]


def test_a_mistake_of_a_base_is_shown_there(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(HEAD + "train:\n  epochs: 0\n  sed: 1\n")
    (tmp_path / "heir.yaml").write_text(HEIR + "train: {seed: 1}\n")
    found = list(compile_spec(str(tmp_path / "heir.yaml")).diagnostics)
    assert [(one.code, Path(one.span.source.name).name, one.span.line) for one in found] == [
        ("A402", "base.yaml", 12),
        ("A201", "base.yaml", 13),
    ]


def test_parameters_from_outside_are_no_mistake() -> None:
    """A variant may have fewer layers, and it is not the recipe's fault."""
    text = 'archc: 1\ninput: [8]\nparams: {n: 2}\nlayers: [{repeat: $n, linear: 8}]\ntrain: {freeze: ["1.*"]}\n'
    assert compile_text(text, {"n": "1"}).graph is not None
    assert compile_text(text.replace("n: 2", "n: 1")).graph is None


def test_it_stays_with_the_network() -> None:
    graph = of(WHOLE)
    assert graph.deployed() is not graph and graph.deployed().recipe == graph.recipe
    assert run_passes(graph, "train").graph.recipe == graph.recipe


# What is written reads back

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
FINITE = st.floats(min_value=1e-12, max_value=1e12, allow_nan=False)


def value_of(signature: Signature, name: str) -> st.SearchStrategy[Any]:
    """Any value of an argument, as a Recipe has it."""
    param = signature.params[name]
    found = fitting(param.type.schema).map(param.type.accept).filter(lambda value: value is not MISSING)
    return st.none() | found if param.default is None else found


def fitting(kind: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any value that a schema allows."""
    if "anyOf" in kind:
        return st.one_of([fitting(one) for one in kind["anyOf"]])
    if "enum" in kind:
        return st.sampled_from(kind["enum"])
    if kind["type"] == "array":
        return st.lists(fitting(kind["items"]), min_size=kind.get("minItems", 0), max_size=kind.get("maxItems", 4), unique=True).map(sorted)
    if kind["type"] == "integer":
        return st.integers(kind["minimum"], kind.get("maximum", 2**31 - 1))
    if kind["type"] == "boolean":
        return st.booleans()
    if kind["type"] == "string":
        return TEXTS
    low, high = (kind.get(name, kind.get(f"exclusive{name.capitalize()}")) for name in ("minimum", "maximum"))
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def part_of(table: dict[str, Choice]) -> st.SearchStrategy[Part]:
    """One of a table with any arguments that go together."""

    def options(name: str) -> st.SearchStrategy[Part]:
        signature = table[name].signature
        values = {argument: value_of(signature, argument) for argument in signature.params}
        return st.fixed_dictionaries(values).filter(lambda one: table[name].check(one) is None).map(lambda one: Part(name, one))

    return st.sampled_from(sorted(table)).flatmap(options)


def together(recipe: Recipe) -> bool:
    """Whether settings go together."""
    mixed = not (recipe.mixup or recipe.cutmix) or recipe.loss.name != "mse"
    return mixed and recipe.batch % recipe.accumulate == 0 and not (recipe.warmup and recipe.schedule.name == "one_cycle")


PATTERNS = st.lists(st.sampled_from(["stem.*", ".fc.weight", "*.bias", "s[tu]em.weigh?", "bn.*"]), max_size=3, unique=True).map(tuple)
SIDES = st.integers(1, 600)
DATAS = st.fixed_dictionaries({
    **{name: value_of(DATA, name) for name in DATA.params},
    "size": st.none() | st.tuples(SIDES, SIDES),
}).map(lambda one: Data(**one))  # fmt: skip
RECIPES = st.fixed_dictionaries(
    {
        **{name: value_of(VALUES, name) for name in VALUES.params if name != "accumulate"},
        "accumulate": st.sampled_from([1, 2]),
        "data": DATAS,
        "stop": st.none() | st.fixed_dictionaries({name: value_of(STOP, name) for name in STOP.params}).map(lambda one: EarlyStop(**one)),
        "optimizer": part_of(OPTIMIZERS),
        "schedule": part_of(SCHEDULES),
        "loss": part_of(LOSSES),
        "augment": st.lists(part_of(AUGMENTATIONS), max_size=3).map(tuple),
        "heads": st.dictionaries(st.just("aux1"), st.floats(0, 5)),
        "rates": PATTERNS.flatmap(lambda names: st.fixed_dictionaries(dict.fromkeys(names, FINITE))),
        "freeze": PATTERNS,
        "unfreeze": st.dictionaries(st.integers(0, 9_999_999), PATTERNS.filter(bool), max_size=3),
    }
).map(lambda one: Recipe(**one)).filter(together)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(RECIPES)
def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    text = recipe_text(recipe)
    file = tmp_path_factory.getbasetemp() / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    assert recipe_with(PLAIN, (), file) == recipe, text
    assert plainly(yaml.safe_load(text)) == plainly(written(recipe)), text  # as another reader of YAML has it


def plainly(value: Any) -> Any:
    """Keys as texts, and no doubled dollars."""
    if isinstance(value, dict):
        return {str(key): plainly(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plainly(one) for one in value]
    return value.replace("$$", "$") if isinstance(value, str) else value


def test_it_is_resolved_to_the_same() -> None:
    named = [path.stem for path in (ROOT / "specs").glob("*.yaml") if "\ntrain:" in path.read_text()]
    assert len(named) >= 10
    for text in [HEAD + WHOLE, *(f"archc: 1\nextends: {name}\n" for name in named)]:
        model = compile_text(text)
        assert model.graph is not None and model.spec is not None
        again = compile_text(resolve_text(model.graph, model.spec, {}))
        assert again.graph is not None, [one.message for one in again.diagnostics]
        assert again.graph.recipe == model.graph.recipe != Recipe()


# The schema


def test_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    checks = jsonschema.Draft7Validator(schema())
    whole = plainly(yaml.safe_load(HEAD + WHOLE.replace("1e-3", "0.001")))
    assert list(checks.iter_errors(whole)) == []
    assert list(checks.iter_errors({**whole, "train": yaml.safe_load(recipe_text(READ))})) == []
    wrong: dict[str, Any] = {
        "epochs": [0, "many"], "batch": ["fits", 0], "optimizer": ["adm", {"sgd": {"lr": 0}}, {"sgd": {"momentum": 1}}, 3],
        "schedule": [{"cosin": {}}], "augment": ["flp", [{"crop": {"padding": 0}}], 3], "precision": ["f16"], "heads": [[1]],
        "freeze": [3, [3]], "unfreeze": [{"x": ["a"]}], "stop": [{"patience": 0}], "data": [{"shuffle": True}], "lr": [1],
    }  # fmt: skip
    for name, values in wrong.items():
        for value in values:
            assert list(checks.iter_errors({**whole, "train": {name: value}})), (name, value)
    properties = schema()["properties"]["train"]["properties"]
    assert set(properties) == set(KEYS) and all(one["description"] for one in properties.values())


# The tables


def test_words_from_elsewhere_lead_to_what_is_there() -> None:
    for what, words in aliases().choices.items():
        assert not set(words) & set(TABLES[what]) and set(words.values()) <= set(TABLES[what])
    arguments = {name for known in TABLES.values() for one in known.values() for name in one.signature.params}
    for one in aliases().choice_arguments:
        assert (one.needs in arguments) if one.needs else any(one.of in known for known in TABLES.values())
    assert set(aliases().initializers.values()) <= set(INITIALIZERS)


def test_optimizers_are_those_of_torch() -> None:
    """Each name, each argument and each default, but for the learning rates of gradient descent, which torch has at 0.001."""
    torch = pytest.importorskip("torch")
    from archc.catalog import optimizers as catalogue
    from archc.runtime.build.optimizers import class_of

    value = torch.nn.Parameter(torch.zeros(2, 2))
    for name, one in OPTIMIZERS.items():
        made = archc.optimizer([value], name, **one.defaults())
        assert made.param_groups[0].items() >= one.defaults().items()
        params, given = inspect.signature(class_of(name)).parameters, catalogue.OPTIMIZERS[name].fixed
        theirs = {argument: given.get(argument, params[argument].default) for argument in one.signature.params}
        if name in ("sgd", "momentum", "nesterov"):
            theirs["lr"] = one.defaults()["lr"]
        assert theirs == one.defaults()


def test_schedules_have_the_defaults_of_torch() -> None:
    torch = pytest.importorskip("torch")
    cycle = inspect.signature(torch.optim.lr_scheduler.OneCycleLR).parameters
    assert SCHEDULES["one_cycle"].defaults() == {name: cycle[name].default for name in SCHEDULES["one_cycle"].signature.params}
    plateau = inspect.signature(torch.optim.lr_scheduler.ReduceLROnPlateau).parameters
    assert all(SCHEDULES["plateau"].defaults()[name] == plateau[name].default for name in ("patience", "factor"))


# What is printed of the networks that ship


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("alexnet", (128, 90, "momentum", 0.01, 5e-4)),  # Krizhevsky et al., section 5
        ("vgg16", (256, 74, "momentum", 0.01, 5e-4)),  # Simonyan & Zisserman, section 3.1
        ("resnet50", (256, 90, "momentum", 0.1, 1e-4)),  # He et al., section 3.4; torchvision's reference
        ("resnet20_cifar", (128, 164, "momentum", 0.1, 1e-4)),  # section 4.2: 64,000 steps
        ("densenet121", (256, 90, "nesterov", 0.1, 1e-4)),  # Huang et al., section 4.2
        ("densenet_40_12", (64, 300, "nesterov", 0.1, 1e-4)),
        ("wide_resnet28_10", (128, 200, "nesterov", 0.1, 5e-4)),  # Zagoruyko & Komodakis, section 3
        ("mobilenet_v2", (96, 300, "rmsprop", 0.045, 4e-5)),  # Sandler et al., section 6.1
    ],
)
def test_recipes_of_the_authors(name: str, figures: tuple[Any, ...]) -> None:
    recipe = archc.load(name).recipe
    options = recipe.optimizer.options
    assert (recipe.batch, recipe.epochs, recipe.optimizer.name, options["lr"], options["weight_decay"]) == figures
    assert options.get("momentum") == 0.9


def test_steps_of_resnet_on_cifar() -> None:
    """64,000 steps with drops at 32,000 and 48,000 are these epochs of 50,000 images."""
    recipe = archc.load("resnet20_cifar").recipe
    steps = math.ceil(50_000 / recipe.batch)
    assert [round(at / steps) for at in (32_000, 48_000, 64_000)] == [*recipe.schedule.options["at"], recipe.epochs]


def test_heads_of_googlenet() -> None:
    graph = archc.load("googlenet")
    assert graph.recipe.heads == dict.fromkeys(graph.heads, 0.3) == {"aux1": 0.3, "aux2": 0.3}


# The command line


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    recipe_options(parser)
    return parser.parse_args(words)


def recipe_of(args: argparse.Namespace, graph: Graph) -> Recipe:
    return recipe_with(graph, overrides(args), args.recipe)


def test_options(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("epochs: 9\nseed: 9\nwarmup: 2\n")
    words = ["--data", "photos", "--batch", "fit", "--epochs", "3", "--optimizer", "momentum", "--lr", "0.5", "--weight-decay", "1e-4"]
    words += ["--schedule", "{step: {at: [1, 2]}}", "--warmup", "1", "--loss", "bce", "--precision", "bf16", "--accumulate", "2"]
    words += ["--strategy", "ddp", "--save-every", "10", "--augment", "flip", "--augment", "{crop: 2}", "--freeze", "*.bias"]
    words += ["--freeze", "stem.*", "--train", "stop=3", "--train", "optimizer.momentum=0.8", "--recipe", str(tmp_path / "recipe.yaml")]
    found = recipe_of(parsed(*words), PLAIN)
    assert found == Recipe(
        data=Data("photos"), batch=0, epochs=3, warmup=1, accumulate=2, precision="bfloat16", strategy="ddp", save_every=10, seed=9,
        optimizer=Part("momentum", {"lr": 0.5, "momentum": 0.8, "weight_decay": 1e-4, "dampening": 0.0}), stop=EarlyStop(3),
        schedule=Part("step", {"every": None, "at": (1, 2), "gamma": 0.1}), loss=Part("bce", {}),
        augment=(Part("flip", {"p": 0.5}), Part("crop", {"padding": 2})), freeze=("*.bias", "stem.*"),
    )  # fmt: skip
    assert recipe_of(parsed("--augment", "[flip, vertical_flip]"), PLAIN) == recipe_with(PLAIN, ["augment=[flip, vertical_flip]"])
    assert recipe_of(parsed(), of(WHOLE)) == READ and overrides(parsed()) == []


def test_mistakes_name_the_option() -> None:
    with pytest.raises(SpecError) as error:
        recipe_of(parsed("--epochs", "none", "--lr", "fast", "--augment", "flp"), PLAIN)
    told = str(error.value)
    assert "--> --epochs:1:1" in told and "--> --augment:1:2" in told and 'did you mean "flip"?' in told


def test_no_recipe_is_imported_for_a_spec_without_one() -> None:
    script = "import sys; from archc.cli.main import main; main(['analyze', 'specs/zfnet.yaml']); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "archc.elaborate" in ran.stderr and "archc.recipe" not in ran.stderr
