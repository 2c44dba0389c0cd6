"""Scaling law: what a step, a recording, a report and a comparison cost as one size grows by 1, 10 and 100.

    python benchmarks/scaling.py [--threads 2] [--repeats 5] [--only report]

Base, networks and studies: `mpdviz.bench.scaling`. Every size is measured in a process of its own, in seconds
of processor time, which other work on the machine disturbs least. cost/work is the cost over that of the
base, divided by how many times as much work there is: below 1, fixed costs are shared; above 1, it grows
faster than its work. The last decade is the cost at 100 over that at 10, in which fixed costs hide least: 10
is as the work. MB are the most that is resident above what was before. Samples add no work to a report.
"""

import argparse

import torch

from mpdviz.bench import scaling, timing
from mpdviz.bench.apart import apart

SLACK = 1.3
"""Times as fast as its work in the last decade from which a line is marked: 10^0.11, so order 1.11."""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="cost by size")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="of each size, at most (default 5)")
    parser.add_argument("--only", choices=list(scaling.AXES), help="one cost")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    base = ", ".join(f"{name} {size}" for name, size in scaling.Size()._asdict().items())
    study = ", ".join(f"{name} {size}" for name, size in scaling.studies.StudySize()._asdict().items())
    print(f"{timing.machine()}; medians of at most {arguments.repeats}")
    print(f"base: {base}; of studies: {study}")
    headings = (*(f"s x{factor}" for factor in scaling.FACTORS), "cost/work x10", "x100", "last decade")
    headings += tuple(f"MB x{factor}" for factor in scaling.FACTORS)
    for cost in [arguments.only] if arguments.only else scaling.AXES:
        rows = [_row(cost, axis, arguments.repeats) for axis in scaling.AXES[cost]]
        print("\n".join(timing.aligned((cost, *headings), rows)), flush=True)


def _row(cost: str, axis: str, repeats: int) -> tuple[str, ...]:
    found = [scaling.Cost(*apart(scaling.measure, cost, axis, factor, repeats)) for factor in scaling.FACTORS]
    first, tenfold, last = (one.seconds for one in found)
    decade = last / tenfold
    return (
        axis,
        *(f"{one.seconds:.4f}" for one in found),
        f"{tenfold / first / 10:.2f}",
        f"{last / first / 100:.2f}",
        f"{decade:.1f}{' !' if decade > 10 * SLACK else '  '}",
        *(f"{one.peak_mb:.1f}" for one in found),
    )


if __name__ == "__main__":
    main()
