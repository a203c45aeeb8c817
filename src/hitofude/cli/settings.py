"""hitofude settings."""

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from hitofude.cli.app import app, tell

if TYPE_CHECKING:
    from hitofude.runs.setting_texts import Setting


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
        tell("\n\n".join(map(_explain, find_settings(name))))


def _list(settings: Iterable["Setting"]) -> str:
    """Return a line for each setting, below a line for its stage."""
    from hitofude.runs.setting_texts import stage_texts

    lines = [f"{'setting':<31}{'in fast':<14}values"]
    for stage, own in groupby(settings, key=lambda setting: setting.stage):
        lines += ["", stage_texts()[stage]]
        lines += [f"{one.name:<31}{', '.join(one.presets['fast']):<14}{one.values}" for one in own]
    return "\n".join(lines)


def _explain(setting: "Setting") -> str:
    presets = "; ".join(f"{preset} {', '.join(values)}" for preset, values in setting.presets.items())
    rows = {"purpose": setting.text, "values": setting.values, "default": setting.default, "presets": presets}
    return "\n".join([setting.name, *(f"  {title:<8}  {text}" for title, text in rows.items())])
