"""The contrast of the page's colours, by WCAG 2."""

import re

import numpy as np
from playwright.sync_api import Page


def colour(page: Page, name: str) -> tuple[int, ...]:
    text = page.evaluate("name => getComputedStyle(document.documentElement).getPropertyValue(name)", name)
    return tuple(bytes.fromhex(text.strip().removeprefix("#")))


def ground(page: Page) -> tuple[int, ...]:
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return tuple(map(int, re.findall(r"\d+", shown)))


def contrasts(page: Page) -> list[float]:
    """Return the contrast of each text colour to its background."""
    pairs = [("text", "ground"), ("quiet", "ground"), ("quiet", "raised"), ("quiet", "paper"), ("blue", "ground")]
    pairs += [("orange", "ground"), ("on-blue", "blue"), ("ground", "orange"), ("text", "raised"), ("blue", "paper")]
    return [contrast(colour(page, f"--{one}"), colour(page, f"--{other}")) for one, other in pairs]


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(rgb: tuple[int, ...]) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.array(rgb) / 255]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
