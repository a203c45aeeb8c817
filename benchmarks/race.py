"""The race: seconds and operations until held-out digits are read 99.0, 99.4 or 99.6 % right, in the mean of seeds.

python -m benchmarks.race digit-recognizer.zip --out /tmp/race                 ten seeds of `speedrun.py` and its rivals
python -m benchmarks.race digit-recognizer.zip --out /tmp/race --only speedrun

Each seed holds out other 8,000 rows; with MNIST's own files (a folder of IDX), the public 10,000 are read instead.
Each contestant trains for a length fixed beforehand and reads the held-out rows once: docs/race.md. Seconds are
those of training and reading in one process, from images in memory; CPU s are those of all its threads, which other
work on the machine changes less. Every result is a line of results.jsonl in --out; a second call makes only the
missing ones. Contestants take turns within a seed, so that a machine that slows down slows all.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import speedrun
from benchmarks.tutorial import CNNMedium
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source
from hitofude.learning.augment import augment
from hitofude.learning.compute import processor_name, processors
from hitofude.recipe import Recipe

Train = Callable[[nn.Module, Tensor, Tensor, int], None]
"""Train a network on (N, 1, 28, 28) uint8 images and (N,) int64 labels, with a seed."""


@dataclass(frozen=True)
class Contestant:
    """A way to train for a target, in percent; slow ones are run with fewer seeds."""

    name: str
    target: float
    shown: int
    """Images shown in the training, each time that one is."""
    build: Callable[[int], nn.Module]
    train: Train
    predict: Callable[[nn.Module, Tensor], Tensor]
    seeds: int = 10_000


@dataclass(frozen=True)
class Result:
    """The outcome of one seed; `source` is the fingerprint of its images, `cpu_seconds` those of all threads."""

    source: str
    name: str
    target: float
    shown: int
    seed: int
    threads: int
    right: int
    rows: int
    seconds: float
    cpu_seconds: float
    flops: int

    @property
    def key(self) -> tuple[object, ...]:
        return self.source, self.name, self.target, self.shown, self.seed, self.threads

    @property
    def percent(self) -> float:
        return 100 * self.right / self.rows


def our_way(target: float) -> Contestant:
    """The recipe in `speedrun.py`."""
    settings = speedrun.TARGETS[target]
    return Contestant(
        "speedrun",
        target,
        settings.images,
        lambda seed: speedrun.build(settings, seed),
        lambda network, images, labels, seed: speedrun.train(network, images, labels, settings, seed),
        speedrun.predict,
    )


def adams_way(target: float, shown: int, seeds: int) -> Contestant:
    """The same network and distortions, trained by Adam with PyTorch's one-cycle schedule in float32."""
    settings = speedrun.TARGETS[target]

    def train(network: nn.Module, images: Tensor, labels: Tensor, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(network.parameters())
        steps = batches(len(images), shown, BATCH, generator)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=ADAM_RATE, total_steps=len(steps))
        for rows in steps:
            loss = functional.cross_entropy(network(speedrun.distorted(images[rows], generator)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()

    return Contestant(
        "Adam, same network",
        target,
        shown,
        lambda seed: speedrun.build(settings, seed),
        train,
        lambda network, images: predicted(network, speedrun.inner(images)),
        seeds,
    )


def tutorials_way(target: float, shown: int, seeds: int) -> Contestant:
    """The tutorial's network, by Adam with its defaults in batches of 16, with the tutorial's light augmentation.

    Images are transformed in whole batches, not one by one with scikit-image as the tutorial does: that takes longer.
    """
    recipe = Recipe.preset("article").augment

    def build(seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return CNNMedium()

    def train(network: nn.Module, images: Tensor, labels: Tensor, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(network.parameters())
        for rows in batches(len(images), shown, 16, generator):
            logits = network(augment(images[rows].float() / 255, recipe, generator))
            optimizer.zero_grad()
            functional.cross_entropy(logits, labels[rows]).backward()
            optimizer.step()

    return Contestant(
        "tutorial's network",
        target,
        shown,
        build,
        train,
        lambda network, images: predicted(network, images.float() / 255),
        seeds,
    )


BATCH, ADAM_RATE = 128, 0.01
CONTESTANTS = [
    our_way(99.0),
    our_way(99.4),
    our_way(99.6),
    adams_way(99.0, 76_800, 10),
    adams_way(99.4, 250_880, 3),
    adams_way(99.6, 400_384, 1),
    tutorials_way(99.0, 272_000, 1),
]
"""The lengths were set beforehand, by trainings of other seeds as far as docs/race.md has them."""


def batches(count: int, shown: int, size: int, generator: torch.Generator) -> Sequence[Tensor]:
    """Draw batches of the rows of `count` images, epoch after epoch, until `shown` images have been shown."""
    epochs = range(math.ceil(shown / count))
    order = torch.cat([torch.randperm(count, generator=generator) for _ in epochs])[:shown]
    split: Sequence[Tensor] = order.split(size)
    return split


@torch.inference_mode()
def predicted(network: nn.Module, images: Tensor) -> Tensor:
    """(N, 1, H, W) float → the labels (N,)."""
    network.eval()
    return torch.cat([network(part).argmax(dim=1) for part in images.split(500)])


class Operations:
    """The floating-point operations of a network: those of a prediction, by PyTorch's counter, three times in training.

    FLOP of convolutions and matrix products, two for each multiplication and addition; optimizers are not counted.
    """

    def __init__(self, network: nn.Module) -> None:
        self.total = 0
        self._network, self._known = network, dict[torch.Size, int]()
        self._hook = network.register_forward_pre_hook(self._count)

    def _count(self, network: nn.Module, inputs: tuple[Tensor]) -> None:
        images = inputs[0]
        shape = images.shape[1:]
        if shape not in self._known:
            self._hook.remove()
            was_training = network.training
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                network.eval()(torch.zeros(1, *shape))
            network.train(was_training)
            self._known[shape] = counter.get_total_flops()
            self._hook = network.register_forward_pre_hook(self._count)
        self.total += self._known[shape] * len(images) * (3 if network.training else 1)


def run(contestant: Contestant, source: str, images: ImageSet, test: ImageSet | None, seed: int) -> Result:
    """Train and judge a contestant once."""
    pixels, labels = torch.from_numpy(images.images), torch.from_numpy(images.known_labels())
    held_out, rest = speedrun.split(len(pixels), seed)
    if test is None:
        asked, truth, pixels, labels = pixels[held_out], labels[held_out], pixels[rest], labels[rest]
    else:
        asked, truth = torch.from_numpy(test.images), torch.from_numpy(test.known_labels())
    network = contestant.build(seed)
    operations = Operations(network)
    started, cpu_started = time.perf_counter(), time.process_time()
    contestant.train(network, pixels, labels, seed)
    right = int((contestant.predict(network, asked) == truth).sum())
    return Result(
        source,
        contestant.name,
        contestant.target,
        contestant.shown,
        seed,
        torch.get_num_threads(),
        right,
        len(truth),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        flops=operations.total,
    )


def table(results: Iterable[Result]) -> str:
    """Return a line for each contestant and target.

    It has the mean accuracy ± its standard error over n seeds, the medians of the seconds, and the TFLOP; × says how
    many times those of the speed run these are, over the same seeds.
    """
    groups: dict[tuple[float, str, int], dict[int, Result]] = {}
    for result in sorted(results, key=lambda one: one.target):
        groups.setdefault((result.target, result.name, result.shown), {})[result.seed] = result
    ours = {target: found for (target, name, _), found in groups.items() if name == "speedrun"}
    lines, target_before = [], None
    for (target, name, shown), found in groups.items():
        if target != target_before:
            head = f"{f'to {target} %':<18} {'images':>7} {'right %':>14} {'n':>3}"
            lines.append(f"{head} {'s':>6} {'CPU s':>6} {'×':>5} {'TFLOP':>6} {'×':>5}")
        lines.append(f"{name:<18} {shown:>7,} " + _figures(list(found.values()), ours.get(target, {}), target))
        target_before = target
    if any(line.endswith("*") for line in lines):
        lines.append("* The target is not reached.")
    return "\n".join(lines)


def _figures(found: Sequence[Result], ours: Mapping[int, Result], target: float) -> str:
    percents = [one.percent for one in found]
    mean = statistics.mean(percents)
    error = f" ± {statistics.stdev(percents) / len(found) ** 0.5:.3f}" if len(found) > 1 else ""
    seconds = statistics.median(one.seconds for one in found)
    cpu_seconds = statistics.median(one.cpu_seconds for one in found)
    tera = statistics.mean(one.flops for one in found) / 1e12
    return (
        f"{f'{mean:.3f}{error}':>14} {len(found):>3} {seconds:>6.1f}"
        f" {cpu_seconds:>6.1f} {_times(found, ours, lambda one: one.cpu_seconds):>5.1f}"
        f" {tera:>6.2f} {_times(found, ours, lambda one: one.flops):>5.1f}{'' if mean >= target else ' *'}"
    )


def _times(found: Sequence[Result], ours: Mapping[int, Result], value: Callable[[Result], float]) -> float:
    """Return how many times the values of our results of the same seeds these values are, in total."""
    shared = [one for one in found if one.seed in ours]
    return sum(map(value, shared)) / sum(value(ours[one.seed]) for one in shared) if shared else float("nan")


def read_results(path: Path) -> list[Result]:
    """Read the results so far; a line that was cut off by a kill is passed over."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Result(**json.loads(line)) for line in lines if line.endswith("}")]


def append(path: Path, result: Result) -> None:
    """Add a result, below a line that was cut off if there is one."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    is_cut = text != "" and not text.endswith("\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if is_cut else "") + json.dumps(asdict(result)) + "\n")


def main() -> None:
    arguments = _parse()
    torch.set_num_threads(arguments.threads or processors())
    data = open_source(arguments.source)
    test = data.test if data.test is not None and data.test.labels is not None else None
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "results.jsonl"
    wanted = [one for one in CONTESTANTS if arguments.only in one.name and one.target in arguments.targets]
    results = {one.key: one for one in read_results(path)}
    found = []
    for turn, seed in enumerate(range(arguments.first_seed, arguments.first_seed + arguments.seeds)):
        for one in wanted:
            if turn >= one.seeds:
                continue
            key = (data.train.fingerprint, one.name, one.target, one.shown, seed, torch.get_num_threads())
            if key not in results:
                results[key] = run(one, data.train.fingerprint, data.train, test, seed)
                append(path, results[key])
                print(describe(results[key]), flush=True)
            found.append(results[key])
    precision = "bfloat16" if speedrun.HAS_BFLOAT16 else "float32"
    read = "its test part" if test is not None else "8,000 held-out rows, others for each seed"
    print(f"\n{processor_name()}, threads: {torch.get_num_threads()}, {precision}; {data.name}: {read}")
    print(table(found))


def describe(result: Result) -> str:
    """Return a line about the outcome of one seed."""
    return (
        f"seed {result.seed}: {result.name}, to {result.target} %: {result.percent:.3f} %"
        f" after {result.seconds:.1f} s ({result.cpu_seconds:.1f} s of processors)"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a labelled CSV, zip or folder of 28×28 images; the folder of MNIST's IDX files")
    parser.add_argument("--out", type=Path, required=True, help="the folder of results.jsonl")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="default: all processors")
    parser.add_argument("--only", default="", help="contestants with this in their name")
    parser.add_argument("--targets", type=float, nargs="+", default=list(speedrun.TARGETS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
