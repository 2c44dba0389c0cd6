"""One small network trained and watched by mpdviz, SpikingJelly, snnTorch and Norse, each by itself.

    python benchmarks/peers.py [--threads 2] [--data digits] [--data-dir DIR] [--images N] [--kept]
        [--epochs 3] [--processes 3] [--repeats 15] [--batch-size 64] [--timesteps 4]

The network, and how each framework is set to the same equations: `mpdviz.bench.same`. Every measurement is in
a process of its own, and processes take turns. Training: one epoch from the same weights on the same batches,
whose time includes what is imported and compiled on the way ("first"), then the test accuracy, then
`--epochs` more, whose seconds are the times. `--kept`: large buffers are kept by all alike, as by `mpdviz
train`. Memory: the most that is resident above what is resident before training, over ten steps after a
warm-up, where freed memory goes back to the system at once.

Watching: a forward in evaluation mode, bare, with potentials kept as one does with that framework, and
recorded by mpdviz; and memory after 10 and 1,000 batches of 8 images of 8x8.
"""

import argparse
import statistics
from importlib.metadata import version

import torch

from mpdviz.bench import epochs, same, timing
from mpdviz.bench.apart import apart

TOLERANCE = 0.02
"""Relative difference of first losses: rounding flips a spike here and there."""
FEW, MANY = 10, 1000


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="the same network in four frameworks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default="digits", help="images, as of `mpdviz list data`")
    parser.add_argument("--data-dir", help="folder of their files")
    parser.add_argument("--images", type=int, default=5000, help="of each split, at most (default 5000)")
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3, help="timed in each process (default 3)")
    parser.add_argument("--processes", type=int, default=3, help="of each measurement (default 3)")
    parser.add_argument("--repeats", type=int, default=15, help="watched forwards of each (default 15)")
    parser.add_argument("--kept", action="store_true", help="keep large buffers while training")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    task = epochs.Task(
        arguments.data, arguments.data_dir, arguments.images, arguments.timesteps, arguments.batch_size
    )
    absent = same.missing()
    packages = [package for name, (package, _) in same.PEERS.items() if name not in absent]
    print(f"{timing.machine()}; {', '.join(f'{package} {version(package)}' for package in packages)}")
    for name in absent:
        print(f"{name} is not installed, and left out")
    dataset = task.load()
    sizes = task.sizes(dataset)
    _train(arguments, task, sizes, min(task.images, len(dataset.train)))
    _watch(arguments, sizes, absent)


def _train(arguments: argparse.Namespace, task: epochs.Task, sizes: same.Sizes, images: int) -> None:
    contenders = epochs.contenders()
    done: dict[str, list[epochs.Trained]] = {name: [] for name in contenders}
    peaks: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(arguments.processes):
        for name, contender in contenders.items():
            done[name].append(apart(epochs.train, contender, task, arguments.epochs, arguments.kept))
            peaks[name].append(apart(epochs.peak, contender, task, returned=True))
    losses = {name: of[0]["first_loss"] for name, of in done.items()}
    reference = next(iter(losses))
    for name, loss in losses.items():
        assert abs(loss / losses[reference] - 1) < TOLERANCE, f"{name} starts from another loss: {losses}"
    seconds = {name: [second for one in of for second in one["seconds"]] for name, of in done.items()}
    base = statistics.median(seconds[reference])
    rows = [
        (
            name,
            f"{statistics.median(seconds[name]):.2f}",
            f"{min(seconds[name]):.2f}",
            f"{max(seconds[name]):.2f}",
            f"{base / statistics.median(seconds[name]):.2f}x",
            f"{statistics.median(one['first'] for one in of):.1f}",
            f"{statistics.median(peaks[name]):.0f}",
            f"{of[0]['first_loss']:.6f}",
            f"{100 * of[0]['accuracy']:.1f} %",
        )
        for name, of in done.items()
    ]
    kept = ", large buffers kept" if arguments.kept else ""
    shape = f"{sizes.in_channels}x{sizes.side}x{sizes.side}"
    print(
        f"training on {images} images of {task.data}, {shape}, T={sizes.timesteps}, batches of "
        f"{task.batch_size}{kept}; seconds an epoch, n = {arguments.processes} processes x "
        f"{arguments.epochs} epochs, the first of each apart; seed 0"
    )
    headings = ("", "median s", "fastest", "slowest", "ratio", "first s", "peak MB", "first loss", "accuracy")
    print("\n".join(timing.aligned(headings, rows)))


def _watch(arguments: argparse.Namespace, sizes: same.Sizes, absent: list[str]) -> None:
    rows = []
    for name in same.PEERS:
        if name in absent:
            continue
        times: dict[str, list[float]] = {}
        for _ in range(arguments.processes):
            found = apart(epochs.watched_times, name, sizes, arguments.batch_size, arguments.repeats)
            for way, ms in found.items():
                times.setdefault(way, []).extend(ms)
        medians = {way: statistics.median(ms) for way, ms in times.items()}
        for way, median in medians.items():
            memory = [
                statistics.median(
                    apart(epochs.watched_peak, name, way, batches, returned=True)
                    for _ in range(arguments.processes)
                )
                for batches in (FEW, MANY)
            ]
            rows.append(
                (
                    name if way == "bare" else "",
                    way,
                    f"{median:.2f}",
                    f"{min(times[way]):.2f}",
                    f"{max(times[way]):.2f}",
                    f"{median / medians['bare']:.2f}x",
                    *(f"{mb:.1f}" for mb in memory),
                )
            )
    print(
        f"a forward in evaluation mode, batches of {arguments.batch_size}, n = {arguments.processes} "
        f"processes x {arguments.repeats}; cost / bare; peak MB over batches of {epochs.WATCHED_BATCH} "
        "images of 8x8"
    )
    headings = (
        "",
        "potentials",
        "median ms",
        "fastest",
        "slowest",
        "cost",
        f"{FEW} batches",
        f"{MANY:,} batches",
    )
    print("\n".join(timing.aligned(headings, rows)))


if __name__ == "__main__":
    main()
