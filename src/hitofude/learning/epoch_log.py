"""The figures of one epoch of one member. No PyTorch is imported here, so that runs can be read without it."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class EpochLog:
    """The figures after one epoch of one member; a line of log.jsonl."""

    member: int
    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None  # None if the member is trained on all rows
    validation_accuracy: float | None
    learning_rate: float
    seconds: float
    images_per_second: float

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "EpochLog":
        return cls(**{field.name: content[field.name] for field in fields(cls)})


def member_folder_name(member: int) -> str:
    """Return the name of a member's folder, `00` for the first."""
    return f"{member:02d}"
