"""Schedules of the learning rate: which share of the highest rate an epoch is trained with."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from typing_extensions import override

from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.registry import Registry, made


class Schedule(ABC):
    """A share of the highest learning rate, constant within an epoch."""

    name: ClassVar[str]

    @abstractmethod
    def share(self, epoch: int, epochs: int) -> float:
        """The share for `epoch`, from 0, of so many."""


class Cosine(Schedule):
    """Half a cosine from 1 to 0 over the epochs (Loshchilov & Hutter, ICLR 2017, without restarts)."""

    name = "cosine"

    @override
    def share(self, epoch: int, epochs: int) -> float:
        return (1 + math.cos(math.pi * epoch / epochs)) / 2


class Step(Schedule):
    """`factor` times less after `every` epochs."""

    name = "step"

    def __init__(self, every: float = 30, factor: float = 0.1) -> None:
        """Take whole epochs and a factor between 0 and 1.

        Raises:
            BadInput: anything else.
        """
        if not (every >= 1 and every % 1 == 0 and 0 < factor < 1):
            raise BadInput(
                f"`schedule` step: every={every:g}, factor={factor:g}",
                "give whole epochs and a factor between 0 and 1",
            )
        self.every, self.factor = int(every), factor

    @override
    def share(self, epoch: int, epochs: int) -> float:
        return float(self.factor ** (epoch // self.every))


class Constant(Schedule):
    """The same throughout."""

    name = "constant"

    @override
    def share(self, epoch: int, epochs: int) -> float:
        return 1.0


SCHEDULES: Registry[type[Schedule]] = Registry(
    "schedule",
    "mpdviz.schedules",
    {
        "cosine": "mpdviz.training.rates:Cosine",
        "step": "mpdviz.training.rates:Step",
        "constant": "mpdviz.training.rates:Constant",
    },
    Schedule,
)


class Rates:
    """The learning rate of every step of a run."""

    def __init__(self, config: RunConfig) -> None:
        """Look the schedule up.

        Raises:
            BadInput: no such schedule or option.
        """
        self._config = config
        self._schedule = made(SCHEDULES, config.schedule, example="step:every=30")[0]

    def at(self, epoch: int, step: int, steps: int) -> float:
        """The rate of one step, while warming up in proportion to what has been warmed up by its end.

        Args:
            epoch: from 0.
            step: of the epoch, from 0.
            steps: of an epoch.
        """
        config = self._config
        rate = config.lr * self._schedule.share(epoch, config.epochs)
        passed = epoch + (step + 1) / steps
        return rate * passed / config.warmup if passed < config.warmup else rate
