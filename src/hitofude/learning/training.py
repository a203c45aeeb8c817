"""Training one member: a pure function of the recipe, the data, the rows, and the member's number.

An epoch's shuffle and augmentation are drawn at its start; its batches are gathered, scaled and warped on the
device; losses and hits stay there until its end. Each epoch ends with a durable state to continue from.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hitofude.errors import DivergedError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ImageShape
from hitofude.learning.augment import Transforms, draw_transforms, transform
from hitofude.learning.checkpoint import MemberFolder, Origin
from hitofude.learning.compute import Compute, describe_arithmetic
from hitofude.learning.cuda_graph import GraphedStep, record
from hitofude.learning.ema import WeightAverage
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.networks import build_network, images_from_bytes
from hitofude.learning.optimizers import make_optimizer
from hitofude.learning.predicting import predict_probabilities
from hitofude.learning.randomness import generator_for, seed_for, seeding_dropout
from hitofude.learning.schedule import count_epochs, learning_rate_at
from hitofude.metrics.metrics import accuracy, cross_entropy
from hitofude.recipe import Recipe

Batch = tuple[Tensor, Transforms | None]
"""Rows (B,) on the device, and how their images are transformed."""

BATCHES_FOR_STATISTICS = 100
"""So many batches tell the batch-norm statistics of averaged weights."""


@dataclass(frozen=True, eq=False)
class MemberPlan:
    """What a member is, which rows it learns from, and which it is validated on."""

    member: int
    network: str
    train_rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]  # empty where it learns from all


class Observer(Protocol):
    """Who is told how the training goes, of one member or of several at once."""

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None: ...

    def batch_finished(self, images: int) -> None: ...

    def epoch_finished(self, log: EpochLog) -> None: ...

    def warned(self, message: str) -> None: ...


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The whole training set on the device."""

    images: Tensor  # (N, C, H, W) uint8
    labels: Tensor  # (N,) int64
    classes: int
    fingerprint: str

    @classmethod
    def on_device(cls, image_set: ImageSet, compute: Compute) -> "TrainingData":
        """On the CPU the image set's own memory, elsewhere a copy."""
        images = torch.from_numpy(image_set.images).to(compute.device)
        labels = torch.from_numpy(image_set.known_labels()).to(compute.device)
        return cls(images, labels, len(image_set.classes), image_set.fingerprint)

    @property
    def image_shape(self) -> ImageShape:
        channels, height, width = self.images.shape[1:]
        return channels, height, width


def train_member(
    plan: MemberPlan, data: TrainingData, recipe: Recipe, compute: Compute, folder: MemberFolder, observer: Observer
) -> nn.Module:
    """The trained network of a member, on the compute's device.

    A finished member is loaded from its folder; one in progress continues from its last whole epoch.
    Raises DivergedError when the loss is no longer a number, RunFolderError when the folder's member cannot be
    continued.
    """
    origin = describe_origin(plan, data, recipe, compute)
    if folder.is_finished:
        return load_member(folder, plan.network, data.image_shape, data.classes, compute, origin)
    generator = generator_for(recipe.seed, plan.member, 0, "weights")
    network = build_network(plan.network, data.image_shape, data.classes, generator)
    trainer = Trainer(plan, data, recipe, compute, _on_device(network, compute))
    logs = folder.restore_state(trainer.networks, trainer.optimizer, origin)
    observer.member_started(plan.member, trainer.epochs, len(logs))
    for epoch in range(len(logs) + 1, trainer.epochs + 1):
        logs.append(trainer.run_epoch(epoch, observer))
        folder.save_state(trainer.networks, trainer.optimizer, origin, logs)
        observer.epoch_finished(logs[-1])
    folder.finish(trainer.result, origin, logs)
    return trainer.result


def load_member(
    folder: MemberFolder,
    network_name: str,
    image_shape: ImageShape,
    classes: int,
    compute: Compute,
    origin: Origin,
) -> nn.Module:
    """A finished member's network, on the compute's device.

    origin: what else must be as expected. Raises RunFolderError when it is not whole, or when it is another network's,
    for images of another size or for another number of classes, or of another origin.
    """
    network = build_network(network_name, image_shape, classes, torch.Generator())
    folder.load_finished(network, {**describe_task(network_name, image_shape, classes), **origin})
    return _on_device(network, compute)


class Trainer:
    """A network on the compute's device, its optimizer, and the way through an epoch."""

    def __init__(
        self, plan: MemberPlan, data: TrainingData, recipe: Recipe, compute: Compute, network: nn.Module
    ) -> None:
        self.plan, self.data, self.recipe, self.compute, self.network = plan, data, recipe, compute, network
        self.optimizer = make_optimizer(network, recipe.optimizer)
        self.average = WeightAverage(network, recipe.ema.decay) if recipe.ema.decay > 0 else None
        self.epochs = count_epochs(recipe.schedule, recipe.optimizer.batch_size, len(plan.train_rows))
        self.learning_rate = recipe.optimizer.learning_rate
        self._watched = _choose_watched(plan, recipe)
        self._graphs: dict[bool, GraphedStep] = {}  # by whether the images are transformed
        self._may_record = compute.device.type == "cuda"

    @property
    def result(self) -> nn.Module:
        """What validates and predicts: the averaged network where there is one."""
        return self.network if self.average is None else self.average.network

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All that belongs to the state of the training, by name."""
        return {"network": self.network} | ({} if self.average is None else {"averaged": self.average.network})

    def run_epoch(self, epoch: int, observer: Observer) -> EpochLog:
        """Train on every row of the member once, then validate."""
        started = time.perf_counter()
        count = len(self.plan.train_rows)
        batches = self.draw_batches(epoch)
        self.network.train()
        self._record(*batches[0], observer)
        with seeding_dropout(seed_for(self.recipe.seed, self.plan.member, epoch, "dropout"), self.compute.device):
            losses, hits = self._train(epoch, batches, observer)
        train_accuracy = hits.sum().item() / count
        seconds = time.perf_counter() - started
        if self.average is not None and epoch == self.epochs and self.recipe.ema.batch_norm == "recomputed":
            self.average.recompute_statistics(self._batches_for_statistics(epoch))
        validation_loss, validation_accuracy = self._validate()
        return EpochLog(
            member=self.plan.member,
            epoch=epoch,
            train_loss=losses.sum().item() / count,
            train_accuracy=train_accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            learning_rate=self.learning_rate,
            seconds=time.perf_counter() - started,
            images_per_second=count / seconds,
        )

    def _train(self, epoch: int, batches: Sequence[Batch], observer: Observer) -> tuple[Tensor, Tensor]:
        """Every batch's summed loss and its number of hits."""
        losses, hits = [], []
        for number, (rows, transforms) in enumerate(batches):
            self._set_learning_rate(epoch - 1, number / len(batches))
            graph = self._graphs.get(transforms is not None)
            step = graph if graph is not None and graph.fits(rows) else self.step
            loss, hit = step(rows, transforms)
            losses.append(loss * len(rows))
            hits.append(hit)
            observer.batch_finished(len(rows))
        self._check_finite(torch.stack(losses), epoch)
        return torch.stack(losses), torch.stack(hits)

    def step(self, rows: Tensor, transforms: Transforms | None) -> tuple[Tensor, Tensor]:
        """One step of the optimizer; the batch's mean loss and its number of hits, still on the device."""
        labels = self.data.labels[rows]
        with self.compute.autocast():
            logits = self.network(self._pixels(rows, transforms)).float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.recipe.optimizer.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        return loss.detach(), (logits.detach().argmax(dim=1) == labels).sum()

    def draw_batches(self, epoch: int) -> list[Batch]:
        """The epoch's batches: rows on the device, and how each image is transformed where any is."""
        seed, member, recipe = self.recipe.seed, self.plan.member, self.recipe.augment
        count = len(self.plan.train_rows)
        sizes = batch_sizes(count, self.recipe.optimizer.batch_size)
        order = torch.randperm(count, generator=generator_for(seed, member, epoch, "shuffle"))
        rows = torch.from_numpy(self.plan.train_rows)[order].to(self.compute.device).split(sizes)
        if (recipe.probability == 0 and recipe.erase_probability == 0) or epoch > self.epochs - recipe.no_aug_epochs:
            return [(batch, None) for batch in rows]
        generator = generator_for(seed, member, epoch, "augment")
        transforms = draw_transforms(count, recipe, self.data.image_shape[1:], generator)
        return list(zip(rows, transforms.to(self.compute.device).split(sizes), strict=True))

    def _pixels(self, rows: Tensor, transforms: Transforms | None) -> Tensor:
        """(B, C, H, W) float32 0..1 the images of a batch, transformed."""
        pixels = images_from_bytes(self.data.images[rows])
        if transforms is not None:
            pixels = transform(pixels, transforms, self.recipe.augment)
        return pixels.contiguous(memory_format=torch.channels_last)

    def _batches_for_statistics(self, epoch: int) -> Iterator[Tensor]:
        for rows, transforms in self.draw_batches(epoch)[:BATCHES_FOR_STATISTICS]:
            yield self._pixels(rows, transforms)

    def _set_learning_rate(self, epochs_done: int, share_of_epoch: float) -> None:
        progress = (epochs_done + share_of_epoch) / self.epochs
        for group in reversed(self.optimizer.param_groups):  # the first group's is what the log shows
            self.learning_rate = learning_rate_at(self.recipe.schedule, group["highest"], progress, epochs_done)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self.learning_rate)
            else:
                group["lr"] = self.learning_rate

    def _record(self, rows: Tensor, transforms: Transforms | None, observer: Observer) -> None:
        """On CUDA, once a kind: record the step, to launch it as a whole; where that fails, go on step by step."""
        if not self._may_record or (transforms is not None) in self._graphs:
            return
        try:
            graph = record(self.step, rows, transforms, self.networks.values(), self.optimizer)
            self._graphs[transforms is not None] = graph
        except RuntimeError as error:
            self._may_record = False
            observer.warned(f"CUDA graphs cannot be used here, training goes on without them ({error}).")

    def _check_finite(self, losses: Tensor, epoch: int) -> None:
        broken = losses.isfinite().logical_not().nonzero().flatten().tolist()
        if broken:
            self._set_learning_rate(epoch - 1, broken[0] / len(losses))
            raise DivergedError(
                f"Member {self.plan.member}: the loss is no longer a number at epoch {epoch}, batch {broken[0] + 1}, "
                f"learning rate {self.learning_rate:.3g}. Lower the highest learning rate, now "
                f"{self.recipe.optimizer.learning_rate:g}: --set optimizer.learning_rate=… --run NEW_FOLDER"
            )

    def _validate(self) -> tuple[float | None, float | None]:
        """Loss and accuracy on the rows that are watched, which are never transformed; None where there are none."""
        if not len(self._watched):
            return None, None
        rows = torch.from_numpy(self._watched).to(self.compute.device)
        labels = self.data.labels[rows].cpu().numpy()
        probabilities = predict_probabilities(self.result, self.data.images[rows], self.compute)
        loss = float(cross_entropy(labels, probabilities).mean())
        return loss, accuracy(labels, probabilities.argmax(axis=1)).value


def batch_sizes(rows: int, size: int) -> list[int]:
    """Full batches, then what is left; one row alone joins the batch before, for it has no variance to norm by."""
    whole, left = divmod(rows, size)
    if left == 1 and whole:
        return [size] * (whole - 1) + [size + 1]
    return [size] * whole + [left] * (left > 0)


def _choose_watched(plan: MemberPlan, recipe: Recipe) -> NDArray[np.int64]:
    """The held-out rows that each epoch is validated on: all, or the recipe's seeded sample."""
    rows, count = plan.validation_rows, recipe.schedule.validation_rows
    if count is None or count >= len(rows):
        return rows
    order = torch.randperm(len(rows), generator=generator_for(recipe.seed, plan.member, 0, "watch"))
    return np.sort(rows[order[:count].numpy()])


def describe_task(network_name: str, image_shape: ImageShape, classes: int) -> dict[str, str | int]:
    """What kind of network a member is: the part of its origin that whoever predicts with it knows."""
    return {"network": network_name, "image_shape": "x".join(map(str, image_shape)), "classes": classes}


def describe_origin(plan: MemberPlan, data: TrainingData, recipe: Recipe, compute: Compute) -> dict[str, str | int]:
    """All that decides a member's bytes."""
    rows = hashlib.sha256(np.concatenate([plan.train_rows, [-1], plan.validation_rows]).tobytes())
    return describe_task(plan.network, data.image_shape, data.classes) | {
        "member": plan.member,
        "train_rows": len(plan.train_rows),
        "validation_rows": len(plan.validation_rows),
        "rows_sha256": rows.hexdigest(),
        "data_sha256": data.fingerprint,
        "recipe_sha256": hashlib.sha256(recipe.to_toml().encode()).hexdigest(),
        **describe_arithmetic(compute),
    }


def _on_device(network: nn.Module, compute: Compute) -> nn.Module:
    return network.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
