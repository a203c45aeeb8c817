"""What a release has to hold, checked without building one."""

import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from release import check
from release.check import CheckError, attempts, call, check_version, check_wheel, floors

CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-11-29\n\n## 0.1.0 - 2026-01-01\n"


@pytest.mark.parametrize(("version", "tags"), [("0.2.0", ["v0.2.0"]), ("0.2.0.dev3+g0a1b2c3", [])])
def test_a_version_with_its_tag_and_its_section_passes(version: str, tags: list[str]) -> None:
    check_version(version, tags, CHANGELOG)


@pytest.mark.parametrize(
    ("version", "tags", "message"),
    [
        ("0.2.1.dev1", ["v0.2.0"], "The tag of this commit is v0.2.0, the version of the wheel 0.2.1.dev1"),
        ("0.3.0", ["v0.3.0"], "no section of the version 0.3.0"),
        ("0.2", [], "no section of the version 0.2"),
    ],
)
def test_a_version_that_differs_from_tag_or_changelog_is_refused(version: str, tags: list[str], message: str) -> None:
    with pytest.raises(CheckError, match=message):
        check_version(version, tags, CHANGELOG)


def test_the_changelog_has_the_section_of_the_version_that_a_clone_without_tags_gets() -> None:
    project = tomllib.loads((check.ROOT / "pyproject.toml").read_text("utf-8"))
    fallback = project["tool"]["hatch"]["version"]["raw-options"]["fallback_version"]
    check_version(fallback, [], (check.ROOT / "CHANGELOG.md").read_text("utf-8"))


def test_least_versions_are_those_of_all_dependencies_and_extras_that_users_install() -> None:
    project = {
        "dependencies": ["numpy>=2", "torch>=2.6"],
        "optional-dependencies": {"dask": ["distributed>=2025.7"], "dev": ["ruff>=1"], "all": ["hitofude[dask]"]},
    }
    assert floors(project) == {"numpy": "2", "torch": "2.6", "distributed": "2025.7"}


def test_every_dependency_of_hitofude_has_a_least_version_or_needs_none() -> None:
    project = tomllib.loads((check.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {text.split(">=")[0] for text in project["dependencies"]}
    assert names <= set(floors(project))


def test_the_least_versions_are_tried_on_the_oldest_python_alone() -> None:
    pairs = attempts(["3.11", "3.13"], ["least", "newest"])
    assert pairs == [("3.11", "least"), ("3.11", "newest"), ("3.13", "newest")]


def test_the_oldest_python_is_the_one_that_pyproject_allows() -> None:
    project = tomllib.loads((check.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={check.OLDEST}"


def write_wheel(path: Path, names: list[str]) -> Path:
    """Write an archive with the named files, and the metadata that every wheel has."""
    with ZipFile(path, "w") as file:
        for name in [*names, "hitofude-0.2.0.dist-info/METADATA"]:
            file.writestr(name, "")
    return path


def tracked() -> list[str]:
    """Return the package's files that git knows, as the wheel names them."""
    return [line.removeprefix("src/") for line in call("git", "ls-files", "src/hitofude").splitlines()]


def test_a_wheel_with_the_files_of_the_package_passes(tmp_path: Path) -> None:
    check_wheel(write_wheel(tmp_path / "good.whl", tracked()))


def test_a_wheel_without_one_of_the_files_or_with_another_is_refused(tmp_path: Path) -> None:
    first, *others = tracked()
    with pytest.raises(CheckError, match=f"missing in the wheel: ..{first}.*not in git: ..hitofude/notes.txt"):
        check_wheel(write_wheel(tmp_path / "bad.whl", [*others, "hitofude/notes.txt"]))


def test_a_wheel_that_is_too_large_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "large.whl"
    wheel.write_bytes(bytes(check.LARGEST_WHEEL + 1))
    with pytest.raises(CheckError, match="1,000,001 bytes; at most 1,000,000"):
        check_wheel(wheel)


def test_a_command_that_fails_is_told_with_its_output() -> None:
    with pytest.raises(CheckError, match=r"ended with 3:\nno disk"):
        call(sys.executable, "-c", "print('no disk'); raise SystemExit(3)")
