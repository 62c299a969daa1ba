"""What is seen on a page, and how it is changed."""

from __future__ import annotations

from typing import Any


def rows(page: Any) -> list[str]:
    """The names in the table, from above."""
    found: list[str] = page.eval_on_selector_all(".layers tbody tr", "all => all.map((row) => row.shows?.name ?? '')")
    return found


def row(page: Any, name: str) -> Any:
    number = rows(page).index(name)
    return page.locator(".layers tbody tr").nth(number)


def choose(page: Any, **choice: Any) -> None:
    for name, value in choice.items():
        field = page.locator(f"#choose-{name}")
        if name == "batch":
            field.fill(str(value))
        else:
            field.select_option(str(value))


def peak(page: Any) -> int:
    text: str = page.locator('[data-figure="peak memory"] .small').inner_text()
    return int(text.removesuffix(" bytes").replace(",", ""))


def panel(page: Any) -> str:
    text: str = page.locator("#panel").inner_text()
    return text


def seconds(text: str) -> float:
    """`1.23 ms` as seconds."""
    value, unit = text.split()
    return float(value) * {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
