"""Several processes at one recording, started by torchrun: who does what, and bringing it together.

Each process takes whole batches of the one-process order (a convolution's rounding depends on its batch),
so the merged counts are the same integers as one process would give.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch.distributed as dist

Value = TypeVar("Value")


@dataclass(frozen=True)
class Team:
    """This process among those that work together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that prints and writes."""
        return self.rank == 0

    def takes(self, batch: int) -> bool:
        """Whether the batch with this number, from 0, is this process's."""
        return batch % self.size == self.rank

    def gather(self, value: Value) -> list[Value]:
        """Everybody's value in order of rank, for the leader; an empty list for the others."""
        if self.size == 1:
            return [value]
        gathered: list[Value] | None = [value] * self.size if self.leads else None
        dist.gather_object(value, gathered)
        return gathered or []


@contextmanager
def team() -> Iterator[Team]:
    """The team that torchrun set up, over gloo; alone where it did not."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    dist.init_process_group("gloo")
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
