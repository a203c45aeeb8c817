"""A run's model made in a process of its own: PyTorch and the exporter leave with it, and the server stays small.

python -m hitofude.web.model_process RUN
"""

import os
import subprocess
import sys
from pathlib import Path

import hitofude
from hitofude.errors import InputError, OutOfResourcesError, RunFolderError, UserError

KINDS: dict[int, type[UserError]] = {kind.exit_code: kind for kind in (InputError, RunFolderError, OutOfResourcesError)}


def export_beside(run: Path) -> None:
    """Have model.onnx in the run's folder, of its present weights.

    Raises UserError where that cannot be: the run is not finished or damaged, a package or the disk is missing.
    """
    command = [sys.executable, "-P", "-m", "hitofude.web.model_process", str(run)]
    package_root, others = str(Path(hitofude.__file__).parents[1]), os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package_root, others] if others else [package_root])}
    ended = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", env=environment, check=False
    )
    if ended.returncode in KINDS:
        raise KINDS[ended.returncode](ended.stderr.strip())
    if ended.returncode:
        raise RuntimeError(f"exporting ended with {ended.returncode}: {ended.stderr}")


def main() -> int:
    """The process: its exit code is the error's, and what it says is the message."""
    from hitofude.export.onnx_export import model_of_run

    try:
        model_of_run(Path(sys.argv[1]))
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
