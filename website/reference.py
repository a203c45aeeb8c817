"""The pages of the reference, made from the code when the site is built, so that they cannot be out of date."""

import re
from collections.abc import Iterator
from itertools import groupby

import hitofude
import hitofude.cli  # registers the commands
from hitofude.cli.app import app
from hitofude.errors import UserError
from hitofude.runs.setting_texts import Setting, explain_settings, stage_texts

DETAILS = {
    "Results": (
        "hitofude.runs.result.RunResult",
        "hitofude.metrics.metrics.Accuracy",
        "hitofude.metrics.scores.Score",
        "hitofude.metrics.estimate.Estimate",
    ),
    "Given to callbacks": ("hitofude.runs.callbacks.RunStart", "hitofude.learning.epoch_log.EpochLog"),
    "Predicting files": (
        "hitofude.prediction.files.predict_files",
        "hitofude.prediction.files.predict_sets",
        "hitofude.prediction.files.FilePredictions",
    ),
    "Reading sources": (
        "hitofude.inputs.sources.Reading",
        "hitofude.inputs.dataset.Dataset",
        "hitofude.inputs.image_set.ImageSet",
    ),
}
"""Headings of the page about Python, and the classes and functions below each, beside the public names."""


def commands_page() -> str:
    """Return the page of all commands, from their help texts."""
    text: str = app.generate_docs(output_format="markdown", usage_name="hitofude")
    text = text.replace(" -m mkdocs", "")  # cyclopts adds how Python was started
    _, _, rest = text.partition("**Commands**:\n\n")
    own, of_data, others = rest.partition("## hitofude data\n")
    described = re.sub(r"\*\*Options of every command\*\*:\n\n(\* .*\n)+\n", "", of_data + others)
    described = re.sub(r"For example:\n((?:  .*\n)+)", _as_code, described)
    described = re.sub(r"\n    (?=\S)", " ", described)
    described = re.sub(r" \*\[default: (?:\(\)|False)\]\*", "", described)
    lines = [_escaped(line) if line.startswith("* `") else line for line in described.splitlines()]
    begin = "# Commands\n\nEach shows the same with `--help`. [Exit codes](overview.md#exit-codes).\n\n"
    return begin + own + "\n".join(lines) + "\n"


def _as_code(found: re.Match[str]) -> str:
    lines = "".join(line.removeprefix("  ") + "\n" for line in found[1].splitlines())
    return f"For example:\n\n```\n{lines}```\n"


def _escaped(line: str) -> str:
    """Escape the signs of Markdown in the text of an option; its names, and what is marked at its end, stay."""
    text, mark = re.fullmatch(r"(.*?)((?: \*+\[.*?\]\*+)*)", line.removeprefix("* ")).groups()  # type: ignore[union-attr]
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = (re.sub(r"([*_<\[])", r"\\\1", part) for part in parts[::2])
    parts[::2] = (re.sub(r"docs/([\w-]+\.md)", r"[docs/\1](\1)", part) for part in parts[::2])
    return f"* {''.join(parts)}{mark}"


def settings_page() -> str:
    """Return the page of all settings, from their declarations and the presets."""
    lines = [
        "# Settings",
        "",
        "`hitofude run --set NAME=VALUE` sets one, `--preset recipe.toml` takes all from a file; "
        "`hitofude settings NAME` explains one in the terminal. A run's own are in its folder, in `recipe.toml`.",
    ]
    texts = stage_texts()
    for stage, own in groupby(explain_settings(), key=lambda setting: setting.stage):
        lines += ["", f"## {stage or 'The whole run'}", *(["", texts[stage]] if stage else [])]
        for setting in own:
            lines += _setting(setting)
    return "\n".join(lines) + "\n"


def _setting(setting: Setting) -> Iterator[str]:
    yield from ("", f"### `{setting.name}` {{ #{setting.name} }}", "", setting.text, "")
    yield f"- Values: {setting.values}"
    yield f"- Default: `{setting.default}`"
    presets = sorted(setting.presets.items(), key=lambda item: item[1])
    alike = [(values, [name for name, _ in some]) for values, some in groupby(presets, key=lambda item: item[1])]
    if len(alike) > 1 or alike[0][0] != (setting.default,):
        texts = (f"{', '.join(names)} `{', '.join(values)}`" for values, names in alike)
        yield f"- Presets: {'; '.join(texts)}"


def python_page() -> str:
    """Return the page of the public names, and of the classes that they take or return."""
    lines = [
        "# Python",
        "",
        "`import hitofude` gives the names below; it loads PyTorch only when one of them needs it. "
        "[Examples](overview.md#in-python).",
        "",
        "## Public names",
    ]
    lines += [f"\n::: hitofude.{name}" for name in sorted(hitofude.__all__, key=str.lower)]
    for heading, names in DETAILS.items():
        lines += ["", f"## {heading}", *(f"\n::: {name}" for name in names)]
    lines += ["", "## Errors", "\nEach has an `exit_code`, with which the command ends."]
    errors: list[type[UserError]] = [UserError, *UserError.__subclasses__()]
    lines += [f"\n::: hitofude.errors.{error.__name__}" for error in errors]
    return "\n".join(lines) + "\n"
