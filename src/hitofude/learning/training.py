"""Train one member, as a pure function of its recipe, the data, the rows, and the member's number.

An epoch's shuffle and augmentation are drawn at its start; its batches are gathered, scaled and warped on the device;
losses and hits stay there until its end. After each epoch a durable state is saved to continue from.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from hitofude.errors import DivergedError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ImageShape
from hitofude.learning.augment import Transforms, draw_transforms, transform
from hitofude.learning.checkpoint import MemberFolder, Origin
from hitofude.learning.class_balance import draw_balanced, weigh_classes, weigh_rows
from hitofude.learning.compute import Compute, describe_arithmetic
from hitofude.learning.cuda_graph import GraphedStep, record
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.networks import build_network, images_from_bytes
from hitofude.learning.optimizers import WeightAverage, learning_rate_at, make_optimizer
from hitofude.learning.own_augmentations import OwnAugmentations
from hitofude.learning.own_networks import laid_out, memory_format_of
from hitofude.learning.predicting import Predictor
from hitofude.learning.recipe_plugins import describe_sources, network_source
from hitofude.learning.selection import Uncertainty, count_epochs, images_in_epoch
from hitofude.metrics.metrics import accuracy, cross_entropy
from hitofude.recipe import Recipe

Batch = tuple[Tensor, Transforms | None]
"""Rows (B,) on the device, and the transforms of their images."""

Targets = NDArray[np.int64] | NDArray[np.float32]
"""A target for each row: its class (rows,), or the probabilities of the classes (rows, classes)."""

Purpose = Literal["weights", "shuffle", "augment", "own", "dropout", "watch"]
"""The purpose of a random draw, which is a pure function of (seed, member, epoch, purpose). Draws are made on the CPU
whatever the device, so they depend neither on earlier draws, nor on the number of members trained at once, nor on the
machine; a repeated epoch draws the same.
"""

BATCHES_FOR_STATISTICS = 100
"""The number of batches from which the batch-norm statistics of averaged weights are recomputed."""


@dataclass(frozen=True, eq=False)
class MemberPlan:
    """The number, recipe and rows of a member; the images to predict are numbered on from the training images."""

    member: int
    recipe: Recipe
    """Its own, without variants."""
    train_rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]  # empty if it trains on all rows
    teachers: tuple[int, ...] = ()
    """The members whose mean probabilities it learns, of training images, images to predict, or both."""
    teaches: bool = False
    """Whether others learn its probabilities of the training images."""

    @property
    def network(self) -> str:
        """The name to build its network by."""
        return self.recipe.network.full_name

    @property
    def epochs(self) -> int:
        return count_epochs(self.recipe, len(self.train_rows))

    @property
    def images(self) -> int:
        """The number of images that its training shows, in all epochs."""
        return sum(self.images_in(epoch) for epoch in range(1, self.epochs + 1))

    def images_in(self, epoch: int) -> int:
        """Return the number of images that an epoch shows, from epoch 1."""
        return images_in_epoch(self.recipe, len(self.train_rows), epoch, self.epochs)


class Observer(Protocol):
    """Receives the progress of training, of one member or of several at once."""

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None: ...

    def batch_finished(self, images: int) -> None: ...

    def epoch_finished(self, log: EpochLog) -> None: ...

    def warned(self, message: str) -> None: ...


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The whole training set on the device, and images to predict behind it if they are learned from too."""

    images: Tensor  # (N or more, C, H, W) uint8
    labels: Tensor  # (N,) int64
    targets: Tensor  # as many as images, (…,) int64, or (…, classes) float32 probabilities
    class_names: tuple[str, ...]
    fingerprint: str  # of the training set
    fingerprint_of_targets: str | None = None  # None if they are the labels
    weights: NDArray[np.float64] | None = None  # (N,) of the training images, None if all weigh alike
    fingerprint_of_weights: str | None = None

    @classmethod
    def on_device(cls, image_set: ImageSet, compute: Compute) -> "TrainingData":
        """Move the images to the device; on the CPU they share the image set's memory."""
        images = torch.from_numpy(image_set.images).to(compute.device)
        labels = torch.from_numpy(image_set.known_labels()).to(compute.device)
        data = cls(images, labels, labels, image_set.classes, image_set.fingerprint)
        return replace(data, weights=image_set.weights, fingerprint_of_weights=image_set.weights_fingerprint)

    def with_targets(self, images: Tensor, targets: Targets, fingerprint: str) -> "TrainingData":
        """Return data with other targets than the labels.

        images: those of this data, and any to predict behind them. fingerprint: of the images to predict.
        """
        digest = hashlib.sha256(fingerprint.encode() + targets.tobytes()).hexdigest()
        on_device = torch.from_numpy(targets).to(images.device)
        return replace(self, images=images, targets=on_device, fingerprint_of_targets=digest)

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> ImageShape:
        channels, height, width = self.images.shape[1:]
        return channels, height, width


def train_member(
    plan: MemberPlan, data: TrainingData, compute: Compute, folder: MemberFolder, observer: Observer
) -> nn.Module:
    """Return the trained network of a member, on the compute's device.

    A finished member is loaded from its folder, and an interrupted training continues after its last saved epoch.
    Raises DivergedError if the loss becomes NaN or infinite, RunFolderError if the member in the folder cannot be used.
    """
    origin = describe_origin(plan, data, compute)
    if folder.is_finished:
        return load_member(folder, plan.network, data.image_shape, data.classes, compute, origin)
    generator = generator_for(plan.recipe.seed, plan.member, 0, "weights")
    network = build_network(plan.network, data.image_shape, data.classes, generator)
    trainer = Trainer(plan, data, compute, _on_device(network, compute))
    logs = folder.restore_state(trainer.networks, trainer.optimizer, origin)
    observer.member_started(plan.member, trainer.epochs, len(logs))
    for epoch in range(len(logs) + 1, trainer.epochs + 1):
        logs.append(trainer.run_epoch(epoch, observer))
        folder.save_state(trainer.networks, trainer.optimizer, origin, logs)
        observer.epoch_finished(logs[-1])
    folder.finish(trainer.result, origin, logs)
    return trainer.result


def load_member(
    folder: MemberFolder, network_name: str, image_shape: ImageShape, classes: int, compute: Compute, origin: Origin
) -> nn.Module:
    """Load the network of a finished member to the compute's device.

    Raises RunFolderError if it is damaged, or if its network, image shape, number of classes or origin differ.
    """
    network = build_network(network_name, image_shape, classes, torch.Generator())
    folder.load_finished(network, {**describe_task(network_name, image_shape, classes), **origin})
    return _on_device(network, compute)


class Trainer:
    """Trains a network on the compute's device, epoch by epoch."""

    def __init__(self, plan: MemberPlan, data: TrainingData, compute: Compute, network: nn.Module) -> None:
        recipe = plan.recipe
        self.plan, self.data, self.recipe, self.compute, self.network = plan, data, recipe, compute, network
        self.optimizer = make_optimizer(network, recipe.optimizer)
        self.average = WeightAverage(network, recipe.ema.decay) if recipe.ema.decay > 0 else None
        shows_all = recipe.schedule.epoch_share == 1
        self.uncertainty = None if shows_all else Uncertainty(len(data.images)).to(compute.device)
        self.epochs = plan.epochs
        self.learning_rate = recipe.optimizer.learning_rate
        self._train_labels = likeliest(data.targets[torch.from_numpy(plan.train_rows).to(compute.device)]).cpu()
        self._weights = self._weigh_rows()
        self._validation_rows = _choose_validation_rows(plan)
        self._graphs: dict[bool, GraphedStep] = {}  # key: whether the images are transformed
        self._own_augmentations = OwnAugmentations(recipe.augment.own)
        self._memory_format = memory_format_of(network)
        self._may_record = compute.device.type == "cuda" and not describe_sources(recipe)  # Python's part is not kept

    def _weigh_rows(self) -> Tensor | None:
        """Return (images,) the weight of each image in the loss, on the device; None if all weigh alike."""
        data, labels = self.data, likeliest(self.data.targets).cpu().numpy()
        rows = self.plan.train_rows
        of_classes = weigh_classes(self.recipe.optimizer.class_weights, labels[rows], data.class_names)
        weights = weigh_rows(data.weights, of_classes, labels, rows)
        return None if weights is None else torch.from_numpy(weights).to(self.compute.device)

    @property
    def result(self) -> nn.Module:
        """The network that validates and predicts: the moving average if there is one."""
        return self.network if self.average is None else self.average.network

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All modules that belong to the state of the training, by name."""
        modules = {"network": self.network}
        if self.average is not None:
            modules |= {"averaged": self.average.network, "average": self.average.count}
        return modules if self.uncertainty is None else modules | {"uncertainty": self.uncertainty}

    def run_epoch(self, epoch: int, observer: Observer) -> EpochLog:
        """Train once on the rows of the epoch, then validate."""
        started = time.perf_counter()
        count = self.plan.images_in(epoch)
        batches = self.draw_batches(epoch)
        is_augmented = epoch <= self.epochs - self.recipe.augment.no_aug_epochs
        own = generator_for(self.recipe.seed, self.plan.member, epoch, "own") if is_augmented else None
        self._own_augmentations.begin(own)
        self.network.train()
        self._record(*batches[0], observer)
        with seeding_dropout(seed_for(self.recipe.seed, self.plan.member, epoch, "dropout"), self.compute.device):
            losses, hits = self._train(epoch, batches, observer)
        train_accuracy = hits.sum().item() / count
        seconds = time.perf_counter() - started
        if self.average is not None and epoch == self.epochs and self.recipe.ema.batch_norm == "recomputed":
            some = self.draw_batches(epoch)[:BATCHES_FOR_STATISTICS]
            update_bn((self._pixels(*batch) for batch in some), self.average.network)
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
        """Return the summed loss and the number of hits of each batch."""
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
        """Make one optimizer step; return the batch's mean loss and number of hits, still on the device."""
        targets = self.data.targets[rows]
        pixels = self._pixels(rows, transforms)  # in float32: positions in bfloat16 would be off by up to 0.03 pixels
        with self.compute.autocast():
            logits = self.network(pixels).float()
        loss = self._loss(logits, targets, rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        if self.uncertainty is not None:
            self.uncertainty.update(rows, logits)
        return loss.detach(), (logits.detach().argmax(dim=1) == likeliest(targets)).sum()

    def _loss(self, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        """Return the mean loss of a batch, weighted by its rows.

        logits: (B, classes); targets: (B,) classes, or (B, classes) probabilities; rows: (B,) of the data.
        """
        smoothing = self.recipe.optimizer.label_smoothing
        if self._weights is None:
            return functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        losses = functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")
        return (losses * self._weights[rows]).mean()

    def _draw_order(self, epoch: int) -> Tensor:
        """Return (images in the epoch,) indices into the member's rows."""
        generator = generator_for(self.recipe.seed, self.plan.member, epoch, "shuffle")
        count = self.plan.images_in(epoch)
        if self.recipe.optimizer.sampling == "balanced":
            return draw_balanced(self._train_labels, generator)[:count]
        if self.uncertainty is not None and count < len(self.plan.train_rows):
            rows = torch.from_numpy(self.plan.train_rows).to(self.compute.device)
            return self.uncertainty.choose(rows, count, generator)
        return torch.randperm(len(self._train_labels), generator=generator)

    def draw_batches(self, epoch: int) -> list[Batch]:
        """Draw the batches of an epoch: rows on the device, and their transforms, None if there are none."""
        seed, member, recipe = self.recipe.seed, self.plan.member, self.recipe.augment
        count = self.plan.images_in(epoch)
        sizes = batch_sizes(count, self.recipe.optimizer.batch_size)
        rows = torch.from_numpy(self.plan.train_rows)[self._draw_order(epoch)].to(self.compute.device).split(sizes)
        if (recipe.probability == 0 and recipe.erase_probability == 0) or epoch > self.epochs - recipe.no_aug_epochs:
            return [(batch, None) for batch in rows]
        generator = generator_for(seed, member, epoch, "augment")
        transforms = draw_transforms(count, recipe, self.data.image_shape[1:], generator)
        return list(zip(rows, transforms.to(self.compute.device).split(sizes), strict=True))

    def _pixels(self, rows: Tensor, transforms: Transforms | None) -> Tensor:
        """Return the transformed images of a batch, (B, C, H, W) float32 0..1."""
        pixels = images_from_bytes(self.data.images[rows])
        if transforms is not None:
            pixels = transform(pixels, transforms, self.recipe.augment)
        return laid_out(self._own_augmentations(pixels), self._memory_format)

    def _set_learning_rate(self, epochs_done: int, share_of_epoch: float) -> None:
        progress = (epochs_done + share_of_epoch) / self.epochs
        for group in reversed(self.optimizer.param_groups):  # the log shows the first group's
            self.learning_rate = learning_rate_at(self.recipe.schedule, group["highest"], progress, epochs_done)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self.learning_rate)
            else:
                group["lr"] = self.learning_rate

    def _record(self, rows: Tensor, transforms: Transforms | None, observer: Observer) -> None:
        """On CUDA, record the step once for each kind of batch as a CUDA graph; if that fails, go on without."""
        if not self._may_record or (transforms is not None) in self._graphs:
            return
        try:
            graph = record(self.step, rows, transforms, self.networks.values(), self.optimizer)
            self._graphs[transforms is not None] = graph
        except RuntimeError as error:
            self._may_record = False
            observer.warned(f"CUDA graphs cannot be used here; training continues without them ({error}).")

    def _check_finite(self, losses: Tensor, epoch: int) -> None:
        broken = losses.isfinite().logical_not().nonzero().flatten().tolist()
        if broken:
            self._set_learning_rate(epoch - 1, broken[0] / len(losses))
            raise DivergedError(
                f"Member {self.plan.member}: the loss is no longer a number at epoch {epoch}, batch {broken[0] + 1}, "
                f"learning rate {self.learning_rate:.3g}. Lower the peak learning rate, now "
                f"{self.recipe.optimizer.learning_rate:g}: --set optimizer.learning_rate=… --run NEW_FOLDER"
            )

    def _validate(self) -> tuple[float | None, float | None]:
        """Return loss and accuracy on the validation rows, untransformed; None if there are none."""
        if not len(self._validation_rows):
            return None, None
        rows = torch.from_numpy(self._validation_rows).to(self.compute.device)
        labels = self.data.labels[rows].cpu().numpy()
        probabilities = Predictor(self.result, self.compute)(self.data.images[rows])
        loss = float(cross_entropy(labels, probabilities).mean())
        return loss, accuracy(labels, probabilities.argmax(axis=1)).value


def likeliest(targets: Tensor) -> Tensor:
    """Return (rows,) the classes of targets, which are classes already or (rows, classes) probabilities."""
    return targets if targets.ndim == 1 else targets.argmax(dim=1)


def batch_sizes(rows: int, size: int) -> list[int]:
    """Split rows into full batches and a remainder; a single row joins the last batch, as it has no variance."""
    whole, left = divmod(rows, size)
    if left == 1 and whole:
        return [size] * (whole - 1) + [size + 1]
    return [size] * whole + [left] * (left > 0)


def _choose_validation_rows(plan: MemberPlan) -> NDArray[np.int64]:
    """Return all held-out rows, or the recipe's seeded sample of them."""
    rows, count = plan.validation_rows, plan.recipe.schedule.validation_rows
    if count is None or count >= len(rows):
        return rows
    order = torch.randperm(len(rows), generator=generator_for(plan.recipe.seed, plan.member, 0, "watch"))
    return np.sort(rows[order[:count].numpy()])


def describe_task(network_name: str, image_shape: ImageShape, classes: int) -> dict[str, str | int]:
    """Return the part of a member's origin that is known in prediction."""
    task: dict[str, str | int] = {"network": network_name, "image_shape": "x".join(map(str, image_shape))}
    source = network_source(network_name)
    return task | {"classes": classes} | ({} if source is None else {"network_sha256": source.sha256})


def describe_origin(plan: MemberPlan, data: TrainingData, compute: Compute) -> dict[str, str | int]:
    """Return everything that decides the bytes of a member."""
    rows = hashlib.sha256(np.concatenate([plan.train_rows, [-1], plan.validation_rows]).tobytes())
    return describe_task(plan.network, data.image_shape, data.classes) | {
        "member": plan.member,
        "train_rows": len(plan.train_rows),
        "validation_rows": len(plan.validation_rows),
        "rows_sha256": rows.hexdigest(),
        "data_sha256": data.fingerprint,
        "recipe_sha256": hashlib.sha256(plan.recipe.to_toml().encode()).hexdigest(),
        **({} if data.fingerprint_of_targets is None else {"targets_sha256": data.fingerprint_of_targets}),
        **({} if data.fingerprint_of_weights is None else {"weights_sha256": data.fingerprint_of_weights}),
        **describe_sources(plan.recipe),
        **describe_arithmetic(compute),
    }


def _on_device(network: nn.Module, compute: Compute) -> nn.Module:
    return network.to(compute.device, memory_format=memory_format_of(network))  # type: ignore[call-overload,no-any-return]


def seed_for(seed: int, member: int, epoch: int, purpose: Purpose) -> int:
    """Return a 63-bit seed, independent for each combination."""
    digest = hashlib.sha256(f"{seed}/{member}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(seed: int, member: int, epoch: int, purpose: Purpose) -> torch.Generator:
    """Return a new CPU generator, independent for each combination."""
    return torch.Generator().manual_seed(seed_for(seed, member, epoch, purpose))


@contextmanager
def seeding_dropout(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's global generators, which dropout uses, within the block, and restore them afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
