"""A real browser, the pages that are looked at in it, and what may not happen there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import archc
from archc.catalog.devices.catalogue import find
from archc.html import data, network
from tests.html.test_page import SPEC

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
Open = Callable[..., Any]
LONG_BLOCK = "a_block_with_a_name_that_is_far_too_long_for_any_column_of_a_table_that_people_read"
ENDS = f"""
archc: 1
name: ends
blocks: {{{LONG_BLOCK}: {{layers: [{{conv: {{channels: 8}}}}, relu]}}}}
input: {{left: [4, 8, 8], right: [4, 8, 8]}}
layers:
  a: {{{LONG_BLOCK}: , from: left}}
  b: {{conv: {{channels: 2}}, from: right}}
outputs: {{classes: a, boxes: b, given: right}}
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[browser]'")
    with playwright.sync_playwright() as running:
        own = running.chromium.executable_path
        found = next(filter(None, map(shutil.which, NAMES)), own if own and Path(own).exists() else None)
        if found is None:
            pytest.skip("needs Chromium: `playwright install chromium`, or one on the PATH")
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        chromium = running.chromium.launch(executable_path=found, args=["--no-sandbox"] if root else [])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files that are looked at, each made once."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {
        "one": archc.report("resnet18", batch=4, optimizer="sgd"),
        "two": archc.report("resnet18", "resnet34"),
        "hostile": archc.report(archc.loads(SPEC)),
        "head": archc.report("inception_v3"),
        "dense": archc.report("densenet_40_12"),
        "ends": archc.report(archc.loads(ENDS)),
        "large": _as_if_large(),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Open]:
    """Opens a page; what it asks of the network, says on the console or shows as a dialog is a failure."""
    contexts, wrong = [], []

    def go(name: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith("file:") or wrong.append(request.url))
        page.goto(pages[name].as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def _as_if_large() -> str:
    """The page of a network that is too large for derivations and timelines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "MOST_PLAYED", 1)
        patch.setattr(network, "MOST_DERIVED", 1)
        return data.report([archc.load("lenet5")], find("t4"), data.TrainingChoice())
