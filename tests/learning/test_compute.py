from collections.abc import Callable

import numpy as np
import pytest
import torch

from hitofude.errors import OutOfResourcesError, RecipeError
from hitofude.learning.compute import choose_compute, describe_environment


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


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(RecipeError, match="no device 'tpu'"):
        choose_compute("tpu")


def test_a_number_of_threads_applies_only_in_the_block() -> None:
    before = torch.get_num_threads()
    with choose_compute("cpu", "float32", threads=before + 1).applied():
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("allocate", [lambda: torch.empty(2**46), lambda: np.empty(2**50)])
def test_a_full_memory_is_explained(allocate: Callable[[], object]) -> None:
    with pytest.raises(OutOfResourcesError, match="--workers 1"), choose_compute("cpu").applied():
        allocate()


def test_other_errors_are_not_changed() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), choose_compute("cpu").applied():
        torch.mm(torch.ones(2, 3), torch.ones(2, 3))
