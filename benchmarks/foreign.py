"""Recording networks of SpikingJelly and snnTorch against running them bare, beside their own monitors.

    python benchmarks/foreign.py [--threads 2] [--repeats 9] [--batch-size 8] [--timesteps 4]

What is compared and how: `mpdviz.bench.foreign`.
"""

import argparse

import numba
import torch

from mpdviz.bench import foreign, timing

TARGETS = {"vgg": 1.5, "tiny": 2.5}


def main() -> None:
    """Print the tables, and each recorded time over the bare one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--timesteps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{timing.machine()}, numba {numba.__version__}; float32, medians of {options.repeats}")
    for size, target in TARGETS.items():
        for framework in foreign.FRAMEWORKS:
            rows = foreign.compare(
                framework,
                size,
                timesteps=options.timesteps,
                batch_size=options.batch_size,
                repeats=options.repeats,
            )
            print("\n".join(timing.lines(rows)))
            medians = {row.contender: row.median_ms for row in rows}
            print(f"recorded / bare {medians['recorded'] / medians['bare']:.2f}x (target {target}x)")


if __name__ == "__main__":
    main()
