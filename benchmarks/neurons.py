"""LIF forward + backward: mpdviz against a plain autograd loop, SpikingJelly, snnTorch and a copy.

    python benchmarks/neurons.py [--device cpu] [--threads 2] [--repeats 7] [--timesteps 2 4 10]
        [--shape 16 128 32 32] [--variants]

What is compared and how: `mpdviz.bench.neurons`. The other frameworks join where they are installed.
"""

import argparse

import torch

from mpdviz.bench import neurons, timing
from mpdviz.kernels import backends


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="LIF forward + backward, side by side")
    parser.add_argument("--device", type=torch.device, default=timing.CPU, help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each (default 7)")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[2, 4, 10])
    parser.add_argument(
        "--shape", type=int, nargs="+", help="sizes after T (default 16 128 32 32, batch 8 where T > 4)"
    )
    parser.add_argument("--variants", action="store_true", help="also PLIF, bfloat16 (CPU)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{timing.machine(arguments.device)}; float32, medians of {arguments.repeats}")
    shapes = [
        (timesteps, *(arguments.shape or (16 if timesteps <= 4 else 8, 128, 32, 32)))
        for timesteps in arguments.timesteps
    ]
    print("\n".join(timing.lines(neurons.compare(shapes, arguments.repeats, arguments.device))))
    if arguments.variants:
        print("forward + backward, buffers kept: ms (share of the copy's bandwidth)")
        headings = ["neuron", "dtype", "T", *backends.usable(), "copy"]
        print("\n".join(timing.aligned(headings, neurons.variants(shapes, arguments.repeats))))


if __name__ == "__main__":
    main()
