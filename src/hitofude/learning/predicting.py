"""Prediction: probabilities of trained networks."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.fx import GraphModule, symbolic_trace
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hitofude.inputs.layout import ImageShape
from hitofude.learning.compute import Compute, using_threads
from hitofude.learning.features import with_features
from hitofude.learning.networks import images_from_bytes
from hitofude.learning.own_networks import has_known_layers, laid_out, memory_format_of
from hitofude.learning.plugins import explaining_plugin_errors
from hitofude.recipe import TtaRecipe

BATCH_SIZES = {"cpu": 128}
"""Small enough that the activations of 28×28 images fit a processor's cache; see benchmarks/prediction.py."""
BATCH_SIZE_ELSEWHERE = 4096

IMAGES_AT_ONCE, FEWEST_AT_ONCE, BYTES_AT_ONCE = 4096, 128, 2**24

NO_TTA = TtaRecipe()


def images_at_once(image_shape: Sequence[int]) -> int:
    """Return the block size for streaming (C, H, W) images.

    Blocks of this size, counted from the first image, have the same bits whether predicted together or one by one.
    """
    fitting = BYTES_AT_ONCE // math.prod(image_shape)
    return min(IMAGES_AT_ONCE, max(FEWEST_AT_ONCE, fitting // FEWEST_AT_ONCE * FEWEST_AT_ONCE))


class Predictor:
    """A network prepared for prediction, with test-time augmentation.

    The network is left in evaluation mode and otherwise unchanged. On the CPU
    each thread takes whole batches, so threads do not wait for each other, and their number does not change the bits.
    """

    def __init__(
        self,
        network: nn.Module,
        compute: Compute,
        batch_size: int | None = None,
        tta: TtaRecipe = NO_TTA,
        inspect: "Inspect | None" = None,
    ) -> None:
        """inspect: what else is asked of the images, besides their probabilities."""
        self._folded = _fold(network.eval())
        if inspect is not None:
            self._folded = with_features(self._folded, inspect.image_shape)
        self._inspect = inspect
        self._memory_format = memory_format_of(network)
        self._compute, self._tta = compute, tta
        self._batch_size = batch_size or BATCH_SIZES.get(compute.device.type, BATCH_SIZE_ELSEWHERE)

    def __call__(self, images: torch.Tensor, threads: int | None = None) -> NDArray[np.float32]:
        """Map (N, C, H, W) uint8 images on any device to (N, classes) probabilities, which sum to one.

        threads: by default those of `compute`.
        """
        return self.inspected(images, threads)[0]

    def inspected(
        self, images: torch.Tensor, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the probabilities (N, classes), and the results of `inspect` at the first look, (N, any number)."""
        with explaining_plugin_errors():
            return self._predict_all(images, threads or self._compute.threads)

    def _predict_all(self, images: torch.Tensor, threads: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        block = images_at_once(images.shape[1:])
        size = min(self._batch_size, block)
        probabilities, inspected = self._predict(images.split(size), threads)
        if self._tta.shift > 0:
            unclear = (probabilities.amax(dim=1) < self._tta.threshold).nonzero().flatten()
            starts = torch.arange(block, max(block, len(images)), block)
            rows = unclear.tensor_split(torch.searchsorted(unclear, starts))
            probabilities[unclear] = self._predict_shifted(images, rows, probabilities, size, threads)
        return probabilities.numpy(), inspected.numpy()

    def _predict_shifted(
        self, images: torch.Tensor, rows: Sequence[torch.Tensor], probabilities: torch.Tensor, size: int, threads: int
    ) -> torch.Tensor:
        """Average the probabilities with those of the shifted images. rows: the unclear images of each block."""
        blocks = [shifted(images[some.to(images.device)], self._tta.shift) for some in rows]
        predicted = [
            self._predict((batch for view in views for batch in view.split(size)), threads)[0].split(
                [len(some) for some in rows]
            )
            for views in zip(*blocks, strict=True)
        ]
        together = zip(rows, *predicted, strict=True)
        return torch.cat([torch.stack([probabilities[some], *views]).mean(dim=0) for some, *views in together])

    def _predict(self, batches: Iterable[torch.Tensor], threads: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (N, classes) probabilities and the results of `inspect`, on the CPU."""
        if self._compute.device.type != "cpu":
            found = [self._predict_batch(batch) for batch in batches]
        else:
            own = using_threads(torch.get_num_threads())
            with own, ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                found = list(pool.map(self._predict_batch, batches))
        probabilities, inspected = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
        return probabilities, inspected

    def _predict_batch(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if not len(batch):  # which a plugin's network may refuse
            probabilities, inspected = self._predict_batch(batch.new_zeros(1, *batch.shape[1:]))
            return probabilities[:0], inspected[:0]
        with torch.inference_mode():
            with self._compute.autocast():
                pixels = laid_out(images_from_bytes(batch.to(self._compute.device)), self._memory_format)
                found = self._folded(pixels)
            if self._inspect is None:
                answers: torch.Tensor = found.float().softmax(dim=1)
                return answers, answers.new_empty(len(batch), 0)
            logits, features = found
            answers = logits.float().softmax(dim=1)
            return answers, self._inspect.ask(features, answers)


@dataclass(frozen=True, eq=False)
class Inspect:
    """A further question about images, answered by the features and probabilities of one network."""

    ask: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """(N, F) features and (N, classes) probabilities → (N, any number)."""
    image_shape: ImageShape


def predict_rows(
    predictors: Sequence[Predictor], images: torch.Tensor, rows: NDArray[np.int64], threads: int
) -> NDArray[np.float32]:
    """Predict some of (N, C, H, W) uint8 images by several networks: (networks, rows, classes).

    rows: in rising order. Those of each block are predicted together, blocks as of images_at_once. threads: each takes
    one network and one block at a time; if there are fewer of these, several share one.
    """
    starts = np.arange(0, len(images), images_at_once(images.shape[1:]))[1:]
    blocks = [block for block in np.split(rows, np.searchsorted(rows, starts)) if len(block)]
    parts = [images[torch.from_numpy(block).to(images.device)] for block in blocks]
    for_each = max(1, threads // (len(predictors) * len(parts)))
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = [[pool.submit(predictor, part, for_each) for part in parts] for predictor in predictors]
        return np.stack([np.concatenate([part.result() for part in parts]) for parts in found])


def shifted(images: torch.Tensor, pixels: int) -> Iterator[torch.Tensor]:
    """Yield (N, C, H, W) images moved up, down, left and right by 0 or more pixels, and filled with black."""
    height, width = images.shape[2:]
    padded = functional.pad(images, (pixels, pixels, pixels, pixels))
    for top, left in ((2 * pixels, pixels), (0, pixels), (pixels, 2 * pixels), (pixels, 0)):
        yield padded[:, :, top : top + height, left : left + width]


def _fold(network: nn.Module) -> nn.Module:
    """Return a faster copy for evaluation: batch norms folded into the convolutions, activations in place.

    A network with code of other packages is copied as it is, since torch.fx may misread that.
    """
    if not has_known_layers(network):
        return deepcopy(network)
    folded: GraphModule = symbolic_trace(deepcopy(network))
    uses = Counter(node.target for node in folded.graph.nodes if node.op == "call_module")
    for node in [node for node in folded.graph.nodes if node.op == "call_module"]:
        module, source = folded.get_submodule(node.target), node.all_input_nodes[0]
        if source.op != "call_module" or len(source.users) > 1 or uses[source.target] > 1 or uses[node.target] > 1:
            continue
        layer = folded.get_submodule(source.target)
        if isinstance(module, nn.BatchNorm2d) and isinstance(layer, nn.Conv2d):
            folded.set_submodule(source.target, fuse_conv_bn_eval(layer, module))
            node.replace_all_uses_with(source)
            folded.graph.erase_node(node)
        elif isinstance(module, nn.ReLU | nn.LeakyReLU) and isinstance(layer, nn.Conv2d | nn.Linear):
            module.inplace = True
    folded.recompile()
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
