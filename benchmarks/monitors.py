"""Ways to watch the potentials of a SpikingJelly network: the time of a forward, and what is kept after many.

    python benchmarks/monitors.py [--threads 1] [--repeats 15] [--batch-size 8] [--timesteps 4]
        [--sizes tiny vgg] [--forwards 1 10 50]

What is compared and how: `mpdviz.bench.monitors`. NeuroBench joins where it can be imported.
`--threads` is of torch and numba alike: on a busy machine, numba's second thread waits for its turn.
"""

import argparse
from importlib.metadata import version
from importlib.util import find_spec

import numba
import torch

from mpdviz.bench import monitors, timing

PACKAGES = ("spikingjelly", "tensorboard", "neurobench", "numba")


def main() -> None:
    """Print both tables of each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--sizes", nargs="+", choices=("tiny", "vgg"), default=["tiny", "vgg"])
    parser.add_argument("--forwards", type=int, nargs="+", default=[1, 10, 50])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numba.set_num_threads(min(options.threads, numba.get_num_threads()))
    packages = [f"{name} {version(name)}" for name in PACKAGES if find_spec(name) is not None]
    print(f"{timing.machine()}; {', '.join(packages)}; n = {options.repeats}")
    shape = {"timesteps": options.timesteps, "batch_size": options.batch_size}
    for size in options.sizes:
        rows = {row.contender: row for row in monitors.times(size, **shape, repeats=options.repeats)}
        kept = monitors.kept(size, **shape, forwards=options.forwards)
        bare = rows["bare"].median_ms
        table = [
            (
                one.way,
                *(f"{ms:.2f}" for ms in rows[one.way][2:5]),
                f"{rows[one.way].median_ms / bare:.2f}x",
                *(f"{held / 1e3:,.1f}" for held in one.held.values()),
            )
            for one in kept
        ]
        print(f"{rows['bare'].case}: ms a forward, cost / bare; kB held after so many forwards")
        heads = ("", "median ms", "fastest", "slowest", "cost", *map(str, sorted(options.forwards)))
        print("\n".join(timing.aligned(heads, table)))


if __name__ == "__main__":
    main()
