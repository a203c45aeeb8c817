"""Taking a run's model elsewhere."""

from pathlib import Path

from hitofude.cli.app import DEFAULT_SOURCE_OPTIONS, SourceOptions, app
from hitofude.errors import RecipeError


@app.command
def export(
    run: Path,
    source: str | None = None,
    /,
    *,
    onnx: Path | None = None,
    web: Path | None = None,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Write a run's ensemble as one ONNX model, or as a page that computes in the browser.

    For example:
      hitofude export runs/sample-fast --onnx model.onnx

    Parameters
    ----------
    run
        The folder of a finished run.
    source
        As for run: its images are those that the model is compared by; left out, the embedded digits.
    onnx
        The model's file.
    """
    from hitofude.export.onnx_export import describe_export, export_onnx

    if onnx is None and web is None:
        raise RecipeError("Nothing to export. Name a file with --onnx, or a folder with --web.")
    if onnx is not None:
        print(describe_export(export_onnx(run, onnx)))
