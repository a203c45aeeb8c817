"""Several reviewers' judgements of the same images: how far they agree, where they differ, and what they share.

Agreement beyond chance is Cohen's kappa (J. Cohen 1960, "A coefficient of agreement for nominal scales") of the
verdicts on the images that both have judged; relabelling with one class is another verdict than with a second.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from hitofude.errors import InputError
from hitofude.inputs.direction import isolate
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.judgements import Judgement, read_judgements
from hitofude.inputs.review import DECISION
from hitofude.language.translation import say, say_count, say_of
from hitofude.storage import write_rows

SHOWN = 20


@dataclass(frozen=True)
class Pair:
    """Two reviewers. kappa: None if it is not defined, as all their verdicts are the same one."""

    first: Path
    second: Path
    both: int
    """The images that both have judged."""
    agreed: int
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """The judgements of several reviewers, each by image."""

    files: tuple[Path, ...]
    judged: tuple[Mapping[str, Judgement], ...]
    given: Mapping[str, str]
    """The labels that the images had; empty for unlabelled images."""
    pairs: tuple[Pair, ...]

    @property
    def shared(self) -> dict[str, Judgement]:
        """The images that all have judged alike."""
        first, *others = self.judged
        return {id: one for id, one in first.items() if all(other.get(id) == one for other in others)}

    @property
    def differing(self) -> list[str]:
        """The images that two or more have judged differently."""
        ids = dict.fromkeys(id for judged in self.judged for id in judged)
        return [id for id in ids if len({judged[id] for judged in self.judged if id in judged}) > 1]

    def describe(self) -> str:
        """Return a line for each pair, and the images on which reviewers differ."""
        lines = [_describe_pair(pair) for pair in self.pairs]
        differing = self.differing
        if not differing:
            return "\n".join([*lines, say("no image is judged differently")])
        count = len(differing)
        images = say_count(count, "image")
        lines.append(
            say_of(count, "{images} is judged differently:", "{images} are judged differently:", images=images)
        )
        for id in differing[:SHOWN]:
            told = say(", ").join(
                f"{path.stem}: {_describe(judged[id])}"
                for path, judged in zip(self.files, self.judged, strict=True)
                if id in judged
            )
            lines.append(f"  {isolate(id)}  {told}")
        return "\n".join(lines) + ("\n  …" if count > SHOWN else "")

    def write_shared(self, path: Path) -> int:
        """Write the judgements that all share, in the form of a reviewer's file; return their number."""
        shared = self.shared
        if self.given:
            lines = [[id, self.given[id], one.label, one.verdict] for id, one in shared.items()]
            write_rows(path, [["id", "label", "suggested", DECISION], *lines])
        else:
            write_rows(path, [["id", "label", DECISION], *([id, one.label, one.verdict] for id, one in shared.items())])
        return len(shared)


def compare_reviewers(files: Sequence[Path]) -> Agreement:
    """Read the files of two reviewers or more; skipped images count as not judged.

    Raises InputError if there are fewer, a file cannot be read, or the files are of images with other labels.
    """
    if len(files) < 2:
        raise InputError("Agreement needs the files of two reviewers or more: --compare anna.csv ben.csv")
    kinds = {path: "suggested" in read_text_table(path).header for path in files}
    of_training = all(kinds.values())
    if any(kinds.values()) and not of_training:
        raise InputError("Some of these files judge training images, others label new ones. Compare files of one kind.")
    given, judged = dict[str, str](), list[dict[str, Judgement]]()
    for path in files:
        own = dict[str, Judgement]()
        for number, (id, label, one) in read_judgements(path, of_training=of_training):
            if of_training and given.setdefault(id, label or "") != label:
                raise InputError(
                    f"{path}, line {number}: image '{id}' has the label '{label}', but '{given[id]}' in an earlier "
                    "file. Compare reviews of the same run."
                )
            if one.verdict != "skip":
                own[id] = one
        judged.append(own)
    named = list(zip(files, judged, strict=True))
    pairs = tuple(_compare(*first, *second) for first, second in combinations(named, 2))
    return Agreement(tuple(files), tuple(judged), given, pairs)


def _compare(first: Path, of_first: Mapping[str, Judgement], second: Path, of_second: Mapping[str, Judgement]) -> Pair:
    both = [id for id in of_first if id in of_second]
    agreed = sum(of_first[id] == of_second[id] for id in both)
    verdicts = [[f"{judged[id].verdict} {judged[id].label}" for id in both] for judged in (of_first, of_second)]
    return Pair(first, second, len(both), agreed, _kappa(*verdicts))


def _kappa(first: list[str], second: list[str]) -> float | None:
    """Return Cohen's kappa; None without images, or if there is one verdict alone."""
    if len({*first, *second}) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(cohen_kappa_score(first, second))


def _describe_pair(pair: Pair) -> str:
    values = {"first": pair.first, "second": pair.second, "agreed": pair.agreed, "both": pair.both}
    if pair.kappa is None:
        return say("{first}, {second}: {agreed:,} of {both:,} judged alike", **values)
    return say(
        "{first}, {second}: {agreed:,} of {both:,} judged alike, Cohen's kappa {kappa:.2f}", **values, kappa=pair.kappa
    )


def _describe(one: Judgement) -> str:
    label = isolate(one.label)
    match one.verdict:
        case "keep":
            return say("kept")
        case "drop":
            return say("dropped")
        case "relabel":
            return say("relabelled {label}", label=label)
    return say("labelled {label}", label=label)
