"""Running a plan: each run a process of its own (`mpdviz train --resume`), some of them side by side."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mpdviz import data, networks
from mpdviz.compare.plan import Comparison, Planned
from mpdviz.config import RunConfig
from mpdviz.errors import Interrupted
from mpdviz.system.devices import pick_device
from mpdviz.system.files import exists, make_folder
from mpdviz.system.signals import stop_signals

Watcher = Callable[[str], None]
PAUSE = 0.05
"""Seconds between two looks at the processes."""


@dataclass(frozen=True)
class Failure:
    """A run that ended without a result."""

    run: Planned
    why: str


@dataclass(frozen=True)
class _Child:
    """A run under way."""

    run: Planned
    process: subprocess.Popen[bytes]
    started: float


def check(comparison: Comparison) -> None:
    """Find out before anything is started whether the runs can be: data, sizes, device, network.

    Raises:
        BadInput: whatever would stop every run of a strategy.
    """
    configs = [run.config for run in comparison.runs()[: len(comparison.strategies)]]
    first = configs[0]
    pick_device(first.device)
    dataset = data.load(first.data, timesteps=first.timesteps, data_dir=first.data_dir)
    dataset.check_trainable(first.batch_size, first.timesteps)
    for config in configs:
        networks.build(
            config.model,
            num_classes=dataset.classes,
            in_channels=dataset.channels,
            image_size=dataset.image_size,
            **config.network_options(),
        )


def launch(runs: Sequence[Planned], jobs: int, on_event: Watcher) -> list[Failure]:
    """Train what is not finished yet, `jobs` runs at a time; one that fails does not stop the others.

    The cores are divided among the jobs. Results depend on the number of threads in their last bits, so a
    comparison keeps to one number of jobs.

    Args:
        runs: what to train; finished runs are left alone, interrupted ones continued.
        jobs: processes side by side.
        on_event: called with a line whenever a run starts, ends or is skipped.

    Returns:
        The runs that failed.

    Raises:
        Interrupted: stopped by a signal; the runs under way have saved their state.
    """
    waiting = [run for run in runs if not is_finished(run)]
    if len(waiting) < len(runs):
        on_event(f"{len(runs) - len(waiting)} of {len(runs)} runs are finished already")
    failures: list[Failure] = []
    todo, done = list(waiting), 0
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
                if is_finished(child.run):
                    on_event(f"[{done}/{len(waiting)}] {_outcome(child)}")
                elif not stopped.is_set():
                    failures.append(Failure(child.run, _last_words(child)))
                    on_event(f"[{done}/{len(waiting)}] {child.run.name} failed: {failures[-1].why}")
            time.sleep(PAUSE)
        if stopped.is_set():
            finished = sum(map(is_finished, runs))
            raise Interrupted(
                f"interrupted, {finished} of {len(runs)} runs finished, state of the others saved",
                "give the same command again to go on",
            )
    return failures


def is_finished(run: Planned) -> bool:
    """Whether a run has its result."""
    return exists(run.folder.result) and bool(read_result(run).get("finished"))


def read_result(run: Planned) -> dict[str, Any]:
    """What `result.json` holds; nothing where there is none, or one that is no JSON object."""
    with suppress(OSError, ValueError):
        content = json.loads(run.folder.result.read_bytes())
        return content if isinstance(content, dict) else {}
    return {}


def arguments(config: RunConfig) -> list[str]:
    """Settings as options of `mpdviz train`."""
    options: list[str] = []
    for name, value in config.model_dump(mode="json", exclude_none=True).items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            options.append(f"--{flag}={text}")
    return options


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
    command = [sys.executable, "-m", "mpdviz.cli", "train", *arguments(run.config)]
    with run.log.open("ab") as file:
        process = subprocess.Popen(
            [*command, "--out", str(run.folder.path), "--resume"],
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
    result = read_result(child.run)
    seconds = time.perf_counter() - child.started
    return f"{child.run.name}: test accuracy {result['test_accuracy']:.2%} ({seconds:.0f} s)"


def _last_words(child: _Child) -> str:
    lines = child.run.log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return f"{last.removeprefix('mpdviz: ')} (exit {child.process.returncode}, see {child.run.log})"
