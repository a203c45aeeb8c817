"""The notebooks, run from top to bottom in a real kernel, in debug size on 300 digits."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from website import notebooks

import hitofude
from hitofude.inputs.sources import Dataset
from tests.conftest import write_csv

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SECONDS_A_CELL = 600


def runs_a_notebook(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test as slow, and keep it in one process with the others, which share the executed notebook."""
    return pytest.mark.slow(pytest.mark.xdist_group("notebooks")(test))


def execute(name: str, folder: Path, **variables: str | Path) -> NotebookNode:
    """The notebook with its outputs, run in a folder by the hitofude that is tested, with environment variables."""
    book = nbformat.read(NOTEBOOKS / name, as_version=4)
    settings = {
        "HITOFUDE_DEBUG": "1",
        "PYTHONPATH": str(Path(hitofude.__file__).parents[1]),
        "IPYTHONDIR": str(folder / ".ipython"),
        "PYTHONWARNINGS": "",
    }
    client = NotebookClient(book, timeout=SECONDS_A_CELL, resources={"metadata": {"path": str(folder)}})
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in (settings | variables).items():
            patch.setenv(variable, str(value))
        return client.execute()


def outputs_of(cells: Iterable[NotebookNode], kind: str) -> list[str]:
    """What the cells show of a media type; "stream" for what they print."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    if kind == "stream":
        return [output["text"] for output in outputs if output["output_type"] == "stream"]
    return [output["data"][kind] for output in outputs if kind in output.get("data", {})]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial 文字")


@pytest.fixture(scope="module")
def tutorial(files: Path, folder: Path) -> NotebookNode:
    return execute("tutorial.ipynb", folder, HITOFUDE_SOURCE=files)


@runs_a_notebook
def test_the_tutorial_trains_four_times_each_with_its_table(tutorial: NotebookNode) -> None:
    tables = [html for html in outputs_of(tutorial.cells, "text/html") if "<progress" in html]
    assert len(tables) == 4
    assert all("trained in" in html and "5/5" in html for html in tables)


@runs_a_notebook
def test_a_table_is_saved_with_its_figures_as_text_too(tutorial: NotebookNode) -> None:
    texts = [text for text in outputs_of(tutorial.cells, "text/plain") if text.startswith("trained in")]
    assert [len(text.splitlines()) for text in texts] == [3, 3, 4, 4]


@runs_a_notebook
def test_the_tutorial_shows_digits_curves_augmentation_and_the_hardest(tutorial: NotebookNode) -> None:
    assert len(outputs_of(tutorial.cells, "image/png")) == 11


@runs_a_notebook
def test_the_tutorial_says_how_good_it_is_and_where_the_files_are(tutorial: NotebookNode, folder: Path) -> None:
    printed = "".join(outputs_of(tutorial.cells, "stream"))
    assert "95,156 parameters" in printed
    assert "pooled      71,636 parameters" in printed
    assert "expected score: 0." in printed
    assert (folder / "runs" / "tutorial-debug" / "folds" / "submission.csv").is_file()
    summaries = [html for html in outputs_of(tutorial.cells, "text/html") if "out-of-fold accuracy" in html]
    assert ['href="runs/tutorial-debug/folds/report.html"' in html for html in summaries] == [False, True, False]


@runs_a_notebook
def test_the_tutorial_warns_of_nothing(tutorial: NotebookNode) -> None:
    outputs = [output for cell in tutorial.cells for output in cell.get("outputs", [])]
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []


@runs_a_notebook
def test_the_tutorial_shows_what_is_kept_for_its_page(tutorial: NotebookNode) -> None:
    code = [cell for cell in tutorial.cells if cell["cell_type"] == "code"]
    shown = [(cell["source"], notebooks.shown_outputs(cell["outputs"])) for cell in code]
    assert kinds(shown) == kinds(notebooks.kept_outputs(NOTEBOOKS / "tutorial.ipynb"))


def kinds(cells: Sequence[tuple[str, Sequence[notebooks.Output]]]) -> list[tuple[str, list[str]]]:
    """The code of each cell and the kinds of its outputs."""
    return [(source, [kind for kind, _ in outputs]) for source, outputs in cells]


@runs_a_notebook
def test_the_kaggle_notebook_finds_its_files_and_writes_a_submission(dataset: Dataset, tmp_path: Path) -> None:
    competition = tmp_path / "input" / "competitions" / "digit-recognizer"
    competition.mkdir(parents=True)
    test = dataset.test
    assert test is not None
    write_csv(competition / "train.csv", dataset.train)
    write_csv(competition / "test.csv", test, label=None)
    execute("kaggle.ipynb", tmp_path, HITOFUDE_INPUT=tmp_path / "input")
    submission = pd.read_csv(tmp_path / "submission.csv")
    assert list(submission.columns) == ["ImageId", "Label"]
    right = submission["Label"].astype(str).to_numpy() == pd.Index(test.classes)[test.known_labels()].to_numpy()
    assert right.mean() > 0.5


@runs_a_notebook
def test_without_the_competition_the_kaggle_notebook_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="Add the competition as an input"):
        execute("kaggle.ipynb", tmp_path, HITOFUDE_INPUT=tmp_path)


@pytest.mark.parametrize("name", ["tutorial.ipynb", "tutorial.ja.ipynb", "kaggle.ipynb"])
def test_a_notebook_is_kept_without_outputs_so_that_no_figure_in_it_is_old(name: str) -> None:
    book = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    assert [cell["execution_count"] for cell in code] == [None] * len(code)
