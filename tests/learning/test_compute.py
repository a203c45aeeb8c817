import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from hitofude.errors import OutOfResourcesError, RecipeError
from hitofude.learning.compute import (
    _is_built_for,
    choose_compute,
    describe_environment,
    problem_of,
    using_threads,
    usual_threads,
)


def test_the_cpu_is_described_with_threads_and_precision() -> None:
    compute = choose_compute("cpu", "float32")
    assert str(compute) == f"cpu, {compute.threads} thread{'s' * (compute.threads > 1)}, float32"
    assert describe_environment(compute)["torch"] == torch.__version__


def test_auto_takes_the_best_device_there_is() -> None:
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_compute().device.type == expected


def test_bfloat16_is_used_when_asked_for() -> None:
    compute = choose_compute("cpu", "bfloat16")
    with compute.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.bfloat16


def test_an_unavailable_device_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("CUDA is available")
    with pytest.raises(RecipeError, match="not available"):
        choose_compute("cuda")


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:x", "cpu:1"])
def test_a_device_that_does_not_exist_is_refused_with_those_that_do(device: str) -> None:
    with pytest.raises(
        RecipeError, match=f"no device '{device}'. Known: auto, cpu, cuda, mps; cuda:1 is the second GPU"
    ):
        choose_compute(device)


@pytest.fixture
def p100(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU that is there, for which PyTorch has no code."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Tesla P100-PCIE-16GB")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (6, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_70", "sm_75", "compute_90"])
    problem_of.cache_clear()
    yield
    problem_of.cache_clear()


@pytest.mark.usefixtures("p100")
def test_a_gpu_that_pytorch_has_no_code_for_is_left_aside_and_named() -> None:
    compute = choose_compute()
    assert compute.device.type == "cpu"
    assert "has no code for the Tesla P100-PCIE-16GB (sm_60); it was built for sm_70, sm_75, compute_90" in compute.note
    with pytest.raises(RecipeError, match=r"Tesla P100.*Use --device cpu, choose another GPU \(on Kaggle T4 x2"):
        choose_compute("cuda")


@pytest.mark.usefixtures("p100")
def test_a_gpu_beyond_those_that_there_are_is_refused_with_their_number() -> None:
    with pytest.raises(RecipeError, match=r"--device cuda:1: PyTorch sees 1 GPU here, cuda:0\."):
        choose_compute("cuda:1")


@pytest.mark.usefixtures("p100")
def test_the_second_gpu_is_used_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: [(6, 0), (7, 5)][index])
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, _: tensor)
    assert choose_compute("cuda:1").device == torch.device("cuda", 1)


@pytest.mark.usefixtures("p100")
def test_a_gpu_that_fails_at_the_first_kernel_is_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with …")

    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_60"])
    monkeypatch.setattr(torch.Tensor, "to", fail)
    assert "does not compute with PyTorch" in choose_compute().note
    with pytest.raises(RecipeError, match="no kernel image is available for execution on the device"):
        choose_compute("cuda")


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((7, 5), ["sm_75"], True),
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80"], False),
        ((12, 0), ["sm_80", "compute_90"], True),
        ((6, 0), ["sm_70", "compute_70"], False),
        ((9, 0), ["sm_90a"], True),
        ((11, 0), ["gfx90a"], True),
        ((6, 0), [], True),
    ],
)
def test_code_runs_on_later_gpus_of_its_generation_and_intermediate_code_on_all_later_ones(
    capability: tuple[int, int], architectures: list[str], runs: bool
) -> None:
    assert _is_built_for(capability, architectures) == runs


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(RecipeError, match="no device 'tpu'"):
        choose_compute("tpu")


def test_a_number_of_threads_applies_only_in_the_block() -> None:
    before = torch.get_num_threads()
    with choose_compute("cpu", "float32", threads=before + 1).applied():
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_thread_that_begins_beside_a_block_has_the_number_from_outside() -> None:
    before, found = torch.get_num_threads(), list[int]()

    def look() -> None:
        found.append(choose_compute("cpu").threads)
        with using_threads(1):
            found.append(choose_compute("cpu").threads)

    with using_threads(before + 1):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert torch.get_num_threads() == before + 1
        with using_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == before + 1
    assert found == [before, before]
    assert torch.get_num_threads() == usual_threads() == before


@pytest.mark.parametrize("allocate", [lambda: torch.empty(2**46), lambda: np.empty(2**50)])
def test_a_full_memory_is_explained(allocate: Callable[[], object]) -> None:
    with pytest.raises(OutOfResourcesError, match="--workers 1"), choose_compute("cpu").applied():
        allocate()


def test_other_errors_are_not_changed() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), choose_compute("cpu").applied():
        torch.mm(torch.ones(2, 3), torch.ones(2, 3))
