"""`hitofude review`."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hitofude.cli.app import DEFAULT_SOURCE_OPTIONS, SourceName, SourceOptions, app, tell, this_command
from hitofude.cli.logs import is_quiet
from hitofude.errors import InputError, RecipeError
from hitofude.language.translation import say, say_count

if TYPE_CHECKING:
    from hitofude.inputs.judgements import Judgements, Verdict
    from hitofude.inputs.to_label import ToLabel
    from hitofude.runs.agreement import Agreement
    from hitofude.web.review_app import ReviewSubject
    from hitofude.web.settings import Settings

REVIEWER = re.compile(r"[\w.-]{1,60}")
AGREED = "agreed"
"""The reviewer who decides between others, if no name is given."""


@app.command
def review(
    folder: Path | None = None,
    source: SourceName | None = None,
    /,
    *,
    reviewer: str | None = None,
    count: int | None = None,
    out: Path | None = None,
    compare: Annotated[tuple[Path, ...], Parameter(negative=(), consume_multiple=True)] = (),
    host: str = "127.0.0.1",
    port: int = 8001,
    token: Annotated[str | None, Parameter(env_var="HITOFUDE_TOKEN", show_env_var=False)] = None,
    allow_host: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)] = (),
    open: Annotated[bool, Parameter(negative=())] = False,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Judge a run's doubtful labels, or label new images, on a page, by keyboard.

    Shows one image after another: suspected labels, copies with other labels, and
    images that networks which never saw them answer otherwise. Keep the label,
    give another, drop the image, or skip. Each verdict is on the disk at once; the
    same command continues where you were. The list is for hitofude run
    --drop-issues and --relabel-issues; the last lines say how.

    For example:
      hitofude review runs/sample-fast --open
      hitofude review runs/my-folder-fast --reviewer anna --count 50
      hitofude review to-label --open
      hitofude review --compare anna.csv ben.csv --out both.csv
      hitofude review runs/sample-fast --compare anna.csv ben.csv

    Parameters
    ----------
    folder
        The folder of a finished run, or one that hitofude next chose.
    source
        The run's source, as for hitofude run, with its options; by default as in the run's own command.
    reviewer
        A name for a file of your own, FOLDER/reviewed-NAME.csv.
    count
        At most so many images, the most doubtful ones; by default all.
    out
        The file of the verdicts; by default reviewed.csv, or labels.csv, in the folder. With --compare, a file for the
        verdicts on which all agree.
    compare
        The files of two reviewers or more: says how far they agree (Cohen's kappa), and on which images they differ.
        With a folder, shows these, to decide on; the file, reviewed-agreed.csv, begins with what all say.
    host
        The address to listen at; 0.0.0.0 for all of this machine's.
    port
        0 for any free port.
    token
        As for serve.
    allow_host
        As for serve.
    open
        Open the page in the browser.
    """
    from hitofude.inputs.to_label import ToLabel

    agreement = _compare(compare) if compare else None
    if agreement is not None and (folder is None or not agreement.differing):
        _write_shared(agreement, out)
        return
    if folder is None:
        raise RecipeError("Nothing to review. Name the folder of a run, or one of hitofude next; or --compare files.")
    if reviewer is not None and REVIEWER.fullmatch(reviewer) is None:
        raise RecipeError(f"--reviewer {reviewer}: expected up to 60 letters, digits and any of . _ -")
    if count is not None and count < 1:
        raise RecipeError(f"--count {count}: expected a number from 1 up.")
    from hitofude.web.settings import Settings, choose_token
    from hitofude.web.starting import PACKAGES, check_packages

    check_packages("review", PACKAGES)
    settings = Settings(host, port, choose_token(host, token), allow_host)
    reviewer = reviewer or (None if agreement is None else AGREED)
    if (to_label := ToLabel(folder)).exists:
        subject, path = _images_to_label(to_label, reviewer), to_label.labels(reviewer)
    else:
        subject = _doubts_of_run(folder, source, options, reviewer)
        path = folder / ("reviewed.csv" if reviewer is None else f"reviewed-{reviewer}.csv")
    if agreement is not None:
        subject = _differing(subject, agreement)
        if not (out or path).exists():
            _write_shared(agreement, out or path)
    _serve(subject, out or path, settings, count, open=open)


def _compare(files: Sequence[Path]) -> "Agreement":
    from hitofude.runs.agreement import compare_reviewers

    agreement = compare_reviewers(files)
    tell(agreement.describe())
    return agreement


def _write_shared(agreement: "Agreement", out: Path | None) -> None:
    if out is not None:
        images = say_count(agreement.write_shared(out), "image")
        tell(say("{images} judged alike by all written to {file}", images=images, file=out))


def _differing(subject: "ReviewSubject", agreement: "Agreement") -> "ReviewSubject":
    """Return the review of the images alone that are judged differently, with all those judgements."""
    from dataclasses import replace

    from hitofude.runs.review_queue import only

    row_of = {id: row for row, id in enumerate(subject.images.ids.tolist())}
    rows = [row_of[id] for id in agreement.differing if id in row_of]
    if not rows:
        raise InputError(f"The images that are judged differently are not those of {subject.name}. Name their run.")
    others = {path.stem: judged for path, judged in zip(agreement.files, agreement.judged, strict=True)}
    return replace(subject, doubts=only(subject.doubts, rows, subject.probabilities), others=others)


def _images_to_label(to_label: "ToLabel", reviewer: str | None) -> "ReviewSubject":
    from hitofude.inputs.image_set import ImageSet
    from hitofude.runs.review_queue import Doubt
    from hitofude.web.review_app import ReviewSubject

    description, chosen = to_label.load_description(), to_label.load_images()
    best = chosen.probabilities.argmax(axis=1)
    doubts = [Doubt(row, ("unclear",), int(answer), None, ()) for row, answer in enumerate(best)]
    images = ImageSet(chosen.images, None, chosen.ids, description.classes)

    def next_command(judgements: "Judgements") -> str | None:
        return description.command if judgements.counts()["label"] else None

    return ReviewSubject(to_label.path.name, images, chosen.probabilities, doubts, reviewer, next_command)


def _doubts_of_run(
    run: Path, source: SourceName | None, options: SourceOptions, reviewer: str | None
) -> "ReviewSubject":
    from hitofude.cli.run_again import run_again
    from hitofude.runs.result import load_result
    from hitofude.runs.review_queue import doubts_of, training_images
    from hitofude.web.review_app import ReviewSubject

    result = load_result(run)
    again = run_again(result, None if source is None else str(source), options)
    if not is_quiet():
        tell(say("Reading the images of {run} …", run=run), sys.stderr)
    images, doubts = training_images(result, again.open()), doubts_of(result)
    if not doubts:
        raise InputError(f"{run}: no label is doubtful, so there is nothing to review.")

    def next_command(judgements: "Judgements") -> str | None:
        counts = judgements.counts()
        asked = [*(["--drop-issues"] if counts["drop"] else []), *(["--relabel-issues"] if counts["relabel"] else [])]
        words = [word for option in asked for word in (option, str(judgements.path))]
        return again.command(*words) if words else None

    return ReviewSubject(run.name, images, result.out_of_fold_probabilities, doubts, reviewer, next_command)


def _serve(subject: "ReviewSubject", path: Path, settings: "Settings", count: int | None, *, open: bool) -> None:
    from dataclasses import replace

    import numpy as np

    from hitofude.inputs.judgements import Judgements, owning_file
    from hitofude.web.review_app import create_review_app
    from hitofude.web.starting import open_browser, serve_app

    subject = replace(subject, doubts=subject.doubts[:count])
    images = subject.images
    labels = [None] * len(images) if images.labels is None else np.asarray(images.classes)[images.labels].tolist()
    given = dict(zip(images.ids.tolist(), labels, strict=True))
    asked = [str(images.ids[doubt.row]) for doubt in subject.doubts]
    with owning_file(path):
        judgements = Judgements(path, images.classes, given)

        def opened(url: str) -> None:
            text = say("Reviewing {name} at {url}", name=subject.name, url=url)
            print(url if is_quiet() else text, flush=True)  # in one line, for programs
            if all(judgements.of(id) is not None for id in asked):
                describe()
            if open:
                open_browser(url)

        def describe() -> None:
            tell(_describe(judgements, asked, subject))

        serve_app(create_review_app(subject, judgements, settings, describe), settings, opened)
        if any(judgements.of(id) is None for id in asked):
            describe()


def _describe(judgements: "Judgements", asked: Sequence[str], subject: "ReviewSubject") -> str:
    """Say how far the review is, and what to type next. asked: the ids of the images to judge."""
    names: dict[Verdict, str] = {
        "keep": say("kept"),
        "relabel": say("relabelled"),
        "label": say("labelled"),
        "drop": say("dropped"),
        "skip": say("skipped"),
    }
    judged = sum(judgements.of(id) is not None for id in asked)
    counts = judgements.counts()
    told = say(", ").join(f"{name} {counts[verdict]:,}" for verdict, name in names.items() if counts[verdict])
    done = say("{judged:,} of {total:,} judged, in {file}", judged=judged, total=len(asked), file=judgements.path)
    lines = [f"{done}: {told}" if told else done]
    if judged < len(asked):
        lines.append(say("continue with") + f"\n  {this_command()}")
    if (command := subject.next_command(judgements)) is not None:
        lines.append(say("train again with") + f"\n  {command}")
    elif counts["label"]:
        lines.append(say("train again on the source of the run, with --add {folder}", folder=judgements.path.parent))
    elif judged == len(asked):
        lines.append(say("these verdicts change nothing, so there is nothing to train again"))
    return "\n".join(lines)
