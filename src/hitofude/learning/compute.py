"""The device, its threads, and the precision of the arithmetic."""

import os
import platform
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch

from hitofude.errors import OutOfResourcesError, RecipeError, counted
from hitofude.language.translation import say_count

ACCELERATORS = ("cuda", "mps")
DEVICES = ("auto", "cpu", *ACCELERATORS)
ABSENT = "absent"
REMEDY = "Use --device cpu, choose another GPU (on Kaggle T4 x2, not P100), or install a PyTorch built for this one."


def processors() -> int:
    """Return the number of processors this process may use, by its affinity and its container's limit."""
    from joblib import cpu_count  # a worker process need not import joblib

    return int(cpu_count())


class _Threads:
    """The blocks of using_threads that are open in this process, and the threads of PyTorch outside of them."""

    lock = threading.Lock()
    blocks = 0
    usual = 1
    own = threading.local()
    """Of each thread of Python: `blocks`, those that it has open."""


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Let this thread of Python compute with so many threads of PyTorch in the block.

    PyTorch gives a new thread the number that any thread has set last. So a thread that was started while a block is
    open is taken to have the number from outside of it; see usual_threads.
    """
    own = _Threads.own
    with _Threads.lock:
        before = torch.get_num_threads()
        if not _Threads.blocks:
            _Threads.usual = before
        elif not getattr(own, "blocks", 0):
            before = _Threads.usual
        _Threads.blocks += 1
        own.blocks = getattr(own, "blocks", 0) + 1
    torch.set_num_threads(count)
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.blocks -= 1
            own.blocks -= 1
        torch.set_num_threads(before)


def usual_threads() -> int:
    """Return PyTorch's number of threads outside of the blocks of using_threads that are open."""
    with _Threads.lock:
        return _Threads.usual if _Threads.blocks else torch.get_num_threads()


@contextmanager
def _deterministic_kernels() -> Iterator[None]:
    """Let cuDNN take kernels that round alike in every call."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before


@dataclass(frozen=True)
class Compute:
    """A device and how to use it."""

    device: torch.device
    precision: Literal["float32", "bfloat16"]
    threads: int = field(default_factory=usual_threads)
    """The CPU's threads. The number is part of a result, since sums over threads round differently."""
    name: str | None = None
    """The name of a device of another machine."""
    note: str = field(default="", compare=False)
    """The reason that a better device was left aside, if there is one."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use these threads, this GPU and deterministic kernels in the block.

        Raises OutOfResourcesError if memory is full.
        """
        gpu = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with using_threads(self.threads), gpu, _deterministic_kernels(), explaining_memory_errors():
            yield

    def autocast(self) -> AbstractContextManager[object]:
        """Compute matrix products and convolutions in this precision within the block."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def __str__(self) -> str:
        if self.device.type == "cpu":
            return f"cpu, {say_count(self.threads, 'thread')}, {self.precision}"
        return f"{self.name or device_name(self.device)}, {self.precision}"


def choose_compute(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Compute:
    """Choose device, precision and threads; `auto` is CUDA, else Apple's MPS, else the CPU with all its processors.

    device: one of DEVICES, or `cuda:1` for the second GPU. Raises RecipeError if it is unknown or not available.
    """
    if device not in DEVICES and not re.fullmatch(r"cuda:\d+", device):
        raise RecipeError(f"There is no device '{device}'. Known: {', '.join(DEVICES)}; cuda:1 is the second GPU.")
    notes = []
    if device == "auto":
        device = "cpu"
        for name in ACCELERATORS:
            problem = problem_of(name)
            if problem is None:
                device = name
                break
            notes += [problem] if problem != ABSENT else []
    elif device != "cpu" and (problem := problem_of(device)) is not None:
        if problem != ABSENT:
            raise RecipeError(f"--device {device}: {problem}. {REMEDY}")
        raise RecipeError(f"The device {device} is not available to PyTorch here. Leave --device out to use what is.")
    note = "".join(f"{problem}. So the {'processor' if device == 'cpu' else device} is used" for problem in notes[:1])
    is_bfloat16 = _has_bfloat16(device) if precision == "auto" else precision == "bfloat16"
    precision_name: Literal["float32", "bfloat16"] = "bfloat16" if is_bfloat16 else "float32"
    return Compute(torch.device(device), precision_name, threads or usual_threads(), note=note)


def usable_device(device: str) -> str:
    """Return the device if PyTorch can use it on this machine, else `cpu`. device: of the machines that train."""
    return device if device == "cpu" or problem_of(device) is None else "cpu"


@cache
def problem_of(device: str) -> str | None:
    """Return the reason that PyTorch cannot compute on `cuda`, `cuda:1` or `mps`; None if it can.

    A device may be there without code for it: PyTorch is built for some compute capabilities of NVIDIA's GPUs, and
    torch.cuda.is_available() is true for others, too. So the capability is compared, and a small kernel run.
    """
    of_cuda = device != "mps"
    if not (torch.cuda.is_available() if of_cuda else torch.backends.mps.is_available()):
        return ABSENT
    if of_cuda and (problem := _problem_of_gpu(torch.device(device).index or 0)):
        return problem
    try:
        computed = float((torch.ones(2, 2).to(device) @ torch.ones(2, 2).to(device)).sum())
    except RuntimeError as error:
        return (
            f"{device_name(torch.device(device))} does not compute with PyTorch {torch.__version__} ({_first(error)})"
        )
    return None if computed == 8 else f"{device_name(torch.device(device))} computes 8 as {computed:g}"


def _problem_of_gpu(index: int) -> str | None:
    """Return the reason that PyTorch has no code for the GPU of that index, or that there is none; else None."""
    if index >= (count := torch.cuda.device_count()):
        return f"PyTorch sees {counted(count, 'GPU')} here, cuda:0" + (f" to cuda:{count - 1}" if count > 1 else "")
    major, minor = torch.cuda.get_device_capability(index)
    if _is_built_for((major, minor), torch.cuda.get_arch_list()):
        return None
    gpu, built_for = torch.cuda.get_device_name(index), ", ".join(torch.cuda.get_arch_list())
    return f"PyTorch {torch.__version__} has no code for the {gpu} (sm_{major}{minor}); it was built for {built_for}"


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _is_built_for(capability: tuple[int, int], architectures: list[str]) -> bool:
    """Whether one of `sm_75`, `sm_90a`, `compute_80` … runs on a GPU of the capability; unknown names count as such.

    Code for X.Y runs on X.Z with Z ≥ Y, and intermediate code (compute_) on all later ones. Source: CUDA C++
    Programming Guide, Binary Compatibility and PTX Compatibility.
    """
    found = [re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", name) for name in architectures]
    if not architectures or None in found:
        return True
    versions = [(match[1], int(match[2]), int(match[3])) for match in found if match]
    major, minor = capability
    return any(
        (kind == "sm" and of == major and below <= minor) or (kind == "compute" and (of, below) <= capability)
        for kind, of, below in versions
    )


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
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported") if device == "cpu" else ()
    return any(getattr(torch.cpu, check)() for check in checks if hasattr(torch.cpu, check))
