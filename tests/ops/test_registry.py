"""Every operator is documented in one form, and none needs PyTorch."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest

import archc.ops
from archc.ops import MODULES, OPERATORS, Op
from archc.signature import MISSING

SHIPPED = [OPERATORS[name] for name in OPERATORS if OPERATORS[name].module.startswith("archc.ops.")]
every_operator = pytest.mark.parametrize("one", SHIPPED, ids=lambda one: one.name)

# `[C, *S] -> [C, *S']. What it does.`; between the shapes stand no more than these words
SUMMARY = re.compile(r"(?P<rule>.*? -> .*?(?:\]|shape))\. (?P<sentence>\S.*\.)")
BETWEEN = re.compile(r"(?:\[\]|shape|->|or|,|…|and a map to match|`parts` values of| )+")


@every_operator
def test_the_first_line_tells_the_shapes_and_what_it_does(one: Op) -> None:
    found = SUMMARY.fullmatch(one.summary)
    assert found, one.summary
    assert BETWEEN.fullmatch(re.sub(r"\[[^\[\]]+\]", "[]", found["rule"])), found["rule"]


@every_operator
def test_every_argument_has_a_meaning_and_a_default_that_it_accepts(one: Op) -> None:
    for param in one.signature.params.values():
        assert param.doc, param.name
        assert not param.doc.endswith("."), param.name
        if param.default is not MISSING and param.default is not None:
            assert param.type.accept(param.default) == param.default, param.name


@every_operator
def test_meanings_stand_in_the_order_of_the_arguments(one: Op) -> None:
    lines = [line.strip().partition(": ")[0] for line in (one.function.__doc__ or "").splitlines()]
    assert [line for line in lines if line in one.signature.params] == list(one.signature.params)


@every_operator
def test_an_operator_takes_its_name_from_its_function(one: Op) -> None:
    assert one.name == one.function.__name__


def test_each_operator_is_listed_beside_its_module() -> None:
    for module in iter_modules(archc.ops.__path__, "archc.ops."):
        import_module(module.name)
    listed = {name: f"archc.ops.{module}" for module, names in MODULES.items() for name in names.split()}
    assert {name: OPERATORS[name].module for name in OPERATORS if OPERATORS[name].built_in} == listed


def test_operators_that_are_not_asked_for_are_not_imported() -> None:
    code = "import sys; from archc.ops import OPERATORS as o; o['relu']; print(*sorted(m for m in sys.modules if m[10:] in sys.argv[1:]))"
    found = subprocess.run([sys.executable, "-c", code, *MODULES], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["archc.ops.activation"]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(KeyError, match="conv"):
        OPERATORS["conw"]


def test_operators_come_without_pytorch() -> None:
    code = "import sys; from archc.ops import OPERATORS as o; [o[name] for name in o]; print({'torch', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
