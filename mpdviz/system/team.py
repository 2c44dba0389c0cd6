"""Several processes at one piece of work: who does what, and bringing it together.

In a recording each process takes whole batches of the one-process order (a convolution's rounding depends on
its batch), so the merged counts are the same integers as one process would give. In training each takes an
equal part of every batch, and what is computed from a whole batch is computed from all parts (`synchronise`).
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mpdviz.errors import TeamLost
from mpdviz.system.rank import check_environment, world_size

Value = TypeVar("Value")
PAUSE = 0.2
"""Seconds between two looks at processes that start."""


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

    def part(self, samples: Tensor, dim: int) -> Tensor:
        """This process's part of a batch, equal for all; `dim` counts the samples."""
        return samples.tensor_split(self.size, dim)[self.rank] if self.size > 1 else samples

    def gather(self, value: Value) -> list[Value]:
        """Everybody's value in order of rank, for the leader; an empty list for the others."""
        if self.size == 1:
            return [value]
        gathered: list[Value] | None = [value] * self.size if self.leads else None
        dist.gather_object(value, gathered)
        return gathered or []

    def share(self, value: Value) -> list[Value]:
        """Everybody's value in order of rank, for everybody."""
        if self.size == 1:
            return [value]
        shared = [value] * self.size
        dist.all_gather_object(shared, value)
        return shared

    def total(self, *values: float, device: torch.device | str = "cpu") -> list[float]:
        """The sums of everybody's values, in float64."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(sums)
        return [float(total) for total in sums]


@contextmanager
def team() -> Iterator[Team]:
    """The team that torchrun set up, over gloo, or the one there is already; alone where there is none."""
    if dist.is_available() and dist.is_initialized():
        yield Team(dist.get_rank(), dist.get_world_size())
        return
    size = world_size()
    if size == 1:
        yield Team()
        return
    check_environment()
    dist.init_process_group("gloo")
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


@contextmanager
def lost_team() -> Iterator[None]:
    """Turn the loss of another process into one line.

    Raises:
        TeamLost: another process ended while this one waited for it.
    """
    try:
        yield
    except RuntimeError as error:
        # gloo raises plain RuntimeErrors that name its source file.
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise TeamLost("another process of this run has ended", "continue with `resume`") from None
        raise


class Watch:
    """Ends this process, with a line, some time after one that it has started has died.

    Waiting for it cannot be interrupted: left alone it lasts for half an hour, or for ever.
    """

    def __init__(self, children: Callable[[], Iterable["subprocess.Popen[Any]"]], patience: float) -> None:
        """Begin to look.

        Args:
            children: those that were started so far.
            patience: seconds in which this process may notice by itself, and end in order.
        """
        self._children, self._patience, self._over = children, patience, threading.Event()
        threading.Thread(target=self._look, daemon=True, name="team").start()

    def end(self) -> None:
        """Look no longer."""
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(PAUSE):
            if any(child.poll() for child in list(self._children())) and not self._over.wait(self._patience):
                lost = TeamLost("another process of this run has ended", "continue with `resume`")
                print(f"mpdviz: {lost}", file=sys.stderr, flush=True)
                os._exit(lost.exit_code)


def synchronise(network: nn.Module) -> None:
    """Make what `network` computes from a training batch come from the batches of all ranks together.

    Concerns the modules with an attribute `synchronised`: batch norms and strategies that follow the
    potentials. Every rank must give as many samples as every other.
    """
    for module in network.modules():
        if hasattr(module, "synchronised"):
            module.synchronised = True  # type: ignore[assignment]


@torch.no_grad()
def all_gather(values: Tensor) -> Tensor:
    """The `values` of all ranks, `[ranks, *values.shape]`, without a gradient."""
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.stack(parts)
