"""hitofude export: a run's model as an ONNX file, a LiteRT file for phones, or a static page."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from hitofude.cli.app import DEFAULT_SOURCE_OPTIONS, Plugins, SourceName, SourceOptions, app, tell
from hitofude.errors import RecipeError


@app.command
def export(
    run: Path,
    source: SourceName | None = None,
    /,
    *,
    onnx: Path | None = None,
    litert: Path | None = None,
    web: Path | None = None,
    pixels: Literal["uint8", "float32"] = "uint8",
    int8: Annotated[bool, Parameter(negative=())] = False,
    simple: Annotated[bool, Parameter(negative=())] = False,
    views: Literal["one", "all"] | None = None,
    images: int = 10_000,
    onnxruntime_web: Path | None = None,
    plugin: Plugins = (),
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Write a run's ensemble as one ONNX or LiteRT model, or as a page to draw on that computes in the browser.

    The model takes pixels 0..255 and returns the calibrated mean of all members;
    scaling, members and test-time augmentation are part of it, names and classes
    are in its metadata. The file appears only after it was compared with the run.

    The page is a folder of files for any static host: it needs no server of its
    own, and drawings stay in the browser.

    For example:
      hitofude export runs/sample-fast --onnx model.onnx
      hitofude export runs/best digit-recognizer.zip --onnx small.onnx --int8
      hitofude export runs/best digit-recognizer.zip --onnx plain.onnx --simple
      hitofude export runs/sample-fast-distilled --litert small.tflite
      hitofude export runs/sample-fast --web site

    Parameters
    ----------
    run
        The folder of a finished run.
    source
        As for run: images for the comparison and, with --int8, the data that the run was trained on; by default the
        embedded sample.
    onnx
        The model's file.
    litert
        The model's file for phones, in ordinary operations alone, for one image (1, height, width, channels) at a time.
        It needs pip install 'hitofude[litert]'.
    web
        A new or empty folder for the page. It needs npm once, to fetch onnxruntime-web.
    pixels
        The type of the model's input.
    int8
        Weights and activations in 8 bits: smaller and faster; the cost in accuracy is measured and printed.
    simple
        Ordinary operations alone, without functions, branches and loops, for runtimes that have none. All members are
        asked about every image, so the labels of a few may differ; the cost in accuracy is measured and printed.
    views
        With --simple or --litert: one, the default of --simple, sees each image once; all, that of --litert, sees it
        five times, as the run sees unclear images, and takes five times as long.
    images
        The number of images in the comparison with the run.
    onnxruntime_web
        onnxruntime-web's file as npm packs it, if npm or its registry cannot be reached from here.
    plugin
        As for predict.
    """
    from hitofude.export.onnx_export import export_onnx
    from hitofude.export.outcome import describe_export
    from hitofude.export.web_bundle import describe_bundle, export_web
    from hitofude.learning.plugins import load_plugins
    from hitofude.runs.folder import RunFolder

    if onnx is None and web is None and litert is None:
        raise RecipeError("Nothing to export. Name a file with --onnx or --litert, or a folder with --web.")
    if views is not None and not simple and litert is None:
        raise RecipeError(f"--views {views} is for --simple and --litert: add one, or leave --views out.")
    if simple and onnx is None:
        raise RecipeError("--simple is for --onnx FILE: add it, or leave --simple out.")
    if int8 and onnx is None and web is None:
        raise RecipeError("--int8 is for --onnx and --web; a LiteRT file is written in float32. Leave --int8 out.")
    if images < 1:
        raise RecipeError(f"--images {images}: expected a number from 1 up.")
    RunFolder(run).load_networks()  # before a large source is read
    load_plugins(plugin)
    has_source = source is not None or options.train is not None
    dataset = options.open(source) if has_source else None
    if onnx is not None:
        asked = (views or "one") if simple else None
        exported = export_onnx(run, onnx, source=dataset, pixels=pixels, int8=int8, simple=asked, images=images)
        tell(describe_export(exported))
    if litert is not None:
        from hitofude.export.litert_export import export_litert

        tell(describe_export(export_litert(run, litert, source=dataset, views=views or "all", images=images)))
    if web is not None:
        tell(describe_bundle(export_web(run, web, source=dataset, int8=int8, images=images, package=onnxruntime_web)))
