"""Specs that are mutated in many ways: words, brackets, numbers, indentation, whole entries, and texts that grow."""

from __future__ import annotations

import random
import re

from tests.helpers.paths import ROOT

EXTREME = [
    *("0", "-1", "1e-320", "1e308", "9007199254740992", "2147483647", "-2147483648", "1e999", ".nan", "0x1F", "null", "true", "''", "[]"),
    *("{}", "[[]]", "[1, [2, [3]]]", "'${1/0}'", "'${2**53}'", "'${range(1000)}'", "'${[1] * 1000}'", "'${input}'", "$a", "a.b.c", "~"),
    *("{conv: 8}", "{relu: }", "[relu, {conv: 3}]", "'${[[1, 2], [3]]}'", "'x$a'", "'${1.5}'", "1_000", "'1e3'", "99999999999999999999"),
]
FRAGMENTS = [
    *"$}{[]:#'\"|>~!&*\t\n\0\u2028é😀,.-",
    *(
        "${",
        ": ",
        "- ",
        "&a ",
        "*a",
        "  ",
        "from: input",
        "repeat: 3",
        "repeat: 1000000",
        "when: false",
        "for: {i: [1, 2]}",
        "train_only: true",
    ),
    *("share: 0", "split: 2", "identity", "add:", "concat:", "expect: {macs: 3}", "inline: [relu]", "layers: [relu]", "flatten", "tokens"),
    *(
        "extends: vgg16",
        "use: [a.yaml]",
        "input: [x, skip]",
        "inputs: [x, y]",
        "params: {a: int = 3}",
        "outputs: [0]",
        "init: {conv: zeros}",
    ),
    *(
        "budget: {macs: 1}",
        "defaults: {conv: {bias: false}}",
        "train: {epochs: 2}",
        "published: [{macs: 1, by: x}]",
        "from: [0, input]",
        "a:b",
    ),
]
ENTRIES = [
    *(
        "relu",
        "batchnorm",
        "identity",
        "{conv: 4}",
        "{conv: {channels: 3, kernel: 3, padding: same, groups: 1}}",
        "{maxpool: 2}",
        "flatten",
    ),
    *("{dropout: 0.5}", "{linear: 5}", "{train_only: true, inline: [%s]}", "{from: input, inline: [%s]}", "{repeat: 2, inline: [%s]}"),
    *("{layers: [%s, %s]}", "{add: [%s, identity]}", "{concat: [%s, %s]}", "{mul: {p: %s, q: identity}}", "{when: '${1 > 2}', relu: }"),
    *(
        "{share: 0}",
        "{from: 0, relu: }",
        "{split: 2}",
        "{repeat: 0, relu: }",
        "{basic_block: 8}",
        "{squeeze_excite: 2}",
        "{train_only: true, relu: }",
    ),
    *(
        "[%s, %s]",
        "{from: [0, 0], add: }",
        "global_avgpool",
        "{upsample: 2}",
        "{conv_transpose: {channels: 3, kernel: 2, stride: 2}}",
        "softmax",
    ),
]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "==", "<", ">=", " in ", " not in ", " and ", " or "]
CALLS = ["min", "max", "abs", "round", "floor", "ceil", "int", "float", "str", "len", "sum", "range", "zip", "linspace", "round_to"]
SMALL = [
    "input: [3, 16, 16]\nparams: {a: 1, b: [1, 2], c: text, d: {conv: 4}}\nlayers:\n- {conv: {channels: 8, kernel: 3}}\n"
    "- batchnorm\n- relu\n",
    "input: {x: [4, 8, 8], y: [4]}\nlayers:\n  a: {from: x, conv: 4}\n  b: {from: [a, x], add: }\n  c: [global_avgpool, flatten]\n"
    "  d: {from: [c, y], add: }\noutputs: [d, b]\n",
    "input: [3, 8, 8]\nblocks:\n  k: {params: {n: int, act: layer = relu}, layers: [{conv: $n}, $act, {when: '${n > 2}', conv: 3}]}\n"
    "layers:\n- {repeat: 3, k: {n: '${index + 1}'}}\n- add: {l: {conv: {channels: 2, kernel: 1}}, r: {conv: 2}}\n"
    "- {train_only: true, relu: }\n",
    "input: [16, 8]\nlayers:\n- {repeat: 2, add: [[layernorm, {attention: 2}], identity]}\n- {linear: 4}\ninit: {linear: {normal: 0.1}}\n",
    "input: [3, 8, 8]\nlayers:\n  s: {for: {c: [4, 8], k: [1, 3]}, conv: {channels: $c, kernel: $k, padding: same}}\n"
    "  t: {share: s.1, from: s.0}\n  u: {split: 2}\n  v: {from: [u.0, u.1], concat: }\nexpect: {parameters: 1K}\nbudget: {macs: '<= 1M'}\n",
]


def specs() -> list[str]:
    """What is mutated: small ones most often, wrong ones, and those that ship."""
    wrong = [path.read_text() for path in sorted((ROOT / "tests" / "bad_specs").glob("*.yaml"))]
    shipped = [path.read_text() for path in sorted((ROOT / "specs").glob("*.yaml"))]
    short = [text for text in shipped if "extends" in text or len(text) < 1500]
    return [*SMALL * 40, *wrong, *short, *shipped[::8]]


class Mutator:
    """Draws mutants of specs."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.specs = specs()
        self.ways = (
            self._line_gone,
            self._line_twice,
            self._lines_swapped,
            self._characters_gone,
            self._fragment,
            self._word,
            self._value,
            self._value,
            self._expression,
            self._expression,
            self._noise,
            self._crossed,
            self._nested,
        )

    def mutant(self) -> str:
        text = self.random.choice(self.specs)
        if self.random.random() < 0.5:  # most mutants are wrong at once: these go far
            for _ in range(self.random.randint(1, 6)):
                text = self.random.choice((self._number, self._entry, self._nested))(text)
            return text
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            text = self.random.choice(self.ways)(text)
        return text

    def _lines(self, text: str) -> list[str]:
        return text.splitlines(keepends=True) or [""]

    def _at(self, text: str) -> int:
        return self.random.randint(0, len(text))

    def _line_gone(self, text: str) -> str:
        lines = self._lines(text)
        del lines[self.random.randrange(len(lines))]
        return "".join(lines)

    def _line_twice(self, text: str) -> str:
        lines = self._lines(text)
        lines.insert(self.random.randrange(len(lines) + 1), self.random.choice(lines))
        return "".join(lines)

    def _lines_swapped(self, text: str) -> str:
        lines = self._lines(text)
        i, j = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        lines[i], lines[j] = lines[j], lines[i]
        return "".join(lines)

    def _characters_gone(self, text: str) -> str:
        at = self._at(text)
        return text[:at] + text[at + self.random.randint(1, 4) :]

    def _fragment(self, text: str) -> str:
        at = self._at(text)
        return text[:at] + self.random.choice(FRAGMENTS) + text[at:]

    def _word(self, text: str) -> str:
        words = re.findall(r"\w+", text) or ["relu"]
        return text.replace(self.random.choice(words), self.random.choice([*words, *FRAGMENTS]), 1)

    def _value(self, text: str) -> str:
        """A value after a colon or in a list, exchanged for one that is hardly meant."""
        places = list(re.finditer(r"(?<=[:\[,] )[^\s,\]}{]+", text)) or [re.match("", text)]
        place = self.random.choice(places)
        assert place is not None
        return text[: place.start()] + self.random.choice(EXTREME) + text[place.end() :]

    def _number(self, text: str) -> str:
        """A number exchanged for another that may be meant."""
        places = list(re.finditer(r"(?<=[ \[])\d+(?=[,\]}\n])", text))
        if not places:
            return text
        place = self.random.choice(places)
        return text[: place.start()] + str(self.random.choice((1, 2, 3, 4, 5, 6, 8, 16, 17, 32))) + text[place.end() :]

    def _entry(self, text: str) -> str:
        """One more layer in a list of them."""
        places = [found.start() for found in re.finditer(r"(?m)^- ", text)]
        entry = self.random.choice(ENTRIES)
        while "%s" in entry:
            entry = entry.replace("%s", self.random.choice(ENTRIES), 1)
        at = self.random.choice(places or [0])
        return text[:at] + (f"- {entry}\n" if places else "") + text[at:]

    def _expression(self, text: str) -> str:
        """A value exchanged for an expression of the grammar."""
        places = list(re.finditer(r"(?<=[:\[,] )[^\s,\]}{]+", text)) or [re.match("", text)]
        place = self.random.choice(places)
        assert place is not None
        return text[: place.start()] + f'"${{{self.grown(self.random.randint(1, 4))}}}"' + text[place.end() :]

    def grown(self, depth: int) -> str:
        pick = self.random.choice
        if depth == 0:
            return pick(
                ["a", "b", "c", "d", "n", "index", "first", "input.channels", "input", "0", "1", "2.5", "-3", "64", "'t'", "true", "null"]
            )
        inner = [self.grown(depth - 1) for _ in range(3)]
        return pick((
            f"{inner[0]}{pick(OPERATORS)}{inner[1]}",
            f"({inner[0]}){pick(OPERATORS)}({inner[1]})",
            f"{pick(CALLS)}({', '.join(inner[: self.random.randint(0, 3)])})",
            f"[{inner[0]}, {inner[1]}]",
            f"[{inner[0]} for x in {inner[1]}]",
            f"[x{pick(OPERATORS)}x for x in range({inner[0]}) if {inner[1]}]",
            f"{inner[0]} if {inner[1]} else {inner[2]}",
            f"{inner[0]}[{inner[1]}]",
            f"{inner[0]}[{inner[1]}:{inner[2]}]",
            f"not {inner[0]}",
        ))  # fmt: skip

    def _noise(self, text: str) -> str:
        at = self._at(text)
        return text[:at] + "".join(chr(self.random.choice((9, 32, 58, 123, 160, 0x2028, 0x1F600, 127))) for _ in range(2)) + text[at:]

    def _crossed(self, text: str) -> str:
        """Lines of another spec in the midst of one."""
        other, lines = self._lines(self.random.choice(self.specs)), self._lines(text)
        i, at = self.random.randrange(len(other)), self.random.randrange(len(lines))
        return "".join([*lines[:at], *other[i : i + self.random.randint(1, 4)], *lines[at:]])

    def _nested(self, text: str) -> str:
        """A chain within chains, or a layer many times."""
        form = self.random.choice(
            ("[%s]", "{layers: [%s]}", "{repeat: 7, inline: [%s]}", "{repeat: 300, layers: [%s]}", "{add: [%s, identity]}")
        )
        times = self.random.randint(1, 4)
        inner = self.random.choice(("relu", "{conv: 3}", "identity", "{conv: 0}", "batchnorm"))
        for _ in range(times):
            inner = form % inner
        return text.replace("layers:\n- ", f"layers:\n- {inner}\n- ", 1)
