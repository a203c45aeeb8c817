"""The figures of one epoch of one member. It imports no PyTorch, so that reading a run stays light."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class EpochLog:
    """What is known after one epoch of one member; a line of log.jsonl."""

    member: int
    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None  # None where the member learns from all rows
    validation_accuracy: float | None
    learning_rate: float
    seconds: float
    images_per_second: float

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "EpochLog":
        return cls(**{field.name: content[field.name] for field in fields(cls)})
