"""A training step of full networks: mpdviz against the same network of plain loops and batch norm by hand.

    python benchmarks/networks.py [--device cpu] [--threads 2] [--repeats 5] [--bf16] [--only vggsnn]
        [--batch-size 4] [--slim] [--memory]

What is compared and how: `mpdviz.bench.networks`. After each table, on a CPU, where the time of the
fastest float32 build goes.
"""

import argparse

import torch

from mpdviz.bench import networks, timing
from mpdviz.bench.pipeline import SLIM
from mpdviz.kernels import backends

CASES = {"vggsnn": (10, 4, 48), "resnet19": (2, 8, 32)}
"""Timesteps, batch size, side of the image."""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="a training step, side by side")
    parser.add_argument("--device", type=torch.device, default=timing.CPU, help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="timed steps of each (default 5)")
    parser.add_argument("--bf16", action="store_true", help="also under bfloat16 autocast")
    parser.add_argument("--memory", action="store_true", help="also the peak memory of a step (CPU)")
    parser.add_argument("--only", choices=list(CASES), help="one network")
    parser.add_argument("--batch-size", type=int, help="default: 4 of vggsnn, 8 of resnet19")
    parser.add_argument("--slim", action="store_true", help="the pipeline benchmark's networks, not the full")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{timing.machine(arguments.device)}; medians of {arguments.repeats}")
    for name in [arguments.only] if arguments.only else CASES:
        timesteps, batch_size, side = CASES[name]
        batch_size = arguments.batch_size or batch_size
        options = SLIM[name] if arguments.slim else {}
        contenders = networks.steps(
            name, timesteps, batch_size, side, bf16=arguments.bf16, device=arguments.device, **options
        )
        case = f"{name} T={timesteps} batch {batch_size}"
        table, losses = networks.compare(case, contenders, arguments.repeats)
        print("\n".join(timing.lines(table)))
        print("first losses: " + ", ".join(f"{key} {loss:.4f}" for key, loss in losses.items()))
        if arguments.device.type != "cpu":
            continue
        shares = networks.profile(contenders[backends.best()])
        print("time goes to: " + ", ".join(f"{kind} {share:.1%}" for kind, share in shares))
        if arguments.memory:
            del contenders
            print("MB at the most above what is resident before a step, each in a process of its own:")
            for contender, most in networks.peaks(name, timesteps, batch_size, side).items():
                print(f"  {contender:<24} {most:>8.1f}")


if __name__ == "__main__":
    main()
