"""Running contenders in turn, and what is said about a time: the machine, the median, the spread, a ratio."""

import datetime
import gc
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

Contenders = dict[str, Callable[[], object]]
CPU = torch.device("cpu")


class Row(NamedTuple):
    """One contender's times on one case."""

    case: str
    contender: str
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    ratio: float  # median of the reference / median of this one: above 1 is faster than the reference


def machine(device: torch.device = CPU) -> str:
    """Device, processor, threads, torch and date, for the head of every table."""
    card = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    return (
        f"{card}{_cpu()}, {torch.get_num_threads()} threads; torch {torch.__version__}; "
        f"{datetime.date.today().isoformat()}"
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def alternate(
    runs: Contenders,
    repeats: int,
    within: Mapping[str, Callable[[], AbstractContextManager[object]]] = {},
    *,
    device: torch.device = CPU,
) -> dict[str, list[float]]:
    """Milliseconds of each of `repeats` runs of every contender, one after the other in every round.

    Taking turns lets a machine that slows down for a while slow all of them.

    Args:
        runs: the contenders.
        repeats: rounds.
        within: what a contender's runs are within, entered and left untimed.
        device: what they run on; the clock is read when it has nothing left to do.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, run in runs.items():
                with within.get(name, nullcontext)():
                    settle(device)
                    start = time.perf_counter()
                    run()
                    settle(device)
                    times[name].append((time.perf_counter() - start) * 1e3)
    finally:
        gc.enable()
    return times


def settle(device: torch.device) -> None:
    """Wait until the device has done what it was asked to; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rows(case: str, times: dict[str, list[float]], reference: Sequence[float]) -> list[Row]:
    """One row a contender, with the ratio of the reference times' median to its own."""
    base = statistics.median(reference)
    return [
        Row(case, name, statistics.median(ms), min(ms), max(ms), base / statistics.median(ms))
        for name, ms in times.items()
    ]


def lines(table: Iterable[Row]) -> list[str]:
    """The table as lines of text, a heading first."""
    text = [f"{'case':<34} {'':<14} {'median ms':>10} {'fastest':>9} {'slowest':>9} {'ratio':>8}"]
    before = None
    for row in table:
        case = row.case if row.case != before else ""
        before = row.case
        text.append(
            f"{case:<34} {row.contender:<14} {_ms(row.median_ms):>10} {_ms(row.fastest_ms):>9} "
            f"{_ms(row.slowest_ms):>9} {row.ratio:>7.2f}x"
        )
    return text


def _ms(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def aligned(headings: Sequence[str], table: Iterable[Sequence[str]]) -> list[str]:
    """A table of words as lines of text, a heading first; its first column to the left, the others right."""
    rows = [tuple(headings), *map(tuple, table)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{word:<{width}}" if place == 0 else f"{word:>{width}}"
            for place, (word, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
