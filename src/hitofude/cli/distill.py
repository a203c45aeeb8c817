"""hitofude distill."""

from pathlib import Path

from hitofude.cli.app import (
    DEFAULT_SOURCE_OPTIONS,
    Device,
    Network,
    Plugins,
    Settings,
    SourceName,
    SourceOptions,
    Trackers,
    app,
    asked_language,
    check_device,
    parse_count,
    parse_workers,
    tell,
    this_command,
)
from hitofude.cli.logs import is_quiet


@app.command
def distill(
    source: SourceName | None = None,
    /,
    *,
    teacher: Path,
    network: Network | None = None,
    run: Path | None = None,
    device: Device = "auto",
    workers: str = "auto",
    threads: str = "auto",
    settings: Settings = (),
    plugin: Plugins = (),
    log: Trackers = (),
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Train one small network to answer as the whole ensemble of a finished run does.

    It learns the ensemble's probabilities for the training images and for the
    images to predict, in place of labels, and is a run of its own: `predict`,
    `export` and `serve` use that one network. Its out-of-fold accuracy is honest:
    it is that of networks taught only by the ensemble's members that hold out the
    same images. The last lines compare operations and errors with the ensemble's.

    An unfinished run in the same folder is continued; a finished one is left alone.

    For example:
      hitofude distill --teacher runs/sample-fast
      hitofude distill digit-recognizer.zip --teacher runs/digit-recognizer-best
      hitofude distill --teacher runs/best --network cnn-lean --run runs/small
      hitofude export runs/best-distilled --web site

    Parameters
    ----------
    source
        The source of the teacher, read with the same options; by default the embedded sample.
    teacher
        The folder of a finished run. Several members that hold out each image teach best:
        --set ensemble.repeats=3 --set ensemble.resplit=false.
    network
        The small network, by default vgg-24; hitofude networks lists all.
    run
        The folder of the distilled run; by default TEACHER-distilled, beside the teacher's.
    device
        auto, cpu, cuda, cuda:1 for the second GPU, or mps.
    workers
        As for run: auto, a number of processes, or a cluster.
    threads
        The threads of each member: auto or a number. A run is continued with the threads that it was begun with.
    settings
        NAME=VALUE, such as schedule.epochs=20; may be repeated. The rows and folds are those of the teacher.
    plugin
        A Python file with networks or augmentations of your own; may be repeated. See docs/extending.md.
    log
        tensorboard, mlflow or wandb: write the curves for it, too; may be repeated. See docs/tracking.md.
    """
    from hitofude.runs.distillation import distill as distill_run
    from hitofude.runs.folder import RunFolder
    from hitofude.stage import parse_settings

    workers_given = parse_workers(workers)
    RunFolder(teacher).load_summary()  # this and the device are checked before a large source is read
    check_device(device, workers_given)
    result = distill_run(
        options.open(source),
        teacher=teacher,
        network=network,
        run=run,
        settings=parse_settings(settings),
        plugins=plugin,
        callbacks=log,
        device=device,
        workers=workers_given,
        threads=parse_count(threads, "--threads"),
        quiet=is_quiet(),
        command=this_command(),
        language=asked_language.get(),
    )
    tell(result.describe())
