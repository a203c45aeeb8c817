"""The documents speak of what is there."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from benchmarks.backbone import NETWORKS, write_plugin
from website.notebooks import Cell, read_cells

import hitofude
from hitofude.language.translation import say, speaking
from hitofude.metrics.metrics import Accuracy

ROOT = Path(__file__).parents[1]
SOURCE = Path(hitofude.__file__).parent
NAMED_TESTS = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))


def test_the_table_of_cases_names_tests() -> None:
    assert len(NAMED_TESTS) > 50


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED_TESTS}))
def test_each_test_that_the_table_of_cases_names_is_there(file: str) -> None:
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
    named = {name for other, name in NAMED_TESTS if other == file}
    assert named <= set(re.findall(r"^def (test_\w+)\(", text, re.MULTILINE))


def test_the_architecture_fits_on_a_few_screens_and_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    folders = {path.parent for path in SOURCE.rglob("*.py")} - {SOURCE}
    assert not {folder.name for folder in folders if f"{folder.name}/`" not in text}


def test_decisions_stand_under_a_heading_for_each_room() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^## (\w+)", text, re.MULTILINE))
    rooms = {path.name.capitalize() for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert rooms - headings <= {"Cli"}


def test_the_example_of_deploying_runs_without_torch_and_without_hitofude(exported_file: Path) -> None:
    text = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    example, _ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code = f"import sys; sys.modules.update(torch=None, hitofude=None)\n{example}"
    found = subprocess.run([sys.executable, "-c", code, exported_file], capture_output=True, text=True, check=False)
    assert re.fullmatch(r"(\d  0\.\d{3}  \d of 2 members agree; \d( or \d)*\n){2}", found.stdout), found.stderr


def test_the_model_for_openvino_has_no_functions_and_answers_alike(exported_file: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    _, example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shutil.copy(exported_file, tmp_path / "model.onnx")
    subprocess.run([sys.executable, "-c", example], cwd=tmp_path, check=True)
    inlined = tmp_path / "for-openvino.onnx"
    assert not onnx.load(inlined).functions
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 28, 28), dtype=np.uint8)
    answers = [onnxruntime.InferenceSession(path).run(None, {"pixels": images})[0] for path in (exported_file, inlined)]
    np.testing.assert_allclose(*answers, atol=1e-6)


def test_the_benchmark_of_a_pretrained_network_runs_the_plugin_of_the_document(tmp_path: Path) -> None:
    plugin = write_plugin(tmp_path).read_text(encoding="utf-8")
    compile(plugin, "pretrained.py", "exec")
    assert set(NETWORKS) == {"vgg-24", *re.findall(r'register_network\("(.+?)"\)', plugin)}
    settings = NETWORKS["efficientnet-lite0"]
    (command,) = re.findall(
        r"hitofude run my-pictures .*?(?=```)", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.DOTALL
    )
    shown = dict(re.findall(r"--set (\S+)=(\S+)", command))
    assert shown == {name: str(value) for name, value in settings.items() if name != "schedule.epochs"}
    assert f"--epochs {settings['schedule.epochs']} " in command


README, README_JA = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ja.md"))


def commands(text: str) -> list[str]:
    """The code of a document without comments: blocks line by line, and what stands in backticks in a table."""
    blocks = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)).splitlines()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [line.partition("#")[0].strip() for line in blocks] + [
        code for row in rows for code in re.findall(r"`(.+?)`", row)
    ]


def figures(text: str) -> Counter[str]:
    """Every decimal, every number with a thousands separator and every percentage."""
    return Counter(re.findall(r"\d+\.\d{3,}|\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)? %", text))


OUTCOME = re.compile(r"```\n((?:out-of-fold|OOF).*?)```", re.DOTALL)
"""The last lines of the first run, in the language of the document."""


def test_both_readmes_show_the_same_commands() -> None:
    assert commands(OUTCOME.sub("", README_JA)) == commands(OUTCOME.sub("", README))


def test_both_readmes_have_the_same_headings_and_links() -> None:
    levels = [re.findall(r"^(#+) ", text, re.MULTILINE) for text in (README, README_JA)]
    assert levels[0] == levels[1]
    links = [set(re.findall(r"\]\((.+?)\)", text)) - {"README.md", "README.ja.md"} for text in (README, README_JA)]
    assert links[0] == links[1]


def test_both_readmes_give_the_same_figures() -> None:
    assert figures(README_JA) == figures(README)


def test_both_quick_starts_show_the_same_commands_and_figures() -> None:
    english, japanese = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("index.md", "ja/index.md"))
    assert commands(OUTCOME.sub("", japanese)) == commands(OUTCOME.sub("", english))
    for document, readme in ((english, README), (japanese, README_JA)):
        assert OUTCOME.findall(document) == OUTCOME.findall(readme) != []


@pytest.mark.parametrize("name", ["index.md", "ja/index.md"])
def test_the_quick_start_leads_to_every_task_of_the_menu(name: str) -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (tasks,) = re.findall(r"^  - Tasks:\n(.*?)^  - ", menu, re.MULTILINE | re.DOTALL)
    pages = {Path(page).stem for page in re.findall(r": (\S+\.md)$", tasks, re.MULTILINE)}
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "docs" / name).read_text(encoding="utf-8"))
    assert len(pages) > 10
    assert not pages - {Path(link).name.partition(".")[0] for link in links}


def test_the_outcome_in_japanese_is_that_of_the_command() -> None:
    with speaking("ja"):
        accuracy = say("{score}, each row by members that never saw it", score=Accuracy(3966, 4000))
        assert f"{say('out-of-fold {metric}', metric=say('accuracy'))}      {accuracy}\n" in README_JA


TUTORIAL, TUTORIAL_JA = (read_cells(ROOT / "notebooks" / name) for name in ("tutorial.ipynb", "tutorial.ja.ipynb"))


def prose(cells: list[Cell]) -> list[str]:
    return [cell.source for cell in cells if cell.kind == "markdown"]


def test_both_tutorials_run_the_same_code_in_the_same_places() -> None:
    assert [cell.kind for cell in TUTORIAL_JA] == [cell.kind for cell in TUTORIAL]
    codes = [[cell.source for cell in cells if cell.kind == "code"] for cells in (TUTORIAL, TUTORIAL_JA)]
    assert codes[0] == codes[1]


def test_both_tutorials_have_the_same_headings_code_and_figures_in_their_texts() -> None:
    for english, japanese in zip(prose(TUTORIAL), prose(TUTORIAL_JA), strict=True):
        assert re.findall(r"^(#+) ", japanese, re.MULTILINE) == re.findall(r"^(#+) ", english, re.MULTILINE)
        assert Counter(re.findall(r"`(.+?)`", japanese)) == Counter(re.findall(r"`(.+?)`", english))
        assert figures(japanese) == figures(english)


def test_the_drawing_of_the_architecture_is_of_its_text() -> None:
    (diagram,) = re.findall(
        r"^```mermaid\n(.*?)^```$",
        (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    drawing = (ROOT / "website" / "architecture.svg").read_text(encoding="utf-8")
    assert sha256(diagram.encode()).hexdigest() in drawing, "see website/draw_diagram.py"


@pytest.mark.parametrize("folder", [".", "docs", "docs/ja"])
def test_links_between_documents_lead_to_files_of_the_repository(folder: str) -> None:
    for document in (ROOT / folder).glob("*.md"):
        text = re.sub(
            r"^```.*?^```|`[^`\n]+`", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text)
        assert not [link for link in links if not (document.parent / link).exists()], document


def test_the_index_lists_every_finding() -> None:
    listed = re.findall(r"\((\S+\.sh)\)", (ROOT / "findings" / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in (ROOT / "findings").glob("*.sh"))
