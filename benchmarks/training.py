"""Training: what the data pipeline makes against what a network takes, and a step of the paper's recipes.

    python benchmarks/training.py [--device cpu] [--threads 2] [--repeats 7] [--recipes] [--ranks] [--full]

Ratios of the first table say how many times as many samples a second the pipeline makes as the slim network
trains on (`--full`: as the full one does). `--recipes` times steps of the full networks (a minute or two) and
reckons an epoch from them; `--ranks` trains the slim network by one process with 2 threads and by two with
one each.
"""

import argparse
import statistics
from functools import partial

import torch

from mpdviz import networks
from mpdviz.bench import pipeline, ranks, timing
from mpdviz.bench.networks import Step, batch
from mpdviz.kernels import backends
from mpdviz.system.memory import keep_large_buffers

RECIPES = {"cifar10": ("resnet19", 2, 32, 45_000), "cifar10-dvs": ("vggsnn", 10, 48, 8_100)}
"""Network, timesteps, side of the image, training samples."""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="data pipeline and training steps")
    parser.add_argument("--device", type=torch.device, default=timing.CPU, help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--recipes", action="store_true", help="also steps of the full networks")
    parser.add_argument("--full", action="store_true", help="the pipeline against the full networks")
    parser.add_argument("--ranks", action="store_true", help="also two processes against one")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{timing.machine(arguments.device)}; batches of {pipeline.BATCH}, medians of {arguments.repeats}")
    measured = partial(
        pipeline.compare, repeats=arguments.repeats, device=arguments.device, slim=not arguments.full
    )
    rows = measured("32x32 images", "resnet19", pipeline.images())
    rows += measured("10 frames 48x48", "vggsnn", pipeline.recordings())
    print("\n".join(timing.lines(rows)))
    if arguments.recipes:
        keep_large_buffers()
        for name in RECIPES:
            _recipe(name, arguments.device)
    if arguments.ranks:
        print("\n".join(timing.lines(ranks.compare(arguments.repeats))))


def _recipe(name: str, device: torch.device) -> None:
    network, timesteps, side, samples = RECIPES[name]
    made = networks.build(network, timesteps=timesteps, num_classes=10).to(device).channels_last()
    x, y = batch(made, pipeline.BATCH, side, frames=network == "vggsnn")
    step = Step(made, x, y, backends.best(x.device.type))
    step()
    seconds = statistics.median(timing.alternate({"step": partial(step)}, 3, device=device)["step"]) / 1e3
    hours = seconds * (samples // pipeline.BATCH) / 3600
    print(f"recipe {name}: {seconds:.3g} s a step (median of 3), so {hours:.2g} h an epoch, reckoned")


if __name__ == "__main__":
    main()
