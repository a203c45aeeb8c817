"""The device, its threads, and the precision of the arithmetic."""

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch

from hitofude.errors import OutOfResourcesError, RecipeError

DEVICES = ("auto", "cpu", "cuda", "mps")


def processors() -> int:
    """Return the number of processors this process may use, by its affinity and its container's limit."""
    from joblib import cpu_count  # a worker process need not import joblib

    return int(cpu_count())


@dataclass(frozen=True)
class Compute:
    """A device and how to use it."""

    device: torch.device
    precision: Literal["float32", "bfloat16"]
    threads: int = field(default_factory=torch.get_num_threads)
    """The CPU's threads. The number is part of a result, since sums over threads round differently."""
    name: str | None = None
    """The name of a device of another machine."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use these threads and deterministic kernels in the block. Raises OutOfResourcesError if memory is full."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        try:
            with explaining_memory_errors():
                yield
        finally:
            torch.set_num_threads(before)

    def autocast(self) -> AbstractContextManager[object]:
        """Compute matrix products and convolutions in this precision within the block."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def __str__(self) -> str:
        if self.device.type == "cpu":
            plural = "" if self.threads == 1 else "s"
            return f"cpu, {self.threads} thread{plural}, {self.precision}"
        return f"{self.name or device_name(self.device)}, {self.precision}"


def choose_compute(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Compute:
    """Choose device, precision and threads; `auto` is CUDA, else Apple's MPS, else the CPU with all its processors.

    Raises RecipeError if the device is unknown or not available.
    """
    if device not in DEVICES:
        raise RecipeError(f"There is no device '{device}'. Known: {', '.join(DEVICES)}.")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        raise RecipeError(f"The device {device} is not available to PyTorch here. Leave --device out to use what is.")
    is_bfloat16 = _has_bfloat16(device) if precision == "auto" else precision == "bfloat16"
    name: Literal["float32", "bfloat16"] = "bfloat16" if is_bfloat16 else "float32"
    return Compute(torch.device(device), name, threads or torch.get_num_threads())


@contextmanager
def explaining_memory_errors() -> Iterator[None]:
    """Turn a failed allocation of Python, NumPy or PyTorch into OutOfResourcesError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not is_out_of_memory and "DefaultCPUAllocator" not in str(error):  # a plain RuntimeError on the CPU
            raise
        raise OutOfResourcesError(
            "The memory is full. Use fewer members side by side (--workers 1), smaller batches "
            "(--set optimizer.batch_size=…), or the processor's memory (--device cpu); what is finished is safe."
        ) from error


def device_name(device: torch.device) -> str:
    """Return `cpu`, `mps`, or `cuda (NVIDIA …)`."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def processor_name() -> str:
    """Return the processor's model name if the system reveals it, else its family."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def describe_environment(compute: Compute) -> dict[str, object]:
    """Return everything a result may depend on, for the run folder: versions, processor, threads."""
    return {
        "hitofude": version("hitofude"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "processor": f"{processor_name()} ({torch.backends.cpu.get_cpu_capability()})",
        **describe_arithmetic(compute),
    }


def describe_arithmetic(compute: Compute) -> dict[str, str | int]:
    """Return everything besides recipe and data that decides the bits of a training; it may not change within a run."""
    return {
        "torch": torch.__version__,
        "device": compute.name or device_name(compute.device),
        "precision": compute.precision,
        "threads": compute.threads,
    }


def _has_bfloat16(device: str) -> bool:
    """Whether the device has bfloat16 instructions (a CPU: AVX-512 BF16 or AMX); without them it is far slower."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported") if device == "cpu" else ()
    return any(getattr(torch.cpu, check)() for check in checks if hasattr(torch.cpu, check))
