"""hitofude presets."""

import time

from hitofude.cli.app import (
    DEFAULT_SOURCE_OPTIONS,
    Device,
    Plugins,
    Preset,
    Settings,
    SourceName,
    SourceOptions,
    app,
    check_device,
    parse_count,
    tell,
)
from hitofude.language.translation import say


@app.command
def presets(
    source: SourceName | None = None,
    /,
    *,
    preset: Preset | None = None,
    device: Device = "auto",
    workers: str = "auto",
    threads: str = "auto",
    settings: Settings = (),
    plugin: Plugins = (),
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
      hitofude presets my-folder --preset recipe.toml --plugin my_network.py
      hitofude presets --plugin my_network.py --set network.name=my-net

    Parameters
    ----------
    source
        As for run.
    preset
        One preset, or a recipe file (.toml), in place of all presets.
    device
        As for run.
    workers
        auto, or the number of members trained side by side.
    threads
        As for run.
    settings
        As for run. Presets that contradict one of them are left out.
    plugin
        As for run.
    """
    started = time.monotonic()
    from hitofude.learning.plugins import load_plugins
    from hitofude.learning.speed_meter import SpeedMeter
    from hitofude.runs.cost import CostModel, seconds_to_read
    from hitofude.runs.preset_costs import (
        COMPETITION_ROWS,
        as_the_competition,
        choose_presets,
        cost_of_presets,
        describe_setting,
    )
    from hitofude.stage import parse_settings

    load_plugins(plugin)
    check_device(device)
    recipes = choose_presets(preset, parse_settings(settings))
    is_given = source is not None or options != DEFAULT_SOURCE_OPTIONS
    dataset = options.open(source) if is_given else as_the_competition()
    tell(describe_setting(dataset))
    if is_given:
        dataset.copies(dataset.train)  # as a run searches for them
        reading = time.monotonic() - started
    else:
        tell(" " * 9 + say("as many as Kaggle's Digit Recognizer has; name a SOURCE for yours"))
        reading = seconds_to_read(sum(COMPETITION_ROWS))
    with SpeedMeter(dataset.train) as meter:
        costs = CostModel(meter, device, parse_count(workers, "--workers"), parse_count(threads, "--threads"))
        for found in cost_of_presets(recipes, dataset, costs, reading):
            tell(f"\n{found.describe()}")
    tell("\n" + say("hitofude run SOURCE --preset NAME, or the most accurate recipe for a time:"))
    tell("hitofude run SOURCE --time-limit 10m")
