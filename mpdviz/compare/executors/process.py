"""A run in a process of its own, with its log, and what became of it: what the executors share."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from mpdviz.analysis.words import percent
from mpdviz.compare.executors.base import Failure, Watcher
from mpdviz.compare.plan import Planned
from mpdviz.config import RunConfig
from mpdviz.errors import BadInput, Interrupted
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.reading import is_finished, read_result
from mpdviz.system.files import make_folder
from mpdviz.training import command

PAUSE = 0.05
"""Seconds between two looks at a process."""


class Ended(NamedTuple):
    """How the process of a run ended."""

    status: int
    """Its exit code; negative where a signal ended it."""
    seconds: float
    """It took from its start."""


@dataclass(frozen=True)
class Child:
    """A run under way."""

    run: Planned
    process: subprocess.Popen[bytes]
    started: float

    def ended(self) -> Ended | None:
        """How it ended; None while it is under way."""
        status = self.process.poll()
        return None if status is None else Ended(status, time.perf_counter() - self.started)


def start(run: Planned, threads: int, folder: Path | None = None) -> Child:
    """Train a run, or go on with it, in a process of its own that adds what it says to the run's log.

    Args:
        run: which.
        threads: of the process; results depend on it in their last bits.
        folder: to work in, if not this process's.
    """
    make_folder(run.log.parent)
    with run.log.open("ab") as file:
        process = subprocess.Popen(
            command(run.config, run.folder.path),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
            cwd=folder,
            # Ctrl-C at the terminal reaches us alone: a run that got it twice would not save.
            process_group=0,
        )
    return Child(run, process, time.perf_counter())


def stop(children: Sequence[Child]) -> None:
    """Ask every run once to save and end, and wait."""
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    for child in children:
        child.process.wait()


def cores() -> int:
    """Cores of this machine that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_for(jobs: int) -> int:
    """An equal share of the cores, or what the user's OMP_NUM_THREADS allows if that is less."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    share = max(cores() // jobs, 1)
    return min(share, int(allowed)) if allowed.isdigit() and int(allowed) else share


def absolute(run: Planned) -> Planned:
    """The run for a process that works in another folder."""
    folder = RunFolder(run.folder.path.absolute())
    return replace(run, folder=folder, log=run.log.absolute(), study=run.study.absolute())


def refuse_numbered_devices(runs: Sequence[Planned], executor: str) -> None:
    """Refuse a GPU by its number where a scheduler gives each run its own.

    Raises:
        BadInput: naming it.
    """
    for run in runs:
        if re.fullmatch(r"cuda:\d+", run.config.device):
            problem = f"`device` {run.config.device} with `executor` {executor}, which gives each run its GPU"
            raise BadInput(problem, "choose `device` cuda")


def gpus_of(config: RunConfig, *, if_there: bool = False) -> int:
    """GPUs that a run takes; with `device` auto none, or with `if_there` as many as on cuda."""
    wanted = config.device == "cuda" or (config.device == "auto" and if_there)
    return (config.devices or 1) if wanted else 0


def last_words(run: Planned, status: int) -> str:
    """Why a run ended without a result, from the last line of its log."""
    lines = run.log.read_text(encoding="utf-8", errors="replace").split("\n") if run.log.exists() else []
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return f"{last.removeprefix('mpdviz: ')} (exit {status}, see {run.log})"


class Tally:
    """What becomes of the runs, a line whenever one starts or ends."""

    def __init__(self, runs: Sequence[Planned], on_event: Watcher) -> None:
        """Nothing became of them yet."""
        self.failures: list[Failure] = []
        self._runs, self._on_event, self._done = list(runs), on_event, 0

    def began(self, run: Planned) -> None:
        """A run is on its way."""
        self._on_event(f"{run.name} -> {run.folder.path}")

    def ended(self, run: Planned, how: Ended, *, stopped: bool) -> None:
        """A run's process has ended; one that was `stopped` on the way is no failure."""
        self._done += 1
        if is_finished(run.folder):
            accuracy = percent(read_result(run.folder)["test_accuracy"], 2)
            self._tell(f"{run.name}: test accuracy {accuracy} ({how.seconds:.0f} s)")
        elif not stopped:
            self._fail(run, last_words(run, how.status))

    def lost(self, run: Planned, why: str) -> None:
        """A run ended in another way than with its process."""
        self._done += 1
        self._fail(run, why)

    def interrupted(self) -> Interrupted:
        """What to raise where somebody asked to stop."""
        left = sum(not is_finished(run.folder) for run in self._runs)
        return Interrupted(
            f"interrupted, {left} of {len(self._runs)} runs not finished, their state saved",
            "give the same command again to go on",
        )

    def _fail(self, run: Planned, why: str) -> None:
        self.failures.append(Failure(run, why))
        self._tell(f"{run.name} failed: {why}")

    def _tell(self, line: str) -> None:
        self._on_event(f"[{self._done}/{len(self._runs)}] {line}")
