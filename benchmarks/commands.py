"""How long a command takes from start to end: whole processes, beside the imports they cannot do without.

    python benchmarks/commands.py [--repeats 7] [--threads 2] [--sample sample:fixed]

Each process is a fresh one that starts in an empty folder; all take turns, so that a machine that slows down
for a while slows all of them. A first round, which is not counted, fills the caches of compiled modules and
of files. Beside the seconds on the clock stand those of the processors, user and system together, which other
work on the machine changes less: least with `--threads 1`, where no thread waits for another that was put
aside. The ratio is of the medians to that of importing torch.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from mpdviz.bench import timing

COMMAND = ("-m", "mpdviz")
FLOOR = "import torch"


class Taken(NamedTuple):
    """What one process took, in seconds."""

    wall: float
    cpu: float


def processes(sample: str) -> dict[str, tuple[str, ...]]:
    """Python's arguments by what the table calls them, the floor first."""
    return {
        FLOOR: ("-c", "import torch"),
        "import torch, pandas": ("-c", "import torch, pandas"),
        "import mpdviz": ("-c", "import mpdviz"),
        "mpdviz --help": (*COMMAND, "--help"),
        "mpdviz list columns": (*COMMAND, "list", "columns"),
        f"mpdviz inspect {sample}": (*COMMAND, "inspect", sample),
        f"mpdviz inspect {sample} --full": (*COMMAND, "inspect", sample, "--full"),
        f"mpdviz check {sample}": (*COMMAND, "check", sample),
    }


def timed(arguments: tuple[str, ...], environment: dict[str, str], folder: str) -> Taken:
    """Run Python to its end, whose exit code may be that of a check that failed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=environment, cwd=folder, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr.decode())
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Parse, measure in turn, print."""
    parser = argparse.ArgumentParser(description="seconds of whole processes")
    parser.add_argument("--repeats", type=int, default=7, help="counted rounds (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="of torch in each process (default 2)")
    parser.add_argument("--sample", default="sample:fixed")
    chosen = parser.parse_args()
    every = processes(chosen.sample)
    taken: dict[str, list[Taken]] = {name: [] for name in every}
    # As users have it: modules that were compiled once are read.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"OMP_NUM_THREADS": str(chosen.threads)}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.repeats + 1):
            for name, arguments in every.items():
                once = timed(arguments, environment, folder)
                if number:
                    taken[name].append(once)
    print(
        f"{timing.machine()}; {chosen.threads} threads in each process, load {os.getloadavg()[0]:.1f}; "
        f"seconds, medians of {chosen.repeats}"
    )
    print("\n".join(lines(taken)))


def lines(taken: dict[str, list[Taken]]) -> list[str]:
    """The table as lines of text, a heading first."""
    text = [f"{'process':<34} {'median':>8} {'fastest':>8} {'slowest':>8} {'user+sys':>9} {'ratio':>7}"]
    floor = statistics.median(one.wall for one in taken[FLOOR])
    for name, each in taken.items():
        walls = [one.wall for one in each]
        median, cpu = statistics.median(walls), statistics.median(one.cpu for one in each)
        text.append(
            f"{name:<34} {median:>8.2f} {min(walls):>8.2f} {max(walls):>8.2f} "
            f"{cpu:>9.2f} {median / floor:>6.2f}x"
        )
    return text


if __name__ == "__main__":
    main()
