"""The command `hitofude review`: where it finds the images, what it says at the end, and that a kill loses nothing."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hitofude.cli.app import SourceOptions
from hitofude.cli.run_again import run_again
from hitofude.errors import InputError
from hitofude.inputs.review import apply_reviews
from hitofude.inputs.sources import Dataset
from hitofude.runs.result import RunResult, load_result
from hitofude.storage import read_json, write_json
from tests.conftest import Call, copy_of
from tests.web.conftest import PATIENCE, Running

Process = subprocess.Popen[str]


@contextmanager
def reviewing(*arguments: str | Path) -> Iterator[tuple[Process, Running]]:
    """Start `hitofude review`, and ask its server."""
    words = [sys.executable, "-m", "hitofude", "review", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        found = next(filter(None, (re.search(r"http://127\.0\.0\.1:(\d+)/", line) for line in lines)), None)
        assert found is not None, process.communicate()[1]
        yield process, Running(int(found[1]), lambda: None)
    finally:
        process.kill()
        process.communicate()


def test_a_killed_review_continues_where_it_was_and_its_list_is_applied_by_the_command_that_it_prints(
    finished: RunResult, files: Path, dataset: Dataset, tmp_path: Path
) -> None:
    run = copy_of(finished, tmp_path).path
    arguments = run, files, "--count", "3", "--reviewer", "anna"
    with reviewing(*arguments) as (process, server):
        first = server.get("/api/items/0").json
        server.post("/api/judgements", {"item": 0, "verdict": "relabel", "label": first["suggested"]})
        server.post("/api/judgements", {"item": 1, "verdict": "drop"})
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    with reviewing(*arguments) as (process, server):
        review = server.get("/api/review").json
        assert (review["position"], review["judged"], review["total"], review["reviewer"]) == (2, 2, 3, "anna")
        server.post("/api/judgements", {"item": 2, "verdict": "keep"})
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, complaint
    path = run / "reviewed-anna.csv"
    assert said.startswith(f"3 of 3 judged, in {path}: kept 1, relabelled 1, dropped 1\n")
    words = shlex.split(said.splitlines()[-1])
    assert words == [
        *("hitofude", "run", str(files), "--preset", str(run / "recipe.toml")),
        *("--drop-issues", str(path), "--relabel-issues", str(path)),
    ]
    ((_, applied),) = apply_reviews(dataset, [path], [path])
    assert (applied.dropped, applied.relabelled, applied.left) == (1, 1, 1)


def test_an_unfinished_review_says_how_to_continue(finished: RunResult, files: Path, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path).path
    with reviewing(run, files) as (process, _):
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)
    assert re.match(rf"0 of \d+ judged, in {re.escape(str(run / 'reviewed.csv'))}\n", said)
    assert f"hitofude review {shlex.quote(str(run))} {shlex.quote(str(files))} --port 0" in said


def told(finished: RunResult, folder: Path, command: str) -> RunResult:
    """A copy of the run, made by a command."""
    copy = copy_of(finished, folder)
    write_json(copy.report, read_json(copy.report) | {"command": command})
    return load_result(copy.path)


def test_the_runs_own_command_says_how_its_images_are_read_and_is_repeated_without_its_folder(
    finished: RunResult, tmp_path: Path
) -> None:
    command = "hitofude --quiet run 'my data' --label species --run=runs/x --preset good --folds 5 --drop-issues a.csv"
    again = run_again(told(finished, tmp_path, command))
    assert (again.source, again.options.label, again.drop) == ("my data", "species", (Path("a.csv"),))
    assert again.command("--drop-issues", "b.csv") == (
        "hitofude run 'my data' --label species --preset good --folds 5 --drop-issues a.csv --drop-issues b.csv"
    )


def test_a_distilled_run_is_repeated_as_a_run_of_the_same_source(finished: RunResult, tmp_path: Path) -> None:
    again = run_again(told(finished, tmp_path, "hitofude distill mine.csv --teacher runs/t --run r --shape 8x8"))
    assert again.command() == "hitofude run mine.csv --shape 8x8"


def test_a_source_that_the_user_names_goes_before_the_runs_own(finished: RunResult) -> None:
    again = run_again(finished, "some where", SourceOptions(label="species", header=False, ignore=("a", "b")))
    options = "--label species --no-header --ignore a --ignore b"
    recipe = shlex.quote(str(finished.folder.recipe))
    assert again.command() == f"hitofude run 'some where' {options} --preset {recipe}"


@pytest.mark.parametrize("command", ["hitofude run digits --preset recipe.toml", "python train.py", "hitofude serve x"])
def test_a_run_whose_source_no_command_names_asks_for_it(command: str, finished: RunResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not say where its images are"):
        run_again(told(finished, tmp_path, command))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Nothing to review"),
        (["RUN", "--reviewer", "../x"], "--reviewer ../x: expected up to 60 letters"),
        (["RUN", "--count", "0"], "--count 0: expected a number from 1 up"),
        (["RUN", "sample"], "sample has other training images or labels than the run"),
        (["RUN", "--compare", "anna.csv"], "two reviewers or more"),
    ],
)
def test_a_review_that_cannot_begin_says_why(
    arguments: list[str], complaint: str, finished: RunResult, call: Call
) -> None:
    words = [str(finished.folder.path) if word == "RUN" else word for word in arguments]
    if "anna.csv" in words:
        words[words.index("anna.csv")] = str(finished.folder.label_issues)
    code, _, error = call("review", *words)
    assert code == 2
    assert complaint in " ".join(error.split())


def test_reviewers_are_compared_without_a_server(call: Call, tmp_path: Path) -> None:
    for name, decision in (("anna", "keep"), ("ben", "drop")):
        (tmp_path / f"{name}.csv").write_text(f"id,label,suggested,decision\n1,a,,keep\n2,a,,{decision}\n")
    merged = tmp_path / "both.csv"
    code, said, _ = call("review", "--compare", tmp_path / "anna.csv", tmp_path / "ben.csv", "--out", merged)
    assert code == 0
    assert "1 of 2 judged alike, Cohen's kappa 0.00" in " ".join(said.split())
    assert merged.read_text() == "id,label,suggested,decision\n1,a,,keep\n"


def test_images_that_two_judge_differently_are_shown_to_a_third(
    finished: RunResult, files: Path, tmp_path: Path
) -> None:
    run = copy_of(finished, tmp_path).path
    label = finished.classes[finished.labels[40]]
    ids = finished.ids[[40, 41]]
    other = finished.classes[finished.labels[41]]
    for name, decision in (("anna", "keep"), ("ben", "drop")):
        (tmp_path / f"{name}.csv").write_text(
            f"id,label,suggested,decision\n{ids[0]},{label},,{decision}\n{ids[1]},{other},,drop\n"
        )
    with reviewing(run, files, "--compare", tmp_path / "anna.csv", tmp_path / "ben.csv") as (_, server):
        assert server.get("/api/review").json["total"] == 1
        item = server.get("/api/items/0").json
        assert item["id"] == ids[0]
        assert [(one["reviewer"], one["verdict"]) for one in item["others"]] == [("anna", "keep"), ("ben", "drop")]
        server.post("/api/judgements", {"item": 0, "verdict": "drop"})
    agreed = (run / "reviewed-agreed.csv").read_text().splitlines()
    assert agreed[1:] == [f"{ids[1]},{other},,drop", f"{ids[0]},{label},,drop"]
