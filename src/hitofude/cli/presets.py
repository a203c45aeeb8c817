"""hitofude presets."""

import time

from hitofude.cli.app import DEFAULT_SOURCE_OPTIONS, SourceOptions, app, check_device, parse_count, tell


@app.command
def presets(
    source: str | None = None,
    /,
    *,
    device: str = "auto",
    workers: str = "auto",
    threads: str = "auto",
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """List the presets: the purpose of each, and how long it takes here.

    Each with the operations of its training in TFLOP, the time of the whole
    command, for which this machine is measured for some seconds, its networks
    and its members. Without a source, for as many images as Kaggle's Digit
    Recognizer has.

    For example:
      hitofude presets
      hitofude presets digit-recognizer.zip
      hitofude presets my-folder --workers 2

    Parameters
    ----------
    source
        As for run.
    device
        As for run.
    workers
        auto, or the number of members trained side by side.
    threads
        As for run.
    """
    started = time.monotonic()
    from hitofude.learning.speed_meter import SpeedMeter
    from hitofude.runs.cost import CostModel, seconds_to_read
    from hitofude.runs.preset_costs import COMPETITION_ROWS, as_the_competition, cost_of_presets, describe_setting

    check_device(device)
    is_given = source is not None or options != DEFAULT_SOURCE_OPTIONS
    dataset = options.open(source) if is_given else as_the_competition()
    tell(describe_setting(dataset))
    if is_given:
        dataset.copies(dataset.train)  # as a run searches for them
        reading = time.monotonic() - started
    else:
        tell("         as many as Kaggle's Digit Recognizer has; name a SOURCE for yours")
        reading = seconds_to_read(sum(COMPETITION_ROWS))
    with SpeedMeter(dataset.train) as meter:
        costs = CostModel(meter, device, parse_count(workers, "--workers"), parse_count(threads, "--threads"))
        for preset in cost_of_presets(dataset, costs, reading):
            tell(f"\n{preset.describe()}")
    tell("\nhitofude run SOURCE --preset NAME, or the most accurate recipe for a time:")
    tell("hitofude run SOURCE --time-limit 10m")
