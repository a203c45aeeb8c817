"""hitofude settings."""

import textwrap
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from hitofude.cli.app import app, tell

if TYPE_CHECKING:
    from hitofude.runs.setting_texts import Setting

WIDTH = 79


@app.command
def settings(name: str | None = None, /) -> None:
    """List the settings of a recipe, or explain those of a name.

    Each with its value in the preset fast, and its range. Give any of them to
    run as --set NAME=VALUE.

    For example:
      hitofude settings
      hitofude settings schedule.epochs
      hitofude settings augment
      hitofude settings elastic

    Parameters
    ----------
    name
        A setting, a stage such as augment, or a part of a name: these are
        explained in full, with their values in all presets.
    """
    from hitofude.runs.setting_texts import explain_settings, find_settings

    if name is None:
        tell(_list(explain_settings()))
        tell("\nhitofude settings NAME explains one; hitofude run --set NAME=VALUE sets it.")
    else:
        tell("\n\n".join(_explain(setting) for setting in find_settings(name)))


def _list(settings: Iterable["Setting"]) -> str:
    """Return a line for each setting, and more if its range is long."""
    from hitofude.runs.setting_texts import stage_texts

    lines = ["setting" + " " * 24 + "in fast       values"]
    for stage, own in groupby(settings, key=lambda setting: setting.stage):
        lines += ["", *textwrap.wrap(stage_texts()[stage], WIDTH)]
        for setting in own:
            begin = f"{setting.name:<31}{', '.join(setting.presets['fast']):<14}"
            lines += textwrap.wrap(setting.values, WIDTH, initial_indent=begin, subsequent_indent=" " * 45)
    return "\n".join(lines)


def _explain(setting: "Setting") -> str:
    presets = "; ".join(f"{preset} {', '.join(values)}" for preset, values in setting.presets.items())
    rows = {"values": setting.values, "default": setting.default, "presets": presets}
    lines = [setting.name, *textwrap.wrap(setting.text, WIDTH, initial_indent="  ", subsequent_indent="  ")]
    for title, text in rows.items():
        begin = f"  {title:<9} "
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin), break_on_hyphens=False
        )
    return "\n".join(lines)
