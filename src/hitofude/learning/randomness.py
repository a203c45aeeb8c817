"""Every random draw is a pure function of (seed, member, epoch, purpose).

Nothing then depends on what ran before, on how many members run at once, or on the machine: the draws are made
on the CPU whatever the device, and an epoch that is run again draws the same.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Purpose = Literal["weights", "shuffle", "augment", "dropout", "watch"]


def seed_for(seed: int, member: int, epoch: int, purpose: Purpose) -> int:
    """A 63-bit seed, independent for each combination."""
    digest = hashlib.sha256(f"{seed}/{member}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(seed: int, member: int, epoch: int, purpose: Purpose) -> torch.Generator:
    """A new CPU generator, independent for each combination."""
    return torch.Generator().manual_seed(seed_for(seed, member, epoch, purpose))


@contextmanager
def seeding_dropout(seed: int, device: torch.device) -> Iterator[None]:
    """Within it, PyTorch's own generators, which dropout draws from, start at this seed; afterwards they go on."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
