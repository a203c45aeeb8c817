"""The cluster that `--workers` names."""

import re
from typing import TYPE_CHECKING

from hitofude.errors import RecipeError, install_command

if TYPE_CHECKING:
    from hitofude.workers.worker import Cluster

DASK = re.compile(r"dask|(tcp|tls|ws|wss|ucx)://\S+")
RAY = re.compile(r"ray|ray://\S+|[\w.\-]+:\d+")
EXPECTED = (
    "expected auto, a number from 1 up, dask, a Dask scheduler (tcp://HOST:8786, tls://HOST:8786), "
    "ray, or a Ray cluster (ray://HOST:10001, HOST:6379)"
)


def check_cluster(address: str) -> None:
    """Raise RecipeError unless the address is a cluster's."""
    if not (DASK.fullmatch(address) or RAY.fullmatch(address)):
        raise RecipeError(f"--workers {address}: {EXPECTED}.")


def open_cluster(address: str, processors: int) -> "Cluster":
    """Connect to a cluster, or start one here. processors: of this machine, used if a cluster is started here.

    Raises RecipeError if the address is no cluster's or the package is missing, ClusterError if no cluster answers.
    """
    check_cluster(address)
    try:
        if DASK.fullmatch(address):
            from hitofude.workers.on_dask import DaskCluster

            return DaskCluster(address, processors)
        from hitofude.workers.on_ray import RayCluster

        return RayCluster(address, processors)
    except ModuleNotFoundError as error:
        extra = "dask" if DASK.fullmatch(address) else "ray"
        raise RecipeError(f"--workers {extra} needs the package {error.name}: {install_command(extra)}") from error
