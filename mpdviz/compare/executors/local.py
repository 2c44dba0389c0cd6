"""Runs as processes of this machine, some of them side by side."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from typing_extensions import override

from mpdviz.analysis.words import percent
from mpdviz.compare.executors.base import Executor, Failure, Watcher
from mpdviz.compare.plan import Planned
from mpdviz.errors import Interrupted
from mpdviz.runs.reading import is_finished, read_result
from mpdviz.system.files import make_folder
from mpdviz.system.signals import stop_signals
from mpdviz.training import command

PAUSE = 0.05
"""Seconds between two looks at the processes."""


@dataclass(frozen=True)
class _Child:
    """A run under way."""

    run: Planned
    process: subprocess.Popen[bytes]
    started: float


class Local(Executor):
    """Processes side by side on this machine."""

    @override
    def run(self, runs: Sequence[Planned], jobs: int, on_event: Watcher) -> list[Failure]:
        """Train the runs, `jobs` at a time; the cores are divided among the jobs.

        Results depend on the number of threads in their last bits, so a comparison keeps to one number of
        jobs.
        """
        failures: list[Failure] = []
        todo, done = list(runs), 0
        with stop_signals() as stopped, _children() as children:
            while (todo and not stopped.is_set()) or children:
                while todo and len(children) < jobs and not stopped.is_set():
                    children.append(_start(todo.pop(0), jobs))
                    on_event(f"{children[-1].run.name} -> {children[-1].run.folder.path}")
                if stopped.is_set():
                    _stop(children)
                for child in [child for child in children if child.process.poll() is not None]:
                    children.remove(child)
                    done += 1
                    if is_finished(child.run.folder):
                        on_event(f"[{done}/{len(runs)}] {_outcome(child)}")
                    elif not stopped.is_set():
                        failures.append(Failure(child.run, _last_words(child)))
                        on_event(f"[{done}/{len(runs)}] {child.run.name} failed: {failures[-1].why}")
                time.sleep(PAUSE)
            if stopped.is_set():
                left = sum(not is_finished(run.folder) for run in runs)
                raise Interrupted(
                    f"interrupted, {left} of {len(runs)} runs not finished, their state saved",
                    "give the same command again to go on",
                )
        return failures


@contextmanager
def _children() -> Iterator[list[_Child]]:
    """The processes under way, none of which outlives the block."""
    children: list[_Child] = []
    try:
        yield children
    finally:
        for child in children:
            child.process.kill()
            child.process.wait()


def _start(run: Planned, jobs: int) -> _Child:
    make_folder(run.log.parent)
    threads = str(_threads(jobs))
    with run.log.open("ab") as file:
        process = subprocess.Popen(
            command(run.config, run.folder.path),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            # Ctrl-C at the terminal reaches us alone: a run that got it twice would not save.
            process_group=0,
        )
    return _Child(run, process, time.perf_counter())


def _threads(jobs: int) -> int:
    """An equal share of the cores, or what the user's OMP_NUM_THREADS allows if that is less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    share = max(cores // jobs, 1)
    return min(share, int(allowed)) if allowed.isdigit() and int(allowed) else share


def _stop(children: Sequence[_Child]) -> None:
    """Ask every run once to save and end, and wait."""
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    for child in children:
        child.process.wait()


def _outcome(child: _Child) -> str:
    result = read_result(child.run.folder)
    seconds = time.perf_counter() - child.started
    return f"{child.run.name}: test accuracy {percent(result['test_accuracy'], 2)} ({seconds:.0f} s)"


def _last_words(child: _Child) -> str:
    lines = child.run.log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return f"{last.removeprefix('mpdviz: ')} (exit {child.process.returncode}, see {child.run.log})"
