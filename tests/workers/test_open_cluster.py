"""The address of a cluster: what it may be, and the package that it needs."""

import sys

import pytest

from hitofude.errors import RecipeError
from hitofude.workers.clusters import check_cluster, open_cluster


@pytest.mark.parametrize(
    "address", ["dask", "tcp://host:8786", "tls://host:8786", "ray", "ray://host:10001", "10.0.0.1:6379"]
)
def test_addresses_of_clusters_are_accepted(address: str) -> None:
    check_cluster(address)


@pytest.mark.parametrize("address", ["", "many", "http://host", "host:port"])
def test_other_addresses_are_refused_with_the_choices(address: str) -> None:
    with pytest.raises(RecipeError, match="expected auto, a number from 1 up, dask, a Dask scheduler"):
        open_cluster(address, 1)


@pytest.mark.parametrize(("address", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_package_is_named_with_its_extra(address: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"hitofude.workers.on_{address}", raising=False)
    with pytest.raises(RecipeError, match=rf"needs the package {package}: .*-m pip install .*\[{address}\]"):
        open_cluster(address, 1)
