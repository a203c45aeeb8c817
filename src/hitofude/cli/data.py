"""`hitofude augment`, `hitofude data show` and `hitofude data check`."""

from pathlib import Path

from hitofude.cli.app import (
    DEFAULT_SOURCE_OPTIONS,
    Plugins,
    Preset,
    Seed,
    Settings,
    Source,
    SourceOptions,
    app,
    data,
    tell,
)
from hitofude.errors import counted


@app.command
def augment(
    source: Source = None,
    /,
    *,
    out: Path = Path("augment.png"),
    preset: Preset = "fast",
    settings: Settings = (),
    plugin: Plugins = (),
    images: int = 8,
    versions: int = 9,
    seed: Seed = 0,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Draw training images beside their augmented versions.

    For example:
      hitofude augment
      hitofude augment digit-recognizer.zip --preset article --out article.png
      hitofude augment --set augment.max_rotation=30 --set augment.probability=1.0

    Parameters
    ----------
    out
        The PNG to write.
    preset
        The recipe with the augmentation to draw.
    settings
        NAME=VALUE, such as augment.max_rotation=30; may be repeated.
    plugin
        A Python file with networks or augmentations of your own; may be repeated. See docs/extending.md.
    images
        The number of originals.
    versions
        The number of versions of each.
    seed
        For the choice of originals and transformations.
    """
    from hitofude.learning.plugins import load_plugins
    from hitofude.outputs.plots import plot_augmentation
    from hitofude.recipe import choose_recipe
    from hitofude.stage import parse_settings

    load_plugins(plugin)
    recipe = choose_recipe(preset, parse_settings(settings))
    plot_augmentation(out, options.open(source).train, recipe.augment, images, versions, seed)
    tell(f"{counted(images, 'original')} and {counted(versions, 'version')} of each drawn in {out}")


@data.command
def show(
    source: Source = None,
    /,
    *,
    out: Path = Path("images.png"),
    images: int = 100,
    seed: Seed = 0,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Draw a sheet of training images with their labels.

    For example:
      hitofude data show
      hitofude data show digit-recognizer.zip --out digits.png --images 200

    Parameters
    ----------
    out
        The PNG to write.
    images
        The number of images, with the classes as even as possible.
    seed
        For the choice of images.
    """
    from hitofude.outputs.plots import plot_sheet

    shown = plot_sheet(out, options.open(source).train, images, seed)
    tell(f"{counted(shown, 'image')} drawn in {out}")


@data.command
def check(source: Source = None, /, *, options: SourceOptions = DEFAULT_SOURCE_OPTIONS) -> None:
    """Describe a source, or report what is wrong with it.

    For example:
      hitofude data check digit-recognizer.zip
      hitofude data check --train mine.csv --label species --shape 24x32
    """
    from hitofude.inputs.dataset import check_several_classes, describe_dataset

    dataset = options.open(source)
    tell(describe_dataset(dataset))
    check_several_classes(dataset.train)
