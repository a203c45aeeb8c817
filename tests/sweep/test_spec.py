"""The content of a sweep's file, and the messages about mistakes in it."""

from pathlib import Path

import pytest

from hitofude.errors import RecipeError
from hitofude.sweep.spec import Range, SweepSpec


def spec(text: str) -> SweepSpec:
    return SweepSpec.from_toml(text, "spec.toml")


def test_an_empty_file_is_the_sample_by_the_default_preset_with_one_seed() -> None:
    found = spec("")
    assert (found.source, found.preset, found.seeds, found.search) == (None, "fast", (0,), "grid")


def test_settings_may_be_named_in_quotes_or_by_tables() -> None:
    in_quotes = spec('[settings]\n"schedule.epochs" = 5\n[vary]\n"augment.probability" = [0.3, 0.6]')
    by_tables = spec("[settings.schedule]\nepochs = 5\n[vary]\naugment.probability = [0.3, 0.6]")
    assert in_quotes == by_tables
    assert in_quotes.base().schedule.epochs == 5


def test_a_range_of_whole_numbers_is_whole() -> None:
    found = spec('search = "random"\n[vary]\na = { from = 1, to = 5 }\nb = { from = 1.0, to = 5 }')
    assert found.vary == {"a": Range(**{"from": 1, "to": 5}), "b": Range(**{"from": 1.0, "to": 5})}
    assert [values.is_whole for values in found.vary.values() if isinstance(values, Range)] == [True, False]


def test_a_saved_spec_is_read_as_the_same() -> None:
    text = 'search = "random"\nshape = "24x32"\n[vary]\na = [[1], [1, 2]]\nb = { from = 0.1, to = 1, log = true }'
    assert spec(spec(text).to_toml()) == spec(text)


def test_a_difference_names_each_key_and_setting() -> None:
    first = spec("seeds = [0]\n[vary]\naugment.probability = [0.1]")
    second = spec("seeds = [0, 1]\n[settings]\nrows = 100\n[vary]\naugment.probability = [0.1, 0.2]")
    assert first.difference(first) == []
    assert "settings.rows: 100 → None" in second.difference(first)
    assert first.difference(second) == [
        "seeds: [0] → [0, 1]",
        "vary.augment.probability: [0.1] → [0.1, 0.2]",
        "settings.rows: None → 100",
    ]


def test_the_data_are_named_as_for_the_run_command() -> None:
    assert spec('source = "a.zip"\nlabel = "species"').source_arguments() == ["a.zip", "--label", "species"]
    assert spec('train = "a.csv"\nshape = "2x3"').source_arguments() == ["--train", "a.csv", "--shape", "2x3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sedes = [1]", "sedes: there is no such key. Did you mean 'seeds'?"),
        ("seeds = []", "at least 1 item"),
        ("seeds = [1, 1]", "duplicate seed"),
        ("seeds = [-1]", "greater than or equal to 0"),
        ('search = "gird"', "'grid', 'random' or 'tpe'"),
        ('search = "guided"', "search: Value error, it is called 'tpe' now"),
        ('shape = "28"', "shape"),
        ("trials = 0", "trials: Input should be greater than or equal to 1, found 0"),
        ("[settings]\nseed = 1", "Name the seeds by seeds = [0, 1]"),
        ("[vary]\nseed = [1, 2]", "Name the seeds by seeds = [0, 1]"),
        ("[vary]\na = 1", "vary.a: expected choices, such as [1, 2], or a range"),
        (
            "[vary]\na = []",
            "vary.a: expected choices, such as [1, 2], or a range, such as { from = 1, to = 5 }, found []",
        ),
        ("[vary]\na = { from = 1 }", "vary.a.range.to: Field required"),
        ("[vary]\na = { from = 1, to = 2, lgo = true }", "vary.a.range.lgo: there is no such key. Did you mean 'log'?"),
        ("[vary]\na = { from = 2, to = 1 }", "from (2) must be below to (1)"),
        ("[vary]\na = { from = 0, to = 1, log = true }", "log = true needs numbers above 0"),
        ("[vary]\na = { from = 1, to = 2 }", "a grid needs choices, and 'a' is a range"),
        ("[settings]\na = 1\n[vary]\na = [1]", "'a' is in [settings] and in [vary]"),
        ('search = "random"', 'search = "random" needs at least one setting in [vary]'),
    ],
)
def test_a_mistake_is_named_with_what_to_do(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as found:
        spec(text)
    assert message in str(found.value)
    assert "spec.toml" in str(found.value)


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), ("a = ", "is not valid TOML")])
def test_an_unreadable_file_is_named(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "spec.toml").write_text(content)
    with pytest.raises(RecipeError, match=message):
        SweepSpec.load(tmp_path / "spec.toml")
