"""The race: seconds and operations until held-out digits are read 99.0, 99.4 or 99.6 % right, in the mean of seeds.

python -m benchmarks.race digit-recognizer.zip --out /tmp/race                 ten seeds of `speedrun.py` and its rivals
python -m benchmarks.race digit-recognizer.zip --out /tmp/race --only speedrun

Each seed holds out other 8,000 rows; with MNIST's own files (a folder of IDX), the public 10,000 are read instead.
Each contestant trains for a length fixed beforehand and reads the held-out rows once. Seconds are those of training
and reading in one process, from images in memory. Every result is a line of results.jsonl in --out; a second call
makes only the missing ones. Contestants take turns within a seed, so that a machine that slows down slows all.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
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
    length: str
    build: Callable[[int], nn.Module]
    train: Train
    predict: Callable[[nn.Module, Tensor], Tensor]
    seeds: int = 10_000


@dataclass(frozen=True)
class Result:
    """The outcome of one seed."""

    source: str
    name: str
    target: float
    length: str
    seed: int
    threads: int
    right: int
    rows: int
    seconds: float
    flops: int

    @property
    def key(self) -> tuple[object, ...]:
        return self.source, self.name, self.target, self.length, self.seed, self.threads

    @property
    def percent(self) -> float:
        return 100 * self.right / self.rows


def our_way(target: float) -> Contestant:
    """The recipe in `speedrun.py`."""
    settings = speedrun.TARGETS[target]
    return Contestant(
        "speedrun",
        target,
        f"{settings.images:,} images",
        lambda seed: speedrun.build(settings, seed),
        lambda network, images, labels, seed: speedrun.train(network, images, labels, settings, seed),
        speedrun.predict,
    )


def adams_way(target: float, images_shown: int, seeds: int) -> Contestant:
    """The same network and distortions, trained by Adam with PyTorch's one-cycle schedule in float32."""
    settings = speedrun.TARGETS[target]

    def train(network: nn.Module, images: Tensor, labels: Tensor, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(network.parameters())
        shown = batches(len(images), images_shown, BATCH, generator)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=ADAM_RATE, total_steps=len(shown))
        for rows in shown:
            loss = functional.cross_entropy(network(speedrun.distorted(images[rows], generator)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()

    return Contestant(
        "Adam, same network",
        target,
        f"{images_shown:,} images",
        lambda seed: speedrun.build(settings, seed),
        train,
        lambda network, images: predicted(network, speedrun.inner(images)),
        seeds,
    )


def tutorials_way(target: float, epochs: int, seeds: int) -> Contestant:
    """The tutorial's network, by Adam with its defaults in batches of 16, with the tutorial's light augmentation."""
    recipe = Recipe.preset("article").augment

    def build(seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return CNNMedium()

    def train(network: nn.Module, images: Tensor, labels: Tensor, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(network.parameters())
        for rows in batches(len(images), epochs * len(images), 16, generator):
            logits = network(augment(images[rows].float() / 255, recipe, generator))
            optimizer.zero_grad()
            functional.cross_entropy(logits, labels[rows]).backward()
            optimizer.step()

    return Contestant(
        "the tutorial's network",
        target,
        f"{epochs} epochs",
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
    adams_way(99.0, 40_960, 10),
    adams_way(99.4, 200_000, 5),
    adams_way(99.6, 400_000, 2),
    tutorials_way(99.0, 8, 2),
]
"""The lengths are the shortest found whose mean on other seeds reaches the target, or the longest tried."""


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
    started = time.perf_counter()
    contestant.train(network, pixels, labels, seed)
    right = int((contestant.predict(network, asked) == truth).sum())
    seconds = time.perf_counter() - started
    threads, length = torch.get_num_threads(), contestant.length
    return Result(
        source, contestant.name, contestant.target, length, seed, threads, right, len(truth), seconds, operations.total
    )


def table(results: Iterable[Result]) -> str:
    """Return a line for each contestant and target: the mean accuracy ± its standard error over seeds, the median of
    the seconds, and how many times those of the speed run these and the operations are, over the same seeds.
    """
    groups: dict[tuple[float, str, str], dict[int, Result]] = {}
    for result in sorted(results, key=lambda one: one.target):
        groups.setdefault((result.target, result.name, result.length), {})[result.seed] = result
    head = f"{'%':<5} {'contestant':<22} {'length':<14} {'right %':>14} {'n':>3}"
    lines = [f"{head} {'s':>6} {'×':>5} {'TFLOP':>6} {'×':>5}"]
    for (target, name, length), found in groups.items():
        mean = statistics.mean(one.percent for one in found.values())
        error = statistics.stdev(one.percent for one in found.values()) / len(found) ** 0.5 if len(found) > 1 else 0.0
        ours = next((ours for (of, whose, _), ours in groups.items() if (of, whose) == (target, "speedrun")), {})
        shared = found.keys() & ours.keys()
        seconds, tera = _seconds(found.values()), _tera(found.values())
        by_time = seconds / _seconds(ours[seed] for seed in shared) if shared else float("nan")
        by_operations = tera / _tera(ours[seed] for seed in shared) if shared else float("nan")
        accuracy = f"{mean:.3f} ± {error:.3f}" if error else f"{mean:.3f}"
        lines.append(
            f"{target:<5} {name:<22} {length:<14} {accuracy:>14} {len(found):>3} {seconds:>6.1f} {by_time:>5.1f}"
            f" {tera:>6.2f} {by_operations:>5.1f}{'' if mean >= target else '  not reached'}"
        )
    return "\n".join(lines)


def _seconds(results: Iterable[Result]) -> float:
    return statistics.median(one.seconds for one in results)


def _tera(results: Iterable[Result]) -> float:
    return statistics.mean(one.flops for one in results) / 1e12


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
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for one in wanted:
            if seed - arguments.first_seed >= one.seeds:
                continue
            key = (data.train.fingerprint, one.name, one.target, one.length, seed, torch.get_num_threads())
            if key not in results:
                results[key] = run(one, data.train.fingerprint, data.train, test, seed)
                append(path, results[key])
            found.append(results[key])
    precision = "bfloat16" if speedrun.HAS_BFLOAT16 else "float32"
    read = "its test part" if test is not None else "8,000 held-out rows, others for each seed"
    print(f"{processor_name()}, {torch.get_num_threads()} threads, {precision}; {data.name}: {read}")
    print(table(found))


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
