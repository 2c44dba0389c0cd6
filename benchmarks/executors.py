"""What an executor adds to a run: seconds around one that has nothing left to do.

    python benchmarks/executors.py [--executors local,ray,slurm] [--repeats 5]

The run is finished already, so what is measured is the way to its process, Python's imports in it, and the
way back: for `slurm` until the job has left the queue, looked at five times a second. For `ray` the first
line is the connection, once a study (here a cluster of its own is started), and the second a run in it.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mpdviz.bench import timing
from mpdviz.compare import arms, plan
from mpdviz.compare.executors import get
from mpdviz.compare.plan import Planned

SETTINGS = {"timesteps": 1, "epochs": 1, "batch_size": 512, "device": "cpu"}


def main() -> None:
    """Parse, train the run once, measure, print."""
    parser = argparse.ArgumentParser(description="seconds that executors add to a run")
    parser.add_argument("--executors", default="local,ray,slurm")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{timing.machine()}, load {os.getloadavg()[0]:.1f}; seconds, medians of {arguments.repeats}")
    # Not in /tmp where that is each machine's own: a job of Slurm's has to see it.
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        (run,) = plan.plan(arms.of_strategies(["fixed"]), [0], SETTINGS, Path(folder) / "study").runs()
        _train("local", run)
        for name in arguments.executors.split(","):
            if name == "ray":
                import ray

                _measure(
                    "ray: a cluster of its own, and the run", partial(_train, "ray", run), arguments.repeats
                )
                os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
                ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
                _measure("ray: the run alone", partial(_train, "ray", run), arguments.repeats)
                ray.shutdown()
            else:
                _measure(name, partial(_train, name, run), arguments.repeats)


def _train(name: str, run: Planned) -> None:
    executor = get(name)
    failures = executor.run([run], 1, lambda _: None)
    assert not failures, failures[0].why
    while (
        not executor.waits
        and subprocess.run(
            ["squeue", "--noheader", f"--user={os.getuid()}"], capture_output=True, check=True
        ).stdout
    ):
        time.sleep(0.2)


def _measure(what: str, action: Callable[[], None], repeats: int) -> None:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    print(
        f"{what:40} {statistics.median(seconds):6.1f}   {min(seconds):.1f} to {max(seconds):.1f}", flush=True
    )


if __name__ == "__main__":
    main()
