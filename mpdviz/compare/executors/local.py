"""Runs as processes of this machine, some of them side by side."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from typing_extensions import override

from mpdviz.compare.executors.base import Executor, Failure, Watcher
from mpdviz.compare.executors.process import PAUSE, Child, Tally, start, stop, threads_for
from mpdviz.compare.plan import Planned
from mpdviz.system.signals import stop_signals


class Local(Executor):
    """Processes side by side on this machine."""

    @override
    def run(self, runs: Sequence[Planned], jobs: int | None, on_event: Watcher) -> list[Failure]:
        """Train the runs, `jobs` at a time (None: one); the cores are divided among the jobs.

        Results depend on the number of threads in their last bits, so a comparison keeps to one number of
        jobs.
        """
        jobs = jobs or 1
        tally, todo = Tally(runs, on_event), list(runs)
        with stop_signals() as stopped, _children() as children:
            while (todo and not stopped.is_set()) or children:
                while todo and len(children) < jobs and not stopped.is_set():
                    children.append(start(todo[0], threads_for(jobs)))
                    tally.began(todo.pop(0))
                if stopped.is_set():
                    stop(children)
                for child in list(children):
                    how = child.ended()
                    if how is not None:
                        children.remove(child)
                        tally.ended(child.run, how, stopped=stopped.is_set())
                time.sleep(PAUSE)
            if stopped.is_set():
                raise tally.interrupted()
        return tally.failures


@contextmanager
def _children() -> Iterator[list[Child]]:
    """The processes under way, none of which outlives the block."""
    children: list[Child] = []
    try:
        yield children
    finally:
        for child in children:
            child.process.kill()
            child.process.wait()
