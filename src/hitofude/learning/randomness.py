"""Every random draw is a pure function of (seed, member, epoch, purpose).

Nothing then depends on what ran before, on how many members run at once, or on the machine: the draws are made
on the CPU whatever the device, and an epoch that is run again draws the same.
"""

import hashlib
from typing import Literal

import torch

Purpose = Literal["weights", "shuffle", "augment"]


def seed_for(seed: int, member: int, epoch: int, purpose: Purpose) -> int:
    """A 63-bit seed, independent for each combination."""
    digest = hashlib.sha256(f"{seed}/{member}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(seed: int, member: int, epoch: int, purpose: Purpose) -> torch.Generator:
    """A new CPU generator, independent for each combination."""
    return torch.Generator().manual_seed(seed_for(seed, member, epoch, purpose))
