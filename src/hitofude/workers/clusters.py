"""`--workers` in words → the workers."""

import re
from typing import TYPE_CHECKING

from hitofude.errors import RecipeError

if TYPE_CHECKING:
    from hitofude.workers.worker import Cluster

EXPECTED = (
    "expected auto, a number from 1 up, dask, a Dask scheduler (tcp://HOST:8786, tls://HOST:8786), "
    "ray, or a Ray cluster (ray://HOST:10001, HOST:6379)"
)


def check_cluster(text: str) -> None:
    """Raises RecipeError for what names no cluster."""
    if not (_is_dask(text) or _is_ray(text)):
        raise RecipeError(f"--workers {text}: {EXPECTED}.")


def open_cluster(text: str, processors: int) -> "Cluster":
    """A cluster's workers. processors: how many of this machine a cluster has that is started here.

    Raises RecipeError for what names no cluster or lacks its package, ClusterError where none answers.
    """
    check_cluster(text)
    if _is_dask(text):
        from hitofude.workers.on_dask import DaskCluster

        return DaskCluster(text, processors)
    from hitofude.workers.on_ray import RayCluster

    return RayCluster(text, processors)


def _is_dask(text: str) -> bool:
    return text == "dask" or re.fullmatch(r"(tcp|tls|ws|wss|ucx)://\S+", text) is not None


def _is_ray(text: str) -> bool:
    return text == "ray" or re.fullmatch(r"(ray://\S+|[\w.\-]+:\d+)", text) is not None
