"""What trains the runs of a comparison, wherever that is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mpdviz.compare.plan import Planned

Watcher = Callable[[str], object]


@dataclass(frozen=True)
class Failure:
    """A run that ended without a result."""

    run: Planned
    why: str


class Executor(ABC):
    """Trains many runs, each in a process of its own (`training.command`)."""

    @abstractmethod
    def run(self, runs: Sequence[Planned], jobs: int, on_event: Watcher) -> list[Failure]:
        """Train the runs; one that fails does not stop the others.

        Args:
            runs: what to train; those that were interrupted before are continued.
            jobs: how many side by side.
            on_event: called with a line whenever a run starts or ends.

        Returns:
            The runs that failed.

        Raises:
            Interrupted: stopped by a signal; the runs under way have saved their state.
        """
