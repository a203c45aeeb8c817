"""The rules of the house: data flows one way through the rooms, nothing happens at import, one public surface."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import hitofude

SOURCE = Path(hitofude.__file__).parent
ROOMS = [
    "version", "errors", "language", "borrowed", "storage", "stage", "recipe", "metrics", "workers",
    "inputs.direction", "inputs.scale", "inputs.look", "inputs.rescaling", "inputs.spelling", "inputs.image_set",
    "inputs.layout", "inputs.duplicates", "inputs.dataset",
    "inputs.formats", "inputs.photos", "inputs.remote", "inputs",
    "learning", "outputs.display", "outputs", "outputs.html_report",
    "runs", "prediction", "prediction.bulk", "export", "estimator", "sweep", "web", "cli", "__init__", "__main__",
]  # fmt: skip
"""Every room, from the ground up: a module imports only its own room and rooms before it."""

MODULES = sorted(str(path.relative_to(SOURCE).with_suffix("")).replace("/", ".") for path in SOURCE.rglob("*.py"))
MOST_MODULES, MOST_FOLDERS = 9, 13
PLAIN_IN_ITS_ROOM = {"__init__", "app", "audit", "folder", "pictures", "review", "run", "settings", "worker"}
"""File names that may occur in several rooms, because the room says whose they are."""

READERS = [
    "hitofude.runs.result",
    "hitofude.runs.comparison",
    "hitofude.runs.listing",
    "hitofude.runs.model_card",
    "hitofude.outputs.scoring",
    "hitofude.inputs.sources",
]
HEAVY = {"torch", "scipy", "sklearn", "matplotlib", "pandas", "pooch", "requests"}


def imports_of(module: str) -> set[str]:
    """Our own modules that a module imports, anywhere in it, `__init__` being the front door."""
    tree = ast.parse((SOURCE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    found = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{name.name}" for name in node.names} & {f"hitofude.{one}" for one in MODULES}
            found |= submodules or {node.module}
    ours = {name for name in found if name == "hitofude" or name.startswith("hitofude.")}
    return {name.removeprefix("hitofude").removeprefix(".") or "__init__" for name in ours}


def room(module: str) -> str:
    """The room of a module: the longest entry of ROOMS that it lies in."""
    found = [name for name in ROOMS if module == name or module.startswith(f"{name}.")]
    assert found, f"{module} lies in no room: add its room to ROOMS"
    return max(found, key=len)


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a new process has loaded after running the code."""
    code += "; import sys; print(*(name for name in sys.modules if '.' not in name))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_its_own_room_and_rooms_before_it(module: str) -> None:
    level = ROOMS.index(room(module))
    assert not {imported for imported in imports_of(module) if ROOMS.index(room(imported)) > level}


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) == "outputs"])
def test_outputs_do_not_import_each_other(module: str) -> None:
    assert not {imported for imported in imports_of(module) if imported.startswith("outputs.")}


def test_there_is_no_import_cycle() -> None:
    remaining = {module: imports_of(module) & set(MODULES) for module in MODULES if module != "__init__"}
    while remaining:
        free = {module for module, imported in remaining.items() if not imported & remaining.keys()}
        assert free, f"a cycle among {sorted(remaining)}"
        remaining = {module: imported for module, imported in remaining.items() if module not in free}


def test_the_rule_sees_a_violation_and_the_front_door(tmp_path: Path) -> None:
    assert ROOMS.index(room("outputs.plots")) > ROOMS.index(room("inputs.sources")) > ROOMS.index(room("errors"))
    assert "outputs.report" in imports_of("runs.pipeline")
    assert room("inputs.formats.npz") == "inputs.formats"
    assert "version" in imports_of("__init__")


def test_every_room_is_there() -> None:
    assert {room(module) for module in MODULES} == set(ROOMS)


def test_the_top_level_stays_small() -> None:
    assert len(list(SOURCE.glob("*.py"))) <= MOST_MODULES
    assert len([path for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"]) <= MOST_FOLDERS


def test_a_file_name_occurs_once_unless_its_room_makes_it_plain() -> None:
    names = Counter(module.rpartition(".")[2] for module in MODULES)
    assert {name for name, count in names.items() if count > 1} <= PLAIN_IN_ITS_ROOM


def test_the_front_door_shows_these_names_and_nothing_else() -> None:
    names = [
        "Callback", "HitofudeClassifier", "Recipe", "distill", "explain", "load_result", "open_source", "predict",
        "predict_known", "register_augmentation", "register_network", "run",
    ]  # fmt: skip
    assert dir(hitofude) == sorted(hitofude.__all__) == names
    assert all(getattr(hitofude, name).__module__.startswith("hitofude.") for name in names)
    with pytest.raises(AttributeError, match="has no attribute 'Run'"):
        hitofude.Run  # noqa: B018


def test_the_help_needs_neither_torch_nor_numpy() -> None:
    assert not loaded_by("import hitofude.cli") & {*HEAVY, "numpy"}


@pytest.mark.parametrize("module", READERS)
def test_reading_needs_no_heavy_package(module: str) -> None:
    assert not loaded_by(f"import {module}") & HEAVY
