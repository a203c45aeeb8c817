"""docs/scaling.md and its manifests: they parse, agree with each other, and name existing options."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from hitofude.cli.app import app
from hitofude.cli.run import run  # noqa: F401 - registers the command
from hitofude.workers.clusters import check_cluster

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEXT = (DOCS / "scaling.md").read_text(encoding="utf-8")
FOLDER = DOCS / "kubernetes"
MANIFESTS: dict[str, list[dict[str, Any]]] = {
    path.name: list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*.yaml"))
}
BLOCKS = "\n".join(block for _, block in re.findall(r"^```(|bash)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^hitofude run .*$", BLOCKS, re.MULTILINE)
KINDS = ("dask", "ray")


def first(file: str) -> dict[str, Any]:
    return MANIFESTS[file][0]


def pods(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Find everything that has containers, at any depth."""
    if "containers" in manifest:
        return [manifest]
    values = [one for value in manifest.values() for one in (value if isinstance(value, list) else [value])]
    return [pod for value in values if isinstance(value, dict) for pod in pods(value)]


def driver(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = first(f"{kind}-driver.yaml")["spec"]["template"]
    return found


ALL_PODS = [pod for manifests in MANIFESTS.values() for manifest in manifests for pod in pods(manifest)]


def test_there_are_manifests_and_commands() -> None:
    assert len(MANIFESTS) == 5
    assert len(COMMANDS) >= 5
    assert len(ALL_PODS) == 6


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_linked_files_exist(link: str) -> None:
    assert (DOCS / link).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_existing_options(command: str) -> None:
    words = shlex.split(command.replace('"$address"', "tcp://10.0.0.1:8786"))
    _, bound, _ = app.parse_args(words[1:], print_error=False, exit_on_error=False)
    check_cluster(bound.arguments["workers"])


@pytest.mark.parametrize("kind", KINDS)
def test_each_driver_has_existing_options(kind: str) -> None:
    (container,) = driver(kind)["spec"]["containers"]
    _, bound, _ = app.parse_args(container["args"][1:], print_error=False, exit_on_error=False)
    check_cluster(bound.arguments["workers"])


@pytest.mark.parametrize("pod", ALL_PODS)
def test_no_pod_is_root_and_each_has_limits(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    for container in pod["containers"]:
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("pod", ALL_PODS)
def test_a_pod_mounts_only_its_own_volumes(pod: dict[str, Any]) -> None:
    mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if volume["name"] == "shared"]
    assert set(claims) <= {first("storage.yaml")["metadata"]["name"]}


def test_the_driver_and_the_workers_see_the_claim_under_the_same_path() -> None:
    mounts = [mount for pod in ALL_PODS for container in pod["containers"] for mount in container["volumeMounts"]]
    assert {mount["mountPath"] for mount in mounts if mount["name"] == "shared"} == {"/data"}


def test_the_dask_driver_uses_the_service_that_the_operator_makes() -> None:
    cluster = first("dask-cluster.yaml")
    name, service = cluster["metadata"]["name"], cluster["spec"]["scheduler"]["service"]
    assert service["selector"] == {"dask.org/cluster-name": name, "dask.org/component": "scheduler"}
    address = f"tls://{name}-scheduler:{service['ports'][0]['port']}"
    assert address in driver("dask")["spec"]["containers"][0]["args"]
    for role in ("scheduler", "worker"):
        (container,) = cluster["spec"][role]["spec"]["containers"]
        assert {"name": "DASK_SCHEDULER_ADDRESS", "value": address} in container["env"]


def test_the_ray_driver_uses_the_service_and_the_token_that_the_operator_makes() -> None:
    name = first("ray-cluster.yaml")["metadata"]["name"]
    (container,) = driver("ray")["spec"]["containers"]
    assert f"ray://{name}-head-svc:10001" in container["args"]
    (token,) = [variable for variable in container["env"] if variable["name"] == "RAY_AUTH_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": name, "key": "auth_token"}


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_driver_and_the_cluster_itself_reach_the_pods_of_a_cluster(kind: str) -> None:
    cluster, policy = MANIFESTS[f"{kind}-cluster.yaml"]
    (label,) = policy["spec"]["podSelector"]["matchLabels"].items()
    assert label[1] == cluster["metadata"]["name"]
    selectors = [peer.get("podSelector", {}) for rule in policy["spec"]["ingress"] for peer in rule["from"]]
    allowed = [selector["matchLabels"] for selector in selectors if selector]
    assert allowed == [dict([label]), driver(kind)["metadata"]["labels"]]


def test_the_version_of_ray_is_the_one_that_is_tested() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert f"ray=={first('ray-cluster.yaml')['spec']['rayVersion']}\n" in constraints


def test_the_image_installs_existing_extras() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {extra for line in re.findall(r"EXTRAS=([\w,]+)", text) for extra in line.split(",")}
    assert named == {"dask", "ray", "parquet"}
    assert named <= extras.keys()
