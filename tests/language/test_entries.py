"""Entries, chains, names, modifiers."""

from __future__ import annotations

import pytest

from tests.language.helpers import codes, graph_of, model_of, names, wired


def test_forms_of_an_entry() -> None:
    text = """
    layers:
      - relu
      - {conv: 8}
      - {conv: {channels: 8, kernel: 3}}
      - [relu, {conv: 4}]
      - {layers: [relu]}
      - {inline: [relu, {conv: 2}]}
      - flatten: null
      - linear:
          features: 3
    """
    assert wired(text) == [
        "0 relu 4x16x16 < input",
        "1 conv 8x16x16 < 0",
        "2 conv 8x14x14 < 1",
        "3.0 relu 8x14x14 < 2",
        "3.1 conv 4x14x14 < 3.0",
        "4.0 relu 4x14x14 < 3.1",
        "5 relu 4x14x14 < 4.0",
        "6 conv 2x14x14 < 5",
        "7 flatten 392 < 6",
        "8 linear 3 < 7",
    ]


def test_a_mapping_names_and_a_list_numbers() -> None:
    assert names("layers: {a: relu, b: {layers: {c: relu, d: [relu, relu]}}}") == ["a", "b.c", "b.d.0", "b.d.1"]


def test_what_is_not_there_takes_no_number() -> None:
    assert names("layers: [relu, {when: false, relu: }, identity, {inline: []}, null, relu]") == ["0", "1"]


def test_inline_takes_the_names_of_its_level() -> None:
    assert names("layers: {a: {inline: {b: relu, c: relu}}, d: {inline: [relu, relu]}}") == ["b", "c", "0", "1"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("- {repeat: 3, relu: }\n  - tanh", ["0", "1", "2", "3"]),
        ("- {repeat: 2, layers: [relu]}", ["0.0", "1.0"]),
        ("- {repeat: 2, inline: [relu, tanh]}", ["0", "1", "2", "3"]),
        ("- {repeat: 0, relu: }\n  - tanh", ["0"]),
        ("a: {repeat: 2, relu: }", ["a.0", "a.1"]),
        ("a: {repeat: 1, relu: }", ["a.0"]),
        ("a${index}: {repeat: 2, relu: }", ["a0", "a1"]),
        ("a: {for: {c: [4, 8]}, conv: $c}", ["a.0", "a.1"]),
        ("a${c}: {for: {c: [4, 8]}, conv: $c}", ["a4", "a8"]),
        ("a${c}: {for: {c: [4, 8]}, repeat: 2, conv: $c}", ["a4.0", "a4.1", "a8.0", "a8.1"]),
        ("a: {for: {c: [4, 8]}, repeat: 2, conv: $c}", ["a.0", "a.1", "a.2", "a.3"]),
        ("a${c}_${index}: {for: {c: [4, 8]}, repeat: 2, conv: $c}", ["a4_0", "a4_1", "a8_0", "a8_1"]),
        ("- {for: [{c: 4}, {c: 8}], when: '${c > 4}', conv: $c}", ["0"]),
    ],
)
def test_names_of_copies(entry: str, expected: list[str]) -> None:
    assert names(f"layers:\n  {entry}\n") == expected


def test_index_first_and_last_are_those_of_the_innermost_repeat() -> None:
    width = "${8 * (index + 1) + (1 if first else 0) + (2 if last else 0)}"
    text = f"layers: [{{repeat: 2, layers: [{{repeat: 3, conv: '{width}'}}]}}]"
    assert [node.output.shape[0] for node in graph_of(text).nodes] == [9, 16, 26, 9, 16, 26]


def test_rows_of_for() -> None:
    by_rows = "layers: [{for: [{c: 4, k: 1}, {c: 8, k: 3}], conv: {channels: $c, kernel: $k}}]"
    zipped = "layers: [{for: {c: [4, 8], k: [1, 3]}, conv: {channels: $c, kernel: $k}}]"
    given = "params: {cs: [4, 8]}\nlayers: [{for: {c: $cs, k: '${[1, 3]}'}, conv: {channels: $c, kernel: $k}}]"
    assert wired(by_rows) == wired(zipped) == wired(given) == ["0 conv 4x16x16 < input", "1 conv 8x14x14 < 0"]


def test_when_false_passes_its_first_input_on() -> None:
    text = """
    layers:
      a: {conv: 8}
      b: {from: [input, a], when: false, concat: }
      c: relu
      d: {from: b, relu: }
    """
    assert wired(text)[1:] == ["c relu 4x16x16 < input", "d relu 4x16x16 < input"]


def test_from_looks_here_then_outward_then_down() -> None:
    text = """
    layers:
      a: [{conv: 8}, relu]
      b:
        layers:
          x: {from: a.0, relu: }
          y: {from: x, relu: }
          z: {from: input, relu: }
      c: {from: b.x, relu: }
      d: {from: b, relu: }
      e: {from: .a.1, relu: }
    """
    assert wired(text)[2:] == [
        "b.x relu 8x16x16 < a.0",
        "b.y relu 8x16x16 < b.x",
        "b.z relu 4x16x16 < input",
        "c relu 8x16x16 < b.x",
        "d relu 4x16x16 < b.z",
        "e relu 8x16x16 < a.1",
    ]


def test_a_leading_dot_reads_from_the_edge() -> None:
    text = "layers: {a: {conv: 8}, b: {layers: {a: relu, c: {from: a, relu: }, d: {from: .a, relu: }}}}"
    assert wired(text)[2:] == ["b.c relu 8x16x16 < b.a", "b.d relu 8x16x16 < a"]


def test_from_with_copies() -> None:
    first = "layers: {a: {conv: 4}, b: {conv: 4}, c: {from: a, repeat: 2, relu: }}"
    assert wired(first)[2:] == ["c.0 relu 4x16x16 < a", "c.1 relu 4x16x16 < c.0"]
    own = "layers: {a0: {conv: 4}, a1: {conv: 4}, c: {from: 'a${index}', repeat: 2, relu: }}"
    assert wired(own)[2:] == ["c.0 relu 4x16x16 < a0", "c.1 relu 4x16x16 < a1"]


def test_a_number_in_from_is_legal_and_linted() -> None:
    model = model_of("layers: [{conv: 8}, relu, {from: [0, 1], add: }]")
    assert model.graph is not None and [one.code for one in model.diagnostics] == ["A901", "A901"]


def test_train_only_is_a_side_branch() -> None:
    text = """
    layers:
      a: {conv: 8}
      aux: {train_only: true, layers: [global_avgpool, flatten, {linear: 10}]}
      b: {conv: 2}
    outputs: {main: b, aux: aux}
    """
    assert wired(text) == [
        "a conv 8x16x16 < input",
        "aux.0 global_avgpool 8x1x1 < a (training)",
        "aux.1 flatten 8 < aux.0 (training)",
        "aux.2 linear 10 < aux.1 (training)",
        "b conv 2x16x16 < a",
    ]
    graph = graph_of(text)
    assert list(graph.outputs) == ["main", "aux"]
    assert list(graph.deployed().outputs) == ["main"] and len(graph.deployed().nodes) == 2


def test_a_name_that_means_something_is_not_bound_again() -> None:
    assert codes("params: {c: 4}\nlayers: [{for: {c: [8]}, conv: $c}]") == ["A305"]
    assert codes("layers: [{for: {c: [8]}, layers: [{for: {c: [4]}, conv: $c}]}]") == ["A305"]


def test_anchors_and_aliases() -> None:
    assert wired("layers: [&unit {conv: 8}, *unit]") == ["0 conv 8x16x16 < input", "1 conv 8x16x16 < 0"]
