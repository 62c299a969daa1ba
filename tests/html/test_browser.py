"""The page in a real browser: what a reader does with it, and that it neither loads nor runs what it should not."""

from __future__ import annotations

import pytest

import archc
from archc.catalog.devices.catalogue import find
from tests.html.conftest import LONG_BLOCK, Open
from tests.html.seen import choose, panel, peak, row, rows, seconds
from tests.html.test_page import HOSTILE


def test_figures_are_those_of_the_analysis(opened: Open) -> None:
    page, report = opened("one"), archc.analyze("resnet18")
    for figure, value in (("parameters", report.parameters), ("MACs", report.macs), ("FLOPs", report.flops)):
        assert page.locator(f'[data-figure="{figure}"] .small').inner_text() == f"{value:,}"


def test_batch_dtype_and_optimizer_are_switched(opened: Open) -> None:
    page = opened("one")
    assert peak(page) == archc.memory("resnet18", batch=4).peak_bytes
    choose(page, batch=77, optimizer="adamw")
    assert peak(page) == archc.memory("resnet18", batch=77, optimizer="adamw").peak_bytes
    choose(page, dtype="bfloat16")
    assert peak(page) == archc.memory("resnet18", batch=77, optimizer="adamw", dtype="bfloat16").peak_bytes
    choose(page, dtype="autocast", optimizer="adafactor")
    assert peak(page) == archc.memory("resnet18", batch=77, optimizer="adafactor", amp="bfloat16").peak_bytes
    choose(page, training="false", dtype="float64", batch=1)
    assert peak(page) == archc.memory("resnet18", batch=1, dtype="float64", inference=True).peak_bytes


def test_a_batch_of_one_is_that_of_the_simulation(opened: Open) -> None:
    page = opened("dense")
    for batch in (1, 2, 3):
        choose(page, batch=batch)
        assert peak(page) == archc.memory("densenet_40_12", batch=batch).peak_bytes


def test_the_bound_is_that_of_the_roofline(opened: Open) -> None:
    page = opened("head")
    choose(page, batch=8, device="h100-sxm", dtype="bfloat16")
    wanted = archc.roofline("inception_v3", device="h100-sxm", batch=8, dtype="bfloat16", training=True)
    shown = page.locator('[data-figure="least time"] b').inner_text()
    assert seconds(shown) == pytest.approx(wanted.seconds, rel=0.005)  # three digits are shown
    page.get_by_role("button", name="list").click()
    for layer in (wanted["Conv2d_1a_3x3.conv"], wanted["Mixed_5b.branch3x3dbl_2.bn"], wanted["AuxLogits.fc"]):
        row(page, layer.name).locator("td").nth(8).click()
        text = panel(page)
        assert f"= {layer.forward.amount.bytes:,} bytes" in text and f"= {layer.backward.amount.bytes:,} bytes" in text
        page.keyboard.press("Escape")


def test_a_batch_that_is_none_changes_nothing(opened: Open) -> None:
    page = opened("one")
    before = peak(page)
    for text in ("0", "", "70000", "2.5"):
        page.locator("#choose-batch").fill(text)
        assert page.locator("#choose-batch").get_attribute("aria-invalid") == "true" and peak(page) == before
    page.get_by_role("button", name="Twice the batch").click()
    assert peak(page) == archc.memory("resnet18", batch=8).peak_bytes


def test_columns_sort(opened: Open) -> None:
    page, report = opened("one"), archc.analyze("resnet18")
    page.get_by_role("button", name="list").click()
    assert rows(page) == [layer.name for layer in report.layers]
    heading = page.locator(".layers thead th", has_text="MACs")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    macs = [report[name].macs.low for name in rows(page)]
    assert macs == sorted(macs, reverse=True) and macs[0] > macs[-1]
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    macs = [report[name].macs.low for name in rows(page)]
    assert macs == sorted(macs)


def test_rows_are_filtered_and_counted(opened: Open) -> None:
    page, report = opened("one"), archc.analyze("resnet18")
    page.get_by_role("searchbox").fill("downsample")
    found = [layer for layer in report.layers if "downsample" in layer.name]
    said = page.locator(".layers [role=status]")
    assert said.get_attribute("aria-live") == "polite"
    assert said.inner_text() == f"{len(found)} of {len(report.layers)} layers"
    assert set(rows(page)) >= {layer.name for layer in found} | {"layer2.0"} and "conv1" not in rows(page)
    sums = page.locator(".layers tfoot td").nth(2).inner_text()
    assert sums == f"{sum(layer.parameters.low for layer in found) / 1e3:.0f}K"
    page.get_by_role("searchbox").fill("no such layer")
    assert said.inner_text().startswith("0 of") and rows(page) == []


def test_scopes_fold(opened: Open) -> None:
    page = opened("one")
    assert "layer1.0.conv1" not in rows(page)
    row(page, "layer1").locator("th").click()
    assert "layer1.0" in rows(page) and row(page, "layer1").get_attribute("aria-expanded") == "true"
    page.locator(".layers").get_by_role("button", name="unfold").click()
    assert "layer4.1.relu2" in rows(page)
    page.locator(".layers").get_by_role("button", name="fold", exact=True).click()
    assert "layer1.0" not in rows(page)


def test_hovering_highlights_everywhere(opened: Open) -> None:
    page = opened("one")
    row(page, "conv1").hover()
    assert page.locator(".diagram .box.hot").get_attribute("aria-label").startswith("conv1,")
    assert page.locator(".layers tr.hot").count() == 1 and page.locator(".roofline circle.hot").count() == 1
    assert float(page.locator(".strip .mark").first.get_attribute("width")) > 0
    assert "conv1" in page.locator(".readout").inner_text()
    page.locator(".diagram .box", has_text="maxpool").first.hover()
    assert page.locator(".layers tr.hot th").first.inner_text().strip() == "maxpool"
    page.locator(".strip").first.hover(position={"x": 2, "y": 20})
    assert page.locator(".layers tr.hot th").first.inner_text().strip() == "conv1"


def test_a_click_shows_the_derivation(opened: Open) -> None:
    page = opened("one")
    row(page, "conv1").locator("td").nth(3).click()
    assert "64*112*112*3/1*7*7" in panel(page) and "= 118,013,952" in panel(page)
    assert page.locator("#panel .wanted b").inner_text() == "MACs"
    assert page.evaluate("document.activeElement.closest('#panel') !== null")
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden() and page.evaluate("document.activeElement.closest('.layers') !== null")
    page.locator('[data-figure="peak memory"]').click()
    assert f"{peak(page):,}" in panel(page)
    page.locator("#choose-batch").fill("16")
    assert f"{archc.memory('resnet18', batch=16).peak_bytes:,}" in panel(page)


def test_the_table_is_driven_by_the_keyboard(opened: Open) -> None:
    page = opened("one")
    row(page, "conv1").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.shows.name") == "layer1.0"
    assert page.locator(".layers tr.hot").count() == 1
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.shows.name") == "layer1"
    page.keyboard.press("ArrowLeft")
    assert "layer1.0" not in rows(page) and page.evaluate("document.activeElement.shows.name") == "layer1"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert "conv1: conv" in panel(page)


def test_the_diagram_and_charts_are_driven_by_the_keyboard(opened: Open) -> None:
    page = opened("one")
    page.locator(".diagram .box.scope").last.focus()
    count = page.locator(".diagram .box").count()
    page.keyboard.press("Enter")
    assert page.locator(".diagram .box").count() != count
    strip = page.locator(".strip").nth(1)
    strip.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert strip.get_attribute("aria-valuetext").startswith("bn1, batchnorm") and page.locator(".layers tr.hot").count() == 1
    plot = page.locator(".timeline")
    plot.focus()
    page.keyboard.press("End")
    assert plot.get_attribute("aria-valuetext").startswith("after end: ")
    assert "end:" in page.locator(".moment").inner_text()


def test_the_diagram_zooms_and_folds(opened: Open) -> None:
    page = opened("one")

    def width() -> int:
        return int(page.locator(".diagram").get_attribute("width"))

    before = width()
    page.get_by_role("button", name="Zoom in").click()
    assert width() > before
    area = page.locator(".canvas")
    area.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, 300)
    page.keyboard.up("Control")
    page.wait_for_function(f"Number(document.querySelector('.diagram').getAttribute('width')) < {before}")
    page.locator(".map").get_by_role("button", name="fold", exact=True).click()
    assert page.locator(".diagram .box.scope.open").count() == 0
    page.locator(".diagram .box.scope").first.click()
    assert page.locator(".diagram .box.scope.open").count() == 1
    page.locator(".map select").select_option("macs")
    assert page.locator(".diagram.heat").count() == 1


def test_two_networks_stand_side_by_side(opened: Open) -> None:
    page = opened("two")
    left, right = (page.locator(".network").nth(i).bounding_box() for i in (0, 1))
    assert left["x"] + left["width"] <= right["x"] and abs(left["width"] - right["width"]) < 2
    compared = page.locator(".compare").inner_text()
    assert f"{archc.analyze('resnet34').parameters:,}" in compared and "added" in compared
    page.locator(".layers").nth(0).locator("tbody tr").first.hover()
    assert page.locator(".layers tr.hot").count() == 2
    page.locator(".compare button").first.click()
    assert page.locator(".network").nth(1).locator(".diagram .box.hot.differs").count() == 1
    page.locator(".network").nth(1).locator(".layers").get_by_role("button", name="unfold").click()
    added = page.locator(".network").nth(1).locator(".tag.differs").all_inner_texts()
    assert added == ["added"] * 8  # basic blocks, of 16 instead of 8


def test_layers_of_training_alone_are_told_apart(opened: Open) -> None:
    page = opened("head")
    aux = row(page, "AuxLogits")
    assert "training only" in aux.inner_text()
    shown = page.locator('[data-figure="parameters"] .small').inner_text()
    assert shown == f"{archc.analyze('inception_v3').parameters:,}"


def test_a_hostile_name_is_a_text(opened: Open) -> None:
    page = opened("hostile")
    assert page.evaluate("document.querySelector('title').textContent") == f"{HOSTILE}: archc report"
    assert page.locator("h2").first.evaluate("node => node.textContent") == HOSTILE
    assert page.locator("img").count() == 0 and page.locator("main b b, .about b, .about a, i:not([class])").count() == 0
    page.locator(".layers tbody tr").first.locator("td").nth(2).click()
    page.locator('[data-figure="parameters"]').click()
    page.wait_for_timeout(100)


def test_what_is_copied_is_what_is_shown(opened: Open) -> None:
    page = opened("one", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="list").click()
    page.get_by_role("button", name="copy CSV").click()
    page.locator(".told").wait_for()
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    report = archc.analyze("resnet18")
    assert lines[0].startswith("layer,kind,output,parameters,MACs") and len(lines) == len(report.layers) + 1
    assert lines[1].startswith("conv1,conv,64x112x112,9408,118013952,")


def test_every_choice_can_be_made(opened: Open) -> None:
    page = opened("one")
    for device in ("t4", "h100-sxm", "a100-40gb"):
        for dtype in ("float64", "tf32", "bfloat16", "float16", "autocast", "float32"):
            for training in ("false", "true"):
                choose(page, device=device, dtype=dtype, training=training)
                known = dtype in find(device).flops or (dtype == "autocast" and "bfloat16" in find(device).flops)
                assert (page.locator('[data-figure="least time"] b').first.inner_text() != "?") == known


def test_a_large_network_has_what_it_can(opened: Open) -> None:
    page = opened("large")
    assert page.locator('[data-figure="peak memory"]').count() == 0 and "archc memory" in page.locator("[aria-label=Memory]").inner_text()
    row(page, "conv1").locator("td").nth(3).click()
    assert "archc explain lenet5 conv1" in panel(page)
    choose(page, batch=3, training="false", device="a100-40gb")


def test_several_outputs_are_named(opened: Open) -> None:
    page = opened("ends")
    names = page.locator(".diagram .box.input").evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
    assert sorted(names) == ["input left", "input right", "output boxes", "output classes", "output given"]
    assert page.locator("[aria-label='output boxes']").evaluate("one => [...one.children].map((text) => text.textContent).join(' ')") == (
        " boxes 2x8x8"
    )
    tops = [page.locator(f"[aria-label^='{name}']").bounding_box()["y"] for name in ("input right", "b,", "output boxes")]
    assert tops == sorted(set(tops))
    assert page.locator(".diagram .edge.arrow").count() == 7  # two from inputs, two within the block, three to outputs
    page.locator("[aria-label='output boxes']").click()
    assert opened("one").locator("[aria-label^='output ']").count() == 0


def test_nothing_bound_by_arithmetic_is_said_so(opened: Open) -> None:
    said = opened("ends").locator("[aria-label=Roofline] .lead").inner_text()
    assert said.endswith("None of it is bound by arithmetic, all by bandwidth.") and "0.0%" not in said
    assert "% of it is bound by arithmetic, the rest by bandwidth." in opened("one").locator("[aria-label=Roofline] .lead").inner_text()


def test_a_long_kind_is_cut(opened: Open) -> None:
    page = opened("ends")
    kind = row(page, "a").locator("td").first
    assert kind.bounding_box()["width"] < 200 and kind.get_attribute("title") == LONG_BLOCK == kind.text_content()
    assert kind.evaluate("cell => cell.scrollWidth > cell.clientWidth && getComputedStyle(cell).textOverflow") == "ellipsis"
