"""What computes: the device, its threads, and the precision of the arithmetic."""

import os
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch

from hitofude.errors import RecipeError

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Engine:
    """A device and how it is used."""

    device: torch.device
    precision: Literal["float32", "bfloat16"]

    @property
    def threads(self) -> int:
        return torch.get_num_threads()

    def autocast(self) -> AbstractContextManager[object]:
        """Within it, matrix products and convolutions are made in the engine's precision."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def __str__(self) -> str:
        if self.device.type == "cpu":
            return f"cpu, {self.threads} threads, {self.precision}"
        if self.device.type == "cuda":
            return f"cuda ({torch.cuda.get_device_name(self.device)}), {self.precision}"
        return f"{self.device.type}, {self.precision}"


def choose_engine(device: str = "auto", precision: str = "auto") -> Engine:
    """The engine asked for; `auto` takes CUDA, else Apple's MPS, else the CPU.

    Raises RecipeError when the device is not there.
    """
    if device not in DEVICES:
        raise RecipeError(f"There is no device '{device}'. Known: {', '.join(DEVICES)}.")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        raise RecipeError(f"The device {device} is not available to PyTorch here. Leave --device out to use what is.")
    chosen = torch.device(device)
    wanted = _native_precision(chosen) if precision == "auto" else precision
    return Engine(chosen, "bfloat16" if wanted == "bfloat16" else "float32")


def describe_environment(engine: Engine) -> dict[str, object]:
    """What a result may depend on, for the run folder: versions, processor, threads."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "processors": os.cpu_count(),
        "device": str(engine),
        "threads": engine.threads,
        "precision": engine.precision,
    }


def _native_precision(device: torch.device) -> str:
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu" and _cpu_has_bfloat16():
        return "bfloat16"
    return "float32"


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by itself (AVX-512 BF16 or AMX); without it, it is far slower."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check)() for check in checks if hasattr(torch.cpu, check))
