"""The rules of the house: arrows never run back up, nothing happens at import, one public surface."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hitofude

SOURCE = Path(hitofude.__file__).parent
LEVELS = ["errors", "storage", "recipe", "workers", "inputs", "learning", "outputs"]
DOORS = len(LEVELS)
MODULES = sorted(str(path.relative_to(SOURCE).with_suffix("")).replace("/", ".") for path in SOURCE.rglob("*.py"))


def imports_of(module: str) -> set[str]:
    """Our own modules that a module imports, anywhere in it, without the package's name."""
    tree = ast.parse((SOURCE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    found |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return {name.removeprefix("hitofude.") for name in found if name.startswith("hitofude.")}


def level(module: str) -> int:
    wing = module.split(".")[0]
    return LEVELS.index(wing) if wing in LEVELS else DOORS


def room(module: str) -> str:
    """The module or package within its wing."""
    return module.split(".")[1]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_lies_before_it(module: str) -> None:
    back = {imported for imported in imports_of(module) if level(imported) > level(module)}
    assert not back


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("outputs.")])
def test_outputs_do_not_import_each_other_but_for_the_page_that_shows_them(module: str) -> None:
    if room(module) != "html_report":
        assert not {imported for imported in imports_of(module) if imported.startswith("outputs.")}


def test_there_is_no_import_cycle() -> None:
    remaining = {module: imports_of(module) & set(MODULES) for module in MODULES if module != "__init__"}
    while remaining:
        free = {module for module, imported in remaining.items() if not imported & remaining.keys()}
        assert free, f"a cycle among {sorted(remaining)}"
        remaining = {module: imported for module, imported in remaining.items() if module not in free}


def test_the_import_rule_sees_a_violation() -> None:
    assert level("outputs.plots") > level("inputs.sources") > level("errors")
    assert "outputs.plots" in imports_of("pipeline")


def test_the_public_names_are_these() -> None:
    assert set(hitofude.__all__) == {
        "Dataset", "HitofudeClassifier", "ImageSet", "Recipe", "RunResult", "__version__", "load_result", "open_source",
        "predict", "run",
    }  # fmt: skip
    for name in hitofude.__all__:
        assert getattr(hitofude, name) is not None


def test_the_help_needs_neither_torch_nor_numpy() -> None:
    code = "import sys, hitofude.cli; print(sorted({'torch', 'numpy', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
