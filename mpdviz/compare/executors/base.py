"""What trains the runs of a comparison, wherever that is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mpdviz.compare.plan import Planned

Watcher = Callable[[str], object]


@dataclass(frozen=True)
class Failure:
    """A run that ended without a result."""

    run: Planned
    why: str


class Executor(ABC):
    """Trains many runs, each in a process of its own (`training.command`).

    The options of an executor are its constructor's arguments: numbers, and text where `texts` says so.
    """

    texts: ClassVar[tuple[str, ...]] = ()
    """Options that are text, see `registry.made`."""
    here: ClassVar[bool] = True
    """Whether runs are trained on this machine, so that they need its devices."""
    waits: ClassVar[bool] = True
    """Whether `run` ends with the runs; if not, it has handed them over."""

    def require(self, runs: Sequence[Planned]) -> None:
        """Find out, before anything is written, whether it can train these runs.

        Raises:
            BadInput: a package that is missing, or settings that make no sense there.
        """
        del runs

    @abstractmethod
    def run(self, runs: Sequence[Planned], jobs: int | None, on_event: Watcher) -> list[Failure]:
        """Train the runs; one that fails does not stop the others.

        Args:
            runs: what to train; those that were interrupted before are continued.
            jobs: how many side by side at most; None: as the executor sees fit.
            on_event: called with a line whenever a run starts or ends.

        Returns:
            The runs that failed.

        Raises:
            BadInput: the place cannot be reached, or refuses the runs.
            Interrupted: stopped by a signal; the runs under way have saved their state.
        """
