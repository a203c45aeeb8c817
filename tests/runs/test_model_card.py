"""A run's card is read by the Hub, says what the run measured, and leaves to people what a run does not know."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hitofude.errors import InputError, RunFolderError
from hitofude.outputs.report import write_summary
from hitofude.runs.folder import RunFolder
from hitofude.runs.model_card import model_card, write_model_card
from hitofude.runs.result import RunResult
from tests.conftest import Call, copy_of


def parts(card: str) -> tuple[dict[str, Any], str]:
    """The YAML in front, and the Markdown."""
    _, front, text = card.split("---\n", 2)
    return yaml.safe_load(front), text


@pytest.fixture(scope="module")
def card(finished: RunResult) -> str:
    return model_card(finished.folder)


def test_the_front_has_the_fields_of_the_hub_with_the_runs_scores(card: str, finished: RunResult) -> None:
    front, _ = parts(card)
    assert (front["library_name"], front["pipeline_tag"]) == ("hitofude", "image-classification")
    assert (front["license"], front["license_name"]) == ("other", "fill-in")
    (model,) = front["model-index"]
    assert model["name"] == finished.folder.path.name
    (result,) = model["results"]
    found = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert found["accuracy"] == pytest.approx(finished.accuracy.value)
    assert found["log_loss"] == pytest.approx(finished.scores["log-loss"].value)
    assert front["metrics"] == list(found)


def test_the_hubs_own_parser_reads_it(card: str, finished: RunResult) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card).data
    results = {result.metric_type: result for result in data.eval_results}
    assert (data.license, data.model_name) == ("other", finished.folder.path.name)
    assert results["accuracy"].metric_value == pytest.approx(finished.accuracy.value)
    assert results["accuracy"].task_type == "image-classification"


def test_every_class_and_the_commonest_confusion_have_the_reports_figures(card: str, finished: RunResult) -> None:
    for name, score in zip(finished.classes, finished.summary.class_scores, strict=True):
        assert f"| {name} | {score.rows:,} | {score.recall:.4f} | {score.precision:.4f} | {score.f1:.4f} |" in card
    wrong = [
        (count, label, answer)
        for label, row in enumerate(finished.summary.confusion)
        for answer, count in enumerate(row)
        if label != answer
    ]
    most = max(count for count, _, _ in wrong)
    count, label, answer = re.findall(r"^- (\S+) answered as (\S+): (\d+) of", card, re.MULTILINE)[0][::-1]
    assert int(count) == most
    assert (most, int(answer), int(label)) in wrong


def test_it_says_how_rows_were_held_out_and_what_training_took(card: str, finished: RunResult) -> None:
    assert "each training image is predicted only by networks that never saw it" in card
    data = json.loads(finished.folder.data.read_text(encoding="utf-8"))
    assert data["train_fingerprint"] in card
    assert finished.summary.training_flop is not None
    assert f"| operations | {finished.summary.training_flop / 1e12:.3g} TFLOP |" in card
    assert finished.recipe.to_toml().strip() in card
    assert str(finished.folder.path.parent) not in card


def test_a_distilled_run_names_its_teacher_and_what_was_measured_instead(distilled: RunResult) -> None:
    text = model_card(distilled.folder)
    assert "learned from the answers of" in text
    assert "trained on all rows, which cannot be measured here" in text


def test_names_of_classes_and_sources_are_no_mark_up(finished: RunResult, tmp_path: Path) -> None:
    names = ("a|b", "<script>", "*star*", 'quo"te', "co: lon", "一", "`tick`", "- dash", "{{ summary }}", "line\nbreak")
    folder = copy_of(finished, tmp_path)
    write_summary(folder.report, replace(folder.load_summary(), classes=names, source='my "data": <b> #1\n---\n'))
    front, text = parts(model_card(folder))
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == 'my "data": <b> #1\n---\n'
    rows = [line for line in text.splitlines() if line.startswith("|") and re.search(r"(?<!\\)\|.*\d\.\d{4} \|$", line)]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {5, 6}
    assert "&lt;script>" in text
    assert "<script>" not in text


def test_a_card_that_was_filled_in_is_left_alone(finished: RunResult, tmp_path: Path, call: Call) -> None:
    folder = copy_of(finished, tmp_path)
    code, out, _ = call("card", folder.path)
    assert code == 0
    assert "README.md: fill in the intended use and the licence" in out
    assert (folder.path / "README.md").read_text(encoding="utf-8") == model_card(folder)
    with pytest.raises(InputError, match=r"README\.md exists already.*--out"):
        write_model_card(folder.path)
    assert call("card", folder.path, "--out", tmp_path / "card.md")[0] == 0


def test_what_is_no_finished_run_has_no_card(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is not a run folder"):
        model_card(RunFolder(tmp_path))
