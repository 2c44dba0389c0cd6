"""What a tracker of experiments does: it takes numbers and histograms by tag, at a step."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from mpdviz.accumulations.histogram import Counts, Floats


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many potentials lie where, exactly; from the first bin that holds any to the last."""

    edges: Floats
    """Ends of the bins `[bins + 1]`, in units of the threshold."""
    counts: Counts
    """Potentials in each `[bins]`."""
    low: float
    """The smallest potential, in the same unit."""
    high: float
    total: float
    """Sum of the potentials."""
    squares: float
    """Sum of their squares."""


class Tracker(ABC):
    """A place where numbers are logged, opened by whoever made it."""

    @classmethod
    @abstractmethod
    def of(cls, target: object) -> Self | None:
        """The tracker behind an object of the user's; None where it is none of this kind's.

        What it belongs to is told by its type alone: nothing is imported to find out.
        """

    @abstractmethod
    def log(self, values: Mapping[str, float], histograms: Mapping[str, Histogram], step: int | None) -> None:
        """Log numbers, none of them NaN, and histograms, by tag.

        In one call, as some trackers count calls where no step is given.

        Args:
            values: by tag.
            histograms: by tag; left out where the tracker has no such thing.
            step: of the training; None leaves it to the tracker.
        """


class RunTracker(Tracker):
    """A tracker that keeps a run of its own for a run folder."""

    title: ClassVar[str]
    """Its name as its makers write it."""
    drops_later: ClassVar[bool] = False
    """Whether an opened run forgets by itself what was logged of steps after those done."""
    run: str = ""
    """What the tracker knows the run by, to go on with it; empty where it needs no such thing."""

    @classmethod
    @abstractmethod
    def require(cls) -> None:
        """Look for what it needs, before a run has written anything.

        Raises:
            BadInput: it is not installed, or it would not take a run.
        """

    @classmethod
    @abstractmethod
    def opened(cls, folder: Path, settings: Mapping[str, Any], done: int, run: str) -> Self:
        """Open a run of the tracker.

        Args:
            folder: the run folder, which exists.
            settings: of the run, by name.
            done: training steps that a resumed run has behind it.
            run: what `run` was when the run was opened first; empty for a new one.
        """

    @abstractmethod
    def flush(self) -> None:
        """Write what was logged so far."""

    @abstractmethod
    def close(self, *, finished: bool) -> None:
        """Log no more.

        Args:
            finished: whether the run has come to its end, or was stopped before.
        """


def is_a(target: object, name: str, packages: Collection[str] = ()) -> bool:
    """Whether `target` is an instance of a class `name`, of one of these packages if any are given."""
    return any(
        kind.__name__ == name and (not packages or kind.__module__.partition(".")[0] in packages)
        for kind in type(target).__mro__
    )
