"""Export of a run's model in a separate process: PyTorch and the exporter leave with it, and the server stays small.

python -m hitofude.web.model_process RUN
"""

import subprocess
import sys
from pathlib import Path

from hitofude.errors import InputError, OutOfResourcesError, RunFolderError, UserError
from hitofude.workers.process import package_environment

KINDS: dict[int, type[UserError]] = {kind.exit_code: kind for kind in (InputError, RunFolderError, OutOfResourcesError)}


def export_in_process(run: Path) -> None:
    """Write model.onnx into the run's folder, unless it is there and has the run's weights.

    Raises UserError if the run is not finished or damaged, or a package or disk space is missing.
    """
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "hitofude.web.model_process", str(run)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", env=package_environment(), check=False,
    )  # fmt: skip
    if ended.returncode in KINDS:
        raise KINDS[ended.returncode](ended.stderr.strip())
    if ended.returncode:
        raise RuntimeError(f"exporting ended with {ended.returncode}: {ended.stderr}")


def main(run: Path) -> int:
    """Export; return the error's exit code after printing its message to standard error."""
    from hitofude.export.onnx_export import model_of_run

    try:
        model_of_run(run)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
