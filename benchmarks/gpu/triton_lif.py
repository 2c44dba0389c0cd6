"""The multi-step LIF neuron in Triton: checked against the definition, then timed against `compiled`.

    python benchmarks/gpu/triton_lif.py [--check] [--repeats 20] [--timesteps 2 4 10] [--shape 64 128 32 32]

Without a CUDA device Triton's interpreter runs the kernels by NumPy: the checks hold all the same, the times
mean nothing and want a tiny shape. The kernels, which no CUDA device has run yet, are in `triton_kernels`.
"""

import argparse
import itertools
import os
from functools import partial

import torch
from torch import Tensor

from mpdviz import kernels, surrogates
from mpdviz.bench import timing
from mpdviz.bench.neurons import forward_backward
from mpdviz.kernels import RESETS, Reset, backends
from mpdviz.surrogates import Surrogate

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when kernels are defined
import triton
from triton_kernels import SHAPES
from triton_neuron import Plan, triton_lif

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DECAY = 0.2
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float64: 1e-12}
"""Of gradients, relative and absolute: exponentials differ in the last digits; bfloat16 has eight bits."""
TUNED = tuple(itertools.product((32, 64, 128, 256), (2, 4, 8)))
"""Rows of 16 neurons a program, and its warps."""


# Checks. --------------------------------------------------------------------------------------------------


def check_all(sizes: tuple[int, ...], lengths: tuple[int, ...]) -> int:
    """Every shape with every reset, T in `lengths`, learned decays, then other dtypes; the number of cases.

    Raises:
        AssertionError: see `check`.
    """
    cases = 0
    for shape, reset, learned in itertools.product(SHAPES, RESETS.values(), (False, True)):
        for timesteps, size in zip(lengths, itertools.cycle(sizes), strict=False):
            check(shape, reset, learned, timesteps, size, torch.float32)
            cases += 1
    dtypes = (torch.bfloat16, torch.float64)
    for dtype, shape, reset in itertools.product(dtypes, ("rectangular", "sigmoid"), RESETS.values()):
        check(shape, reset, False, 4, sizes[0], dtype)
        cases += 1
    return cases


def check(shape: str, reset: Reset, learned: bool, timesteps: int, size: int, dtype: torch.dtype) -> None:
    """One case, with thresholds and widths by timestep; an infinite and an undefined current where it can.

    Raises:
        AssertionError: a spike, potential or count differs from the definition's in a bit, or a gradient:
            of the rectangle in a bit, of another shape or the decay by more than rounding.
    """
    case = f"{shape}, {reset.name}, learned {learned}, T={timesteps}, {size} neurons, {dtype}"
    generator = torch.Generator().manual_seed(timesteps)
    current, grad = (torch.randn(timesteps, size, generator=generator).to(DEVICE, dtype) for _ in range(2))
    if not learned:  # a decay's gradient would be undefined as a whole
        current[0, :2] = torch.tensor([float("inf"), float("nan")])
    wide = torch.promote_types(dtype, torch.float32)
    step = torch.arange(timesteps, dtype=wide, device=DEVICE)
    # Eighths, which bfloat16 holds: the definition rounds a soft reset's threshold to the spikes' dtype.
    v_th, kappa = 0.5 + step / 8, 1 + 0.3 * step
    surrogate = surrogates.get(shape)
    halves = kappa * surrogate.half_width()
    decays = [torch.tensor(DECAY, dtype=wide, device=DEVICE, requires_grad=learned) for _ in range(2)]
    leaves = [current.clone().requires_grad_() for _ in range(2)]
    with backends.using("eager"):
        expected, v = kernels.multistep_lif(
            leaves[0], decays[0], v_th, kappa, surrogate, reset=reset, keep_potentials=True
        )
    plan = Plan(surrogate, reset, keep=True)
    spikes, potentials, counts = triton_lif(leaves[1], decays[1], v_th, kappa, plan, halves)
    assert v is not None
    _same(case, "spikes", spikes, expected)
    _same(case, "potentials", potentials, v)
    _same(case, "counts", counts, counted(v, v_th, halves))
    expected.backward(grad)
    spikes.backward(grad)
    # The interpreter cuts a bfloat16 off where a device rounds it.
    exact = shape == "rectangular" and not (DEVICE.type == "cpu" and dtype == torch.bfloat16)
    _same(case, "gradients", leaves[1].grad, leaves[0].grad, 0 if exact else CLOSE[dtype])
    if learned:
        # With one timestep a decay does nothing; the definition's sum goes another way round.
        _same(case, "gradient of the decay", decays[1].grad, decays[0].grad, 1e-4)


def _same(case: str, what: str, mine: Tensor | None, theirs: Tensor | None, close: float = 0) -> None:
    def told(message: str) -> str:
        return f"{case}: other {what}: {message}"

    torch.testing.assert_close(mine, theirs, rtol=close, atol=close, equal_nan=True, msg=told)


def counted(v: Tensor, v_th: Tensor, halves: Tensor) -> Tensor:
    """Finite potentials `[T, M]` below, in and above the available interval, `[T, 3]`."""
    x = v - v_th[:, None]
    available = x.abs() < halves[:, None]
    outside = v.isfinite() & ~available
    return torch.stack([(outside & (x < 0)).sum(1), available.sum(1), (outside & (x >= 0)).sum(1)], 1)


# Times. ---------------------------------------------------------------------------------------------------


def measure(shape: tuple[int, ...], dtype: torch.dtype, repeats: int) -> list[timing.Row]:
    """Forward and backward of each case by each contender; all ratios are to the definition's."""
    torch.manual_seed(0)
    current, grad = (torch.randn(*shape, device=DEVICE).to(dtype) for _ in range(2))
    kept = {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]
    table: list[timing.Row] = []
    for name, reset in (("rectangular", "hard"), ("rectangular", "hard-detached"), ("atan", "hard")):
        surrogate, kind = surrogates.get(name), RESETS[reset]
        runs: timing.Contenders = {}
        # One variant compiled: each takes some seconds, and what they do differs little.
        compiled = (name, reset, dtype) == ("rectangular", "hard", torch.float32)
        for on in ("eager", "compiled") if compiled and "compiled" in backends.usable("cuda") else ("eager",):
            runs[on] = partial(forward_backward, partial(_ours, on, surrogate, kind), current, grad)
        runs["triton"] = partial(forward_backward, partial(_trial, Plan(surrogate, kind)), current, grad)
        times = timing.alternate(_warm(runs), repeats, device=DEVICE)
        table += timing.rows(f"{name}, {reset}, {kept}", times, times["eager"])
    source = torch.zeros(5 * current.numel() // 2, device=DEVICE, dtype=dtype)
    copies = timing.alternate(
        _warm({"copy": partial(torch.zeros_like(source).copy_, source)}), repeats, device=DEVICE
    )
    return table + timing.rows(f"the least bytes, {kept}", copies, copies["copy"])


def measure_counts(shape: tuple[int, ...], repeats: int) -> list[timing.Row]:
    """Forward alone, and forward with the counts."""
    current = torch.randn(*shape, device=DEVICE)
    v_th, kappa = current.new_full((shape[0],), 0.5), current.new_ones(shape[0])
    plan, halves = Plan(surrogates.get("rectangular"), Reset()), kappa / 2

    def eager() -> Tensor:
        _, v = kernels.multistep_lif(current, DECAY, v_th, kappa, plan.surrogate, keep_potentials=True)
        assert v is not None
        return counted(v.flatten(1), v_th, halves)

    runs: timing.Contenders = {
        "eager, counted": eager,
        "triton": partial(triton_lif, current, DECAY, v_th, kappa, plan),
        "triton, counts": partial(triton_lif, current, DECAY, v_th, kappa, plan, halves),
    }
    times = timing.alternate(_warm(runs), repeats, device=DEVICE)
    return timing.rows(f"forward, T={shape[0]}", times, times["eager, counted"])


def compiled_spikes(shape: tuple[int, ...]) -> str:
    """How many of the compiled backend's spikes are not the definition's: products may be fused here."""
    torch.manual_seed(0)
    current = torch.randn(*shape, device=DEVICE)
    theirs, ours = (
        _ours(on, surrogates.get("rectangular"), Reset(), current) for on in ("compiled", "eager")
    )
    return f"compiled: {int((theirs != ours).sum()):,} of {ours.numel():,} spikes are others"


def measure_memory(shape: tuple[int, ...]) -> list[str]:
    """What a forward pass leaves allocated besides the current and the spikes, in bytes a neuron and step."""
    current = torch.randn(*shape, device=DEVICE, requires_grad=True)
    said = []
    for reset in ("hard", "hard-detached"):
        surrogate, kind = surrogates.get("rectangular"), RESETS[reset]
        for name, run in (
            ("eager", partial(_ours, "eager", surrogate, kind)),
            ("triton", partial(_trial, Plan(surrogate, kind))),
        ):
            before = torch.cuda.memory_allocated()
            spikes = run(current)
            more = torch.cuda.memory_allocated() - before - spikes.nbytes
            said.append(f"{name}, {reset}: {more / current.numel():.2f}")
            del spikes
    return said


def tune(shape: tuple[int, ...], repeats: int) -> list[timing.Row]:
    """Forward and backward by rows and warps, saving bits; ratios are to the first."""
    current, grad = (torch.randn(*shape, device=DEVICE) for _ in range(2))
    runs: timing.Contenders = {}
    for rows, warps in TUNED:
        plan = Plan(surrogates.get("rectangular"), Reset(detached=True), rows=rows, warps=warps)
        runs[f"{rows} x {warps}"] = partial(forward_backward, partial(_trial, plan), current, grad)
    times = timing.alternate(_warm(runs), repeats, device=DEVICE)
    return timing.rows(f"rows x warps, T={shape[0]}", times, next(iter(times.values())))


def _warm(runs: timing.Contenders) -> timing.Contenders:
    for run in runs.values():
        run()
        run()
    return runs


def _ours(on: str, surrogate: Surrogate, reset: Reset, current: Tensor) -> Tensor:
    with backends.using(on):
        return kernels.multistep_lif(current, DECAY, 0.5, 1.0, surrogate, reset=reset)[0]


def _trial(plan: Plan, current: Tensor) -> Tensor:
    v_th, kappa = (current.new_full((len(current),), x, dtype=torch.float32) for x in (0.5, 1.0))
    return triton_lif(current, DECAY, v_th, kappa, plan)[0]


def main() -> None:
    """Parse, check, measure, print."""
    parser = argparse.ArgumentParser(description="a trial kernel in Triton against ours")
    parser.add_argument("--check", action="store_true", help="stop after the checks")
    parser.add_argument("--repeats", type=int, default=20, help="timed runs of each (default 20)")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[2, 4, 10])
    parser.add_argument("--shape", type=int, nargs="+", default=[64, 128, 32, 32], help="sizes after T")
    arguments = parser.parse_args()
    ran = "on the device" if DEVICE.type == "cuda" else "by Triton's interpreter, on no device"
    print(f"{timing.machine(DEVICE)}; triton {triton.__version__}, {ran}", flush=True)
    # Ragged and whole blocks. A device compiles every case, half a second each: one length does there.
    cases = check_all((1003, 4096, 2050), (3,) if DEVICE.type == "cuda" else (1, 2, 5))
    print(f"{cases} cases agree with the definition", flush=True)
    if DEVICE.type == "cuda" and "compiled" in backends.usable("cuda"):
        print(compiled_spikes((4, *arguments.shape)), flush=True)
    if arguments.check:
        return
    for timesteps in arguments.timesteps:
        shape = (timesteps, *arguments.shape)
        print(f"T={timesteps}, {'x'.join(map(str, arguments.shape))}, medians of {arguments.repeats}")
        for dtype in (torch.float32, torch.bfloat16):
            print("\n".join(timing.lines(measure(shape, dtype, arguments.repeats))), flush=True)
        print("\n".join(timing.lines(measure_counts(shape, arguments.repeats))), flush=True)
        if DEVICE.type == "cuda":
            print("bytes a neuron and step besides current and spikes: " + "; ".join(measure_memory(shape)))
    print("\n".join(timing.lines(tune(shape, arguments.repeats))), flush=True)


if __name__ == "__main__":
    main()
