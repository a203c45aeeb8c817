"""Reading finished runs loads neither PyTorch nor SciPy, which would take most of the time."""

import subprocess
import sys

from hitofude.runs.result import RunResult

HEAVY = "import sys; print(sorted({'torch', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))"
COMMANDS = """
import sys
from hitofude.cli import main
run, submission = sys.argv[1:]
for words in (["runs", run], ["compare", run, run], ["score", submission, submission]):
    sys.argv = ["hitofude", *words]
    try:
        main()
    except SystemExit as ending:
        assert ending.code == 0, words
"""


def loaded_by(code: str, *arguments: str) -> str:
    """Return the heavy packages that a program loads, as it prints them at its end."""
    words = [sys.executable, "-c", f"{code}\n{HEAVY}", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


def test_modules_that_read_a_run_are_light() -> None:
    assert loaded_by("import hitofude.runs.comparison, hitofude.runs.folder, hitofude.runs.result") == "[]"


def test_commands_that_read_a_run_are_light(finished: RunResult) -> None:
    submission = finished.submission
    assert loaded_by(COMMANDS, str(finished.folder.path), str(submission)) == "[]"


def test_a_heavy_import_would_be_seen() -> None:
    assert loaded_by("import scipy") == "['scipy']"
