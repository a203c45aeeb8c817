"""The tutorial's training in plain PyTorch: each image transformed by scikit-image, batches of 16, a Python loop.

python -m benchmarks.tutorial      compare its images/s with hitofude's on the same network, both with augmentation
python -m benchmarks.tutorial --source digit-recognizer.zip      and its five folds with a whole `hitofude run`
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import AffineTransform
from skimage.transform import warp as skimage_warp
from torch import nn
from torch.nn import functional

from benchmarks.timing import Row, format_table
from benchmarks.training import benchmark_recipe, parallelisms, training_rate
from hitofude.inputs.sources import sample
from hitofude.learning.compute import choose_compute, processor_name
from hitofude.learning.speed import matmul_rate, training_flops

BATCH, ITERATIONS, ROUNDS = 16, 250, 3
NETWORK = "cnn-medium"
IMAGES = 5 * 30 * 33_600
"""The images that the tutorial's five folds train on in 30 epochs."""


class CNNMedium(nn.Module):
    """The tutorial's network: six convolutions of 3×3, 95,156 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.conv3 = nn.Conv2d(32, 32, 3)
        self.conv4 = nn.Conv2d(32, 32, 3, stride=2)
        self.conv5 = nn.Conv2d(32, 64, 3)
        self.conv6 = nn.Conv2d(64, 32, 3)
        self.fc7 = nn.Linear(1152, 30)
        self.fc8 = nn.Linear(30, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (N, 1, 28, 28) float32 0..1 → logits (N, 10)."""
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5, self.conv6):
            x = functional.leaky_relu(convolution(x), 0.05)
        logits: torch.Tensor = self.fc8(functional.leaky_relu(self.fc7(x.flatten(1)), 0.05))
        return logits


class TransformedImages:
    """Images that are randomly transformed at each access, with a probability of 0.5."""

    def __init__(self, images: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> None:
        self.images, self.labels = images, labels
        self.random = np.random.default_rng(seed)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], int]:
        image = self.images[index]
        if self.random.random() < 0.5:
            image = self.transform(image)
        return image, int(self.labels[index])

    def transform(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """image: (1, 28, 28); scale 0.95 to 1.05, rotation ±7°, shear ±3°, translation ±2 pixels."""
        draw = self.random.uniform
        transform = AffineTransform(
            scale=(draw(0.95, 1.05), draw(0.95, 1.05)),
            rotation=np.deg2rad(draw(-7, 7)),
            shear=np.deg2rad(draw(-3, 3)),
            translation=self.random.integers(-2, 3, size=2),
        )
        return skimage_warp(image[0], transform.inverse, output_shape=(28, 28))[None].astype(np.float32)  # type: ignore[no-any-return]


class TutorialTraining:
    """Training by Adam with its defaults, observing loss and accuracy of every batch."""

    def __init__(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        self.dataset = TransformedImages(images, labels, seed=777)
        self.network = CNNMedium()
        self.optimizer = torch.optim.Adam(self.network.parameters())
        self.observed: list[tuple[float, float]] = []

    def iterate(self, iterations: int) -> None:
        order = self.dataset.random.permutation(len(self.dataset.images))
        for start in range(0, iterations * BATCH, BATCH):
            examples = [self.dataset[order[index % len(order)]] for index in range(start, start + BATCH)]
            pixels = torch.from_numpy(np.stack([image for image, _ in examples]))
            labels = torch.tensor([label for _, label in examples])
            logits = self.network(pixels)
            loss = functional.cross_entropy(logits, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            accuracy = (logits.argmax(dim=1) == labels).float().mean()
            self.observed.append((loss.item(), accuracy.item()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--source", type=Path, help="the competition's files, to run the whole command of the default preset"
    )
    source = parser.parse_args().source
    images = sample().train
    compute = choose_compute()
    torch.set_num_threads(compute.threads)
    training = TutorialTraining(images.images.astype(np.float32) / np.float32(255), images.known_labels())
    training.iterate(20)
    recipe = benchmark_recipe(NETWORK)
    theirs: list[float] = []
    ours: dict[str, list[float]] = {name: [] for name in parallelisms()}
    for _ in range(ROUNDS):
        started = time.perf_counter()
        training.iterate(ITERATIONS)
        theirs.append(ITERATIONS * BATCH / (time.perf_counter() - started))
        for name, parallelism in parallelisms().items():
            ours[name].append(training_rate(recipe, images, compute, parallelism))
    peak, flops = matmul_rate(compute), training_flops(NETWORK, images.image_shape)
    tutorial = statistics.median(theirs)
    print(f"{processor_name()}, {platform.system()}, {compute}, {NETWORK}, medians of {ROUNDS} rounds")
    print(
        format_table(
            Row(f"training {name}", "images/s", statistics.median(found), "the tutorial's way", tutorial)
            for name, found in ours.items()
        )
    )
    print(
        f"The machine's {compute.precision} matrix products, {peak / 1e9:,.0f} GFLOP/s, would allow "
        f"{peak / flops:,.0f} images/s at most: {peak / flops / tutorial:.2f} times the tutorial's way."
    )
    if source is not None:
        whole, theirs_whole = seconds_of_run(source), IMAGES / tutorial
        print(
            f"The tutorial's five folds: {IMAGES:,} images, {theirs_whole:,.0f} s at its rate above. "
            f"`hitofude run {source.name}`: {whole:,.0f} s, everything included: 1/{theirs_whole / whole:.0f} of that."
        )


def seconds_of_run(source: Path) -> float:
    """Return the seconds of a whole `hitofude run` of the default preset."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        command = [sys.executable, "-m", "hitofude", "run", str(source), "--run", f"{folder}/run", "--quiet"]
        subprocess.run(command, check=True)
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
