"""The unlabelled images whose labels would teach a model most: unclear ones, but not many of the same kind.

An image is described by its probabilities less one for the likeliest class: the gradient of the loss at the last
layer's biases if that class were right. Its length says how unclear the image is, its direction between which classes.
Images are drawn by k-means++, each with a probability proportional to the square of its distance from those drawn
before and from zero, where all clear images are; the first is the longest.

Source: J. Ash et al. 2020, "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds" (BADGE),
arXiv:1906.03671, whose gradients are those of the last layer's weights, and whose draws do not begin at zero;
docs/decisions.md has what was measured.
"""

import numpy as np
from numpy.typing import NDArray


def unclearness(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (N,) how unclear each image is: one less the margin between its two likeliest classes, 0 to 1.

    probabilities: (N, classes).
    """
    first_two = np.partition(probabilities.astype(np.float64), -2, axis=1)[:, -2:]
    unclear: NDArray[np.float64] = 1 - (first_two[:, 1] - first_two[:, 0])
    return unclear


def choose_unclear(probabilities: NDArray[np.float32], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return (count,) the rows of unclear and diverse images, in the order in which they were drawn.

    probabilities: (N, classes). All rows, the most unclear first, if there are no more than `count`. The same seed
    draws the same rows.
    """
    if count >= len(probabilities):
        return np.argsort(-unclearness(probabilities), kind="stable")
    gradients = probabilities.astype(np.float64)
    gradients[np.arange(len(gradients)), gradients.argmax(axis=1)] -= 1
    generator = np.random.default_rng(seed)
    distances = (gradients**2).sum(axis=1)
    chosen = [int(distances.argmax())]
    for _ in range(count - 1):
        distances = np.minimum(distances, ((gradients - gradients[chosen[-1]]) ** 2).sum(axis=1))
        distances[chosen] = 0
        total = distances.sum()
        if total == 0:  # all others equal one of those chosen
            rest = np.setdiff1d(np.arange(len(gradients)), chosen)
            return np.concatenate([chosen, rest[: count - len(chosen)]])
        chosen.append(int(generator.choice(len(distances), p=distances / total)))
    return np.array(chosen, dtype=np.int64)
