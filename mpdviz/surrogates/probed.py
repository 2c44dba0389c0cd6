"""Spike functions of anybody's, known by what they do: where they step, and what derivative autograd finds.

Nothing is taken from a name. The function is evaluated on a grid about its threshold, every end is bisected
to neighbouring floating-point numbers, and where the derivative has one of the known closed forms that form
is noted, since it can be summed faster than autograd can be asked.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mpdviz.surrogates.base import Surrogate
from mpdviz.surrogates.bisection import Interval, grid_about_zero, intervals_of, jumps, side
from mpdviz.surrogates.closed import FORMS, Form, fitted
from mpdviz.surrogates.steps import NotAStep, Probe, coarse_step, step

WIDE = (torch.float32, torch.float64)
"""Types that functions are probed in; of others only their steps are."""


@dataclass(frozen=True, eq=False)
class SpikeFunction:
    """A spike function as it behaves for one set of its other arguments."""

    threshold: float
    """Where it steps, in units of its argument."""
    strict: bool
    """Whether it is silent at the threshold itself."""
    height: float
    """Its value above."""
    intervals: tuple[Interval, ...]
    """Where its derivative is available, in units of its argument; both ends lie outside."""
    compact: bool
    """Whether the derivative is exactly zero outside."""
    top: float
    """Largest absolute derivative."""
    least: float
    """Smallest that counts as available; zero of a compact support, any that is not zero does."""
    finite: Interval
    """Where its derivative is a finite number."""
    form: Form | None
    """The derivative's closed form about the threshold, where it has one that is known."""
    name: str
    """Of that form, or of the function."""
    derivative: Probe
    """What autograd finds."""
    points: Tensor
    """A few arguments about the threshold."""
    values: Tensor
    """The derivative there, as it was when it was probed."""

    @property
    def kappa(self) -> float:
        """Full width where the derivative is a rectangle, else 1: nothing widens it."""
        if self.form is not None and self.form.kind == FORMS.index("rectangular"):
            return self.intervals[0][1] - self.intervals[0][0]
        return 1.0

    def is_still(self, spike: Probe) -> bool:
        """Whether `spike` does at a few points about the threshold what this function did."""
        out, values = _evaluated(spike, self.points)
        below, above = (out[:2] > self.height / 2).tolist()
        return above and not below and bool(torch.equal(values, self.values))

    def available(self, u: Tensor) -> Tensor:
        """Whether the derivative is available at arguments of any shape, each asked for."""
        size = self.derivative(u).abs()
        return size > 0 if self.compact else size >= self.least

    def at(self, u: Tensor) -> Tensor:
        """The derivative at arguments of any shape."""
        if self.form is not None:
            return self.form.h(u - self.threshold)
        return self.derivative(u)


def probe(spike: Probe, name: str, *, like: Tensor, epsilon: float) -> SpikeFunction:
    """Find out what `spike` does.

    Args:
        spike: the function of its potential alone, for arguments of any shape.
        name: what to call it where its derivative has no known form.
        like: a tensor of the dtype and device that it is used with.
        epsilon: share of max |h| from which the derivative counts as available, on an infinite support.

    Raises:
        NotAStep: it is no step of its argument, or has no derivative.
    """
    dtype = like.dtype if like.dtype in WIDE else torch.float32
    grid = grid_about_zero(dtype, like.device)
    threshold, strict, height = step(spike, grid)
    # Where it steps is its own affair: a constant is rounded to what it is compared with.
    if like.dtype not in WIDE:
        threshold, height = coarse_step(spike, grid.to(like.dtype), strict)

    def derivative(u: Tensor) -> Tensor:
        return derivative_of(spike, u)

    exact = torch.float64 if _takes_double(derivative, like.device) else dtype
    fine = grid_about_zero(exact, like.device) + threshold
    h = derivative(fine)
    finite = h.isfinite()
    if not bool(finite.any()) or not bool((h[finite] != 0).any()):
        raise NotAStep("its spike function has no derivative")
    fine = torch.cat([fine, jumps(derivative, fine, h)]).sort().values  # it may be largest where it begins
    h = derivative(fine)
    finite = h.isfinite()
    top = float(h[finite].abs().max())
    at_top = float(fine[finite][h[finite].abs().argmax()])
    compact = _is_compact(derivative, fine, h, at_top, top)
    least = 0.0 if compact else epsilon * top
    if compact:  # its own comparison, in its own precision
        fine = (grid + threshold).to(dtype)

    def available(u: Tensor) -> Tensor:
        size = derivative(u).abs()
        return size > 0 if compact else size >= least

    intervals = intervals_of(available, fine)
    if not intervals:
        raise NotAStep("its spike function has no derivative")
    # In the precision it is used in: where an exponential overflows depends on it.
    bounds = intervals_of(lambda u: derivative(u).isfinite(), grid + threshold)
    around = next(((low, high) for low, high in bounds if low < threshold < high), bounds[0])
    form = fitted(fine.double() - threshold, derivative(fine).double(), top, intervals[0], threshold)
    return SpikeFunction(
        threshold,
        strict,
        height,
        intervals,
        compact,
        top,
        least,
        around,
        form,
        name if form is None else FORMS[form.kind],
        derivative,
        points := _points(intervals, threshold, grid),
        derivative(points),
    )


def _points(intervals: tuple[Interval, ...], threshold: float, grid: Tensor) -> Tensor:
    """Just below and above the threshold, itself, and a few shares of the way to an interval's ends."""
    reach = [end - threshold for end in intervals[0] if np.isfinite(end)] or [1.0]
    at = grid.new_tensor(threshold)
    about = torch.stack([torch.nextafter(at, at - np.inf), torch.nextafter(at, at + np.inf)])
    shares = (0, 0.3, 0.7, 0.98, 1.02, 1.5)
    return torch.cat([about, grid.new_tensor([threshold + end * share for end in reach for share in shares])])


def derivative_of(spike: Probe, u: Tensor) -> Tensor:
    """The derivative that autograd finds for a function, at arguments of any shape; like `u`.

    Raises:
        NotAStep: it has none.
    """
    # A derivative that is drawn at random must not draw the network's numbers.
    with torch.random.fork_rng(devices=[]):
        return _evaluated(spike, u)[1]


def _evaluated(spike: Probe, u: Tensor) -> tuple[Tensor, Tensor]:
    """Value and derivative."""
    # Whoever keeps count of the tensors that a forward saves, as checkpointing does, gets none of these.
    saved = torch.autograd.graph.saved_tensors_hooks(_as_it_is, _as_it_is)
    with torch.inference_mode(False), torch.enable_grad(), saved:
        argument = u.detach().clone().requires_grad_()
        out = spike(argument)
        if not out.requires_grad:
            raise NotAStep("its spike function has no derivative")
        (gradient,) = torch.autograd.grad(out, argument, torch.ones_like(out), allow_unused=True)
    if gradient is None:
        raise NotAStep("its spike function has no derivative")
    return out.detach(), gradient.detach()


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _takes_double(derivative: Probe, device: torch.device) -> bool:
    try:
        return derivative(torch.zeros(3, dtype=torch.float64, device=device)).dtype == torch.float64
    except NotAStep:
        raise
    except Exception:  # whatever their code answers to another dtype
        return False


def _is_compact(derivative: Probe, grid: Tensor, h: Tensor, at_top: float, top: float) -> bool:
    """Whether h is zero from somewhere on, and not because an exponential has vanished in rounding."""
    on = (h != 0) & h.isfinite()
    if bool(on[0]) or bool(on[-1]) or not bool(h.isfinite().all()):
        return False
    inside = grid[on]
    for end in (float(inside[0]), float(inside[-1])):
        # The grid's last point inside may lie at the very edge: look a little further in.
        near = derivative(grid.new_tensor([at_top + (end - at_top) * 0.98])).abs()
        if float(near) < 1e-6 * top:
            return False
    return True


def shifted(function: SpikeFunction, by: float) -> SpikeFunction:
    """The same function of an argument that is larger by `by`."""
    return replace(
        function,
        threshold=function.threshold + by,
        intervals=tuple((low + by, high + by) for low, high in function.intervals),
        finite=(function.finite[0] + by, function.finite[1] + by),
        derivative=lambda u: function.derivative(u - by),
        points=function.points + by,
    )


def of_derivative(
    shape: Surrogate | None, *, like: Tensor, epsilon: float, strict: bool = False
) -> SpikeFunction:
    """A spike function of x = v - v_th with a derivative of ours; None: its derivative is not known.

    Args:
        shape: of the derivative.
        like: a tensor of the dtype and device that it is used with.
        epsilon: share of max |h| that bounds an infinite support.
        strict: whether it fires at x > 0, not at x >= 0.
    """
    nan = float("nan")
    if shape is None:
        unknown = Form(0, nan, 1.0, nan, nan)
        zero = like.new_zeros(1)
        return SpikeFunction(
            0.0,
            strict,
            1.0,
            ((nan, nan),),
            False,
            nan,
            nan,
            (-np.inf, np.inf),
            unknown,
            "",
            torch.zeros_like,
            zero,
            zero,
        )
    half = shape.half_width(epsilon)
    x = torch.from_numpy(np.concatenate([-side()[::-1], [0.0], side()]))
    top = float(shape.h(torch.zeros(1, dtype=torch.float64)))
    form = fitted(x, shape.h(x), top, (-half, half), 0.0)
    points = _points(((-half, half),), 0.0, like.new_zeros(1))
    least = 0.0 if shape.compact else epsilon * top
    return SpikeFunction(
        0.0,
        strict,
        1.0,
        ((-half, half),),
        shape.compact,
        top,
        least,
        (-np.inf, np.inf),
        form,
        shape.name,
        shape.h,
        points,
        shape.h(points),
    )
