"""The report page's scripts under TypeScript's checker and a linter, as the page has them: one after the other, in one scope."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archc.html.page import FOLDER, SCRIPTS

pytest.importorskip("deno", reason="checks the scripts with Deno: pip install deno")
CONFIG = {
    "compilerOptions": {
        "checkJs": True,
        "strict": True,
        "noImplicitAny": False,  # what has no type in JSDoc is inferred, or is anything
        "strictNullChecks": False,
        "noUnusedLocals": True,
        "noUnusedParameters": True,
        "noImplicitReturns": True,
        "noFallthroughCasesInSwitch": True,
        "lib": ["dom", "dom.iterable", "esnext"],
    },
    "lint": {
        "rules": {
            "include": ["no-eval", "no-self-compare", "no-throw-literal", "default-param-last", "guard-for-in"],
            "exclude": ["no-window", "no-window-prefix"],  # these are Deno's own: the page is for a browser
        }
    },
}
MISTAKE = 'const mistaken = digits(1).size;\nlet never = eval("2");\n'


def told(folder: Path, more: str = "") -> str:
    """What the checker and the linter say, each place as file:line:column; empty where all is well."""
    texts = [(f"{name}.js", (FOLDER / f"{name}.js").read_text(encoding="utf-8")) for name in SCRIPTS] + [("more.js", more)]
    places = [f"{name}:{line}" for name, text in texts for line, _ in enumerate(text.split("\n"), 1)]
    page = folder / "page.js"
    page.write_text("\n".join(text for _, text in texts), encoding="utf-8")
    (folder / "deno.json").write_text(json.dumps(CONFIG))
    # Nothing is fetched: the checker, the linter and the types of the browser are in the one program.
    env = os.environ | {"DENO_DIR": str(folder / "cache"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    said = []
    for words in (["check", "--no-remote", "--no-npm"], ["lint", "--compact"]):
        ran = subprocess.run([sys.executable, "-m", "deno", *words, page.name], cwd=folder, env=env, capture_output=True, text=True)
        said += [ran.stderr + ran.stdout] if ran.returncode else []
    place = re.compile(r"\S*page\.js(?::|: line )(\d+)(?::|, col )")
    return place.sub(lambda match: f"{places[int(match[1]) - 1]}:", "\n".join(said))


def test_the_scripts_are_sound(tmp_path: Path) -> None:
    said = told(tmp_path)
    assert not said, said


def test_a_mistake_is_found_at_its_place(tmp_path: Path) -> None:
    said = told(tmp_path, MISTAKE)
    assert "'size' does not exist on type 'string'" in said and "more.js:1:28" in said
    assert "no-eval" in said and "more.js:2:13" in said
