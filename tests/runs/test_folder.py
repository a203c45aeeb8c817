"""A run's folder: one owner at a time, the same run or none, and room on the disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hitofude.errors import OutOfResourcesError, RunFolderError
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import Compute
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder

TRY_TO_OWN = """
import sys, time
from pathlib import Path
from hitofude.storage import owning
with owning(Path(sys.argv[1])) as is_ours:
    (Path(sys.argv[1]) / ".half.txt.1.tmp").write_text("half")
    print(is_ours, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_a_second_process_is_told_who_the_first_is(
    folder: RunFolder, quick: Recipe, dataset: Dataset, compute: Compute
) -> None:
    second = RunFolder(folder.path).claimed(quick, dataset, compute)
    expected = rf"in use by process {os.getpid()} on .+, since 20\d\d-"
    with folder.claimed(quick, dataset, compute), pytest.raises(RunFolderError, match=expected), second:
        pass
    with folder.claimed(quick, dataset, compute):
        pass


def test_the_folder_of_a_killed_owner_is_recovered_and_swept(
    folder: RunFolder, quick: Recipe, dataset: Dataset, compute: Compute
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TRY_TO_OWN, str(folder.path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "True\n"
        owner.send_signal(signal.SIGKILL)
    with folder.claimed(quick, dataset, compute):
        assert not list(folder.path.glob(".*.tmp"))
    assert not folder.owner.exists()


def test_another_pytorch_does_not_continue_a_run(
    folder: RunFolder, quick: Recipe, dataset: Dataset, compute: Compute
) -> None:
    with folder.claimed(quick, dataset, compute):
        pass
    begun = json.loads(folder.environment.read_text())
    folder.environment.write_text(json.dumps(begun | {"torch": "2.5.9"}))
    with pytest.raises(RunFolderError, match=r"torch: 2\.5\.9 → "), folder.claimed(quick, dataset, compute):
        pass


def test_a_run_is_continued_with_the_threads_it_was_begun_with(
    folder: RunFolder, quick: Recipe, dataset: Dataset, compute: Compute
) -> None:
    assert folder.threads_begun_with() is None
    with folder.claimed(quick, dataset, Compute(compute.device, "float32", threads=3)):
        pass
    assert folder.threads_begun_with() == 3
    other = folder.claimed(quick, dataset, Compute(compute.device, "float32", threads=1))
    with pytest.raises(RunFolderError, match="threads: 3 → 1"), other:
        pass


def test_too_little_room_on_the_disk_is_told_in_bytes(folder: RunFolder) -> None:
    folder.check_disk(1)
    with pytest.raises(OutOfResourcesError, match=r"1,000,000,000,000,000,000 bytes more .* are free"):
        folder.check_disk(10**18)


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path) -> None:
    """On a real small disk, where this may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if (
        not mount
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode
    ):
        pytest.skip("a small disk cannot be mounted here")
    try:
        from hitofude.storage import write_bytes

        write_bytes(disk / "file", b"first")
        with pytest.raises(OutOfResourcesError, match=r"it needs 100,000 bytes, [\d,]+ bytes are free"):
            write_bytes(disk / "file", bytes(100_000))
        assert [(path.name, path.read_bytes()) for path in disk.iterdir()] == [("file", b"first")]
    finally:
        subprocess.run(["umount", disk], check=True)  # noqa: S607
