"""Random draws as a pure function of (seed, member, epoch, purpose).

They are made on the CPU whatever the device, so they depend neither on earlier draws, nor on the number of members
trained at once, nor on the machine; a repeated epoch draws the same.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Purpose = Literal["weights", "shuffle", "augment", "dropout", "watch"]


def seed_for(seed: int, member: int, epoch: int, purpose: Purpose) -> int:
    """Return a 63-bit seed, independent for each combination."""
    digest = hashlib.sha256(f"{seed}/{member}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(seed: int, member: int, epoch: int, purpose: Purpose) -> torch.Generator:
    """Return a new CPU generator, independent for each combination."""
    return torch.Generator().manual_seed(seed_for(seed, member, epoch, purpose))


@contextmanager
def seeding_dropout(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's global generators, which dropout uses, within the block, and restore them afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
