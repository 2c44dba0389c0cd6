"""The recurrences of `eager` compiled by torch.compile: one pass over memory each way.

The loop over timesteps is unrolled, so a block of neurons goes through all of them in registers: forward
reads the current and writes the spikes, backward reads the current and the spikes' gradient, recomputes
the potentials and writes the current's gradient. Nothing but the current is kept in between. Products and
sums are written, and compiled, as separate operations (no fused multiply-add), so spikes equal those of
`eager` bit for bit.

One pair of functions is compiled for each (T, dtype, surrogate, learned decay, potentials kept); sizes are
dynamic, so another batch size compiles nothing.
"""

import logging
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mpdviz.kernels.base import Job, Kernel, Scalar, flattened, potential_dtype
from mpdviz.surrogates import Surrogate
from mpdviz.system.caches import keep_compiled

# On a CPU torch would say, twice, that triton is missing, which is for GPUs.
logging.getLogger("torch._library.triton").setLevel(logging.ERROR)


class _Pair(NamedTuple):
    forward: Callable[..., Any]
    backward: Callable[..., Any]


@cache
def _compiled(timesteps: int, dtype: torch.dtype, surrogate: Surrogate, learned: bool, keep: bool) -> _Pair:
    _announce()

    def forward(current: Tensor, decay: Scalar, v_th: Tensor) -> tuple[Tensor, ...]:
        potentials, fired = _charge(current, decay, v_th, timesteps)
        spikes = torch.stack([s.to(dtype) for s in fired])
        return (spikes, torch.stack(potentials)) if keep else (spikes,)

    def backward(
        current: Tensor, grad_spikes: Tensor, decay: Scalar, v_th: Tensor, kappa: Tensor
    ) -> tuple[Tensor, ...]:
        potentials, fired = _charge(current, decay, v_th, timesteps)
        later: Tensor | None = None  # dL/dv(t+1)
        grads: list[Tensor] = []
        grad_decay: Tensor | None = None
        for t in range(timesteps - 1, -1, -1):
            v, paused = potentials[t], 1 - fired[t]
            h = surrogate.h(v - v_th[t], kappa[t])
            grad = grad_spikes[t].to(v.dtype)
            if later is not None:
                carried = later * decay
                kept = v * paused
                if learned:
                    step = later * kept
                    grad_decay = step if grad_decay is None else grad_decay + step
                later = (grad - carried * v) * h + carried * paused
            else:
                later = grad * h
            grads.append(later)
        grad_current = torch.stack([grad.to(dtype) for grad in reversed(grads)])
        return (grad_current,) if grad_decay is None else (grad_current, grad_decay.sum())

    name = f"lif_T{timesteps}_{str(dtype).removeprefix('torch.')}_{surrogate.name}_{learned}_{keep}"
    return _Pair(*(_compile(function, f"{name}_{function.__name__}") for function in (forward, backward)))


def _charge(
    current: Tensor, decay: Scalar, v_th: Tensor, timesteps: int
) -> tuple[list[Tensor], list[Tensor]]:
    dtype = potential_dtype(current)
    potentials: list[Tensor] = []
    fired: list[Tensor] = []
    carried: Tensor | None = None
    for t in range(timesteps):
        step = current[t].to(dtype)
        v = step if carried is None else carried + step
        s = (v >= v_th[t]).to(dtype)
        carried = v * decay * (1 - s)
        potentials.append(v)
        fired.append(s)
    return potentials, fired


def _compile(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    # The compiler counts recompilations by code object: each variant gets one of its own.
    assert isinstance(function, FunctionType)
    function.__code__ = function.__code__.replace(co_name=name.replace("-", "_"))
    return torch.compile(function, dynamic=True, fullgraph=True)


@cache
def _announce() -> None:
    print("mpdviz: compiling the neuron kernels, some seconds each", file=sys.stderr)


class MultiStepLIF(torch.autograd.Function):
    """Compiled `eager.MultiStepLIF` on flat currents `[T, M]`; the second output is None unless kept."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        decay: Scalar,
        v_th: Tensor,
        kappa: Tensor,
        surrogate: Surrogate,
        keep: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Spikes `[T, M]` and, if kept, the pre-reset potentials."""
        learned = isinstance(decay, Tensor) and decay.requires_grad
        pair = _compiled(len(current), current.dtype, surrogate, learned, keep)
        number = decay.detach() if isinstance(decay, Tensor) else decay
        spikes, *potentials = pair.forward(current.detach(), number, v_th)
        ctx.save_for_backward(current, v_th, kappa, *([decay] if isinstance(decay, Tensor) else []))
        ctx.decay, ctx.pair = number, pair
        ctx.set_materialize_grads(False)
        if potentials:
            ctx.mark_non_differentiable(potentials[0])
        return spikes, potentials[0] if potentials else None

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the current and a learned decay."""
        if grads[0] is None:
            return (None,) * 6
        current, v_th, kappa, *_ = ctx.saved_tensors
        grad_current, *rest = ctx.pair.backward(current.detach(), grads[0], ctx.decay, v_th, kappa)
        grad_decay = rest[0] if rest else None
        if grad_decay is None and ctx.needs_input_grad[1]:
            grad_decay = torch.zeros_like(ctx.decay)  # with one timestep the decay does nothing
        return grad_current, grad_decay, None, None, None, None


class Compiled(Kernel):
    """torch.compile on this machine's compiler: for hard resets, one shape and fixed widths."""

    meaning = "torch.compile, one pass over memory"
    can = frozenset({"other devices", "other types", "surrogates of no closed form"})

    def missing(self) -> str | None:
        """The compiler, or Python's header files."""
        return _missing()

    def run(self, job: Job) -> tuple[Tensor, Tensor | None]:
        """Spikes and, if kept, potentials, both in the current's memory layout."""
        current, keep = job.current, job.keep_potentials
        flat, restored = flattened(current)
        if job.needs_grad:
            spikes, potentials = MultiStepLIF.apply(  # type: ignore[no-untyped-call]
                flat, job.decay, job.v_th, job.kappa, job.shapes[0], keep
            )
        else:
            pair = _compiled(len(current), current.dtype, job.shapes[0], False, keep)
            spikes, *kept = pair.forward(flat, job.decay, job.v_th)
            potentials = kept[0] if kept else None
        return restored(spikes), None if potentials is None else restored(potentials)


COMPILED = Compiled()


@cache
def _missing() -> str | None:
    keep_compiled()
    if torch.cuda.is_available():
        return None if find_spec("triton") else "the package triton is not installed"
    compilers = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++", "c++"]
    if not any(shutil.which(compiler) for compiler in compilers):
        return f"no C++ compiler found ({', '.join(compilers)})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's header files are not installed"
    return None
