"""The recurrences of `eager` as loops that numba compiles and keeps on disk.

A block of neurons goes through all timesteps while it lies in the cache: forward reads the current and
writes the spikes, backward reads the current and the spikes' gradient, computes the potentials again and
writes the current's gradient. Operations are those of `eager`, in its order and unfused, so spikes are equal
bit for bit, and so are gradients where no form but the rectangle is evaluated.

Arrays `[T, M]` are float32, float64 or, as uint16, the bits of bfloat16; potentials have the dtype of `v_th`.
"""

import numba
import numpy as np

from mpdviz.kernels.packed import fire, pack, read, unpack, write
from mpdviz.surrogates.vectorised import decayed

BLOCK = 1024
"""Neurons handled at a time: as many as fill a page of memory, all timesteps of which fit a core's cache."""


@numba.njit(nogil=True, cache=True)
def forward(current, v_th, half, decay, soft, spikes, potentials, below_bits, inside_bits, start, stop):
    """Run neurons `start` to `stop`.

    Args:
        current: `[T, M]`.
        v_th: `[T]`.
        half: half the rectangle's width `[T]`, for the bits.
        decay: share of the potential that is kept.
        soft: whether a spike subtracts the threshold, not resets to 0.
        spikes: `[T, M]`, written to.
        potentials: like it, or without rows: not wanted.
        below_bits: which lie below the threshold, eight to a byte `[T, M / 8]`, or without rows: not wanted.
        inside_bits: likewise, which lie inside the rectangle.
        start: a multiple of `BLOCK`.
        stop: one more, or M.
    """
    carried, v = np.empty(BLOCK, v_th.dtype), np.empty(BLOCK, v_th.dtype)
    below, inside = np.zeros(BLOCK, np.uint8), np.zeros(BLOCK, np.uint8)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        at, bits = slice(first, first + size), slice(first // 8, (first + size + 7) // 8)
        carried[:] = -0.0  # added to any number it leaves it as it is, zeros of either sign too
        for t in range(len(current)):
            if not (soft or len(potentials) or len(below_bits)):
                _run(current[t, at], v_th[t], decay, carried, spikes[t, at])
                continue
            row = potentials[t, at] if len(potentials) else v[:size]
            step(current[t, at], v_th[t], decay, soft, carried, row)
            _fire(row, v_th[t], spikes[t, at])
            if len(below_bits):
                for j in range(size):
                    below[j] = row[j] < v_th[t]
                    inside[j] = abs(row[j] - v_th[t]) < half[t]
                pack(below, below_bits[t, bits])
                pack(inside, inside_bits[t, bits])


@numba.njit(nogil=True, cache=True)
def step(entering, threshold, decay, soft, carried, potentials):
    """v(t) from what was carried, and what is carried on."""
    one, zero = carried.dtype.type(1.0), carried.dtype.type(0.0)
    if soft:
        for j in range(len(potentials)):
            v = carried[j] + read(entering, j)
            potentials[j] = v
            carried[j] = (v - threshold * (one if v >= threshold else zero)) * decay
    else:
        # Multiplied, not selected: an infinite potential turns to NaN, as in the equation.
        for j in range(len(potentials)):
            v = carried[j] + read(entering, j)
            potentials[j] = v
            carried[j] = v * decay * (one - (one if v >= threshold else zero))


@numba.njit(nogil=True, cache=True)
def _run(entering, threshold, decay, carried, spikes):
    """The commonest case of a timestep in one go: a hard reset, and nothing wanted but the spikes."""
    one, zero = carried.dtype.type(1.0), carried.dtype.type(0.0)
    for j in range(len(spikes)):
        v = carried[j] + read(entering, j)
        carried[j] = v * decay * (one - (one if v >= threshold else zero))
        fire(spikes, j, v >= threshold)


@numba.njit(nogil=True, cache=True)
def copy(entering, potentials):
    """Numbers of any type as those of the potentials'."""
    for j in range(len(potentials)):
        potentials[j] = read(entering, j)


@numba.njit(nogil=True, cache=True)
def _fire(potentials, threshold, spikes):
    for j in range(len(potentials)):
        fire(spikes, j, potentials[j] >= threshold)


@numba.njit(nogil=True, cache=True)
def backward(
    current, grad_spikes, v_th, decay, soft, detached, kinds, tops, scales, ends, grad_current, learned,
    grad_decay, widths, grad_kappa, start, stop,
):  # fmt: skip
    """The gradients of neurons `start` to `stop`; see `forward`.

    Args:
        current: `[T, M]`.
        grad_spikes: like it.
        v_th: `[T]`.
        decay: see `forward`.
        soft: see `forward`.
        detached: whether the reset's spike is a constant.
        kinds: `surrogates.closed.FORMS` of each timestep `[T]`.
        tops: their derivative at the threshold `[T]`.
        scales: what x is multiplied by `[T]`.
        ends: |x| from which on they are zero `[T]`.
        grad_current: like `current`, written to.
        learned: whether the decay's gradient is wanted.
        grad_decay: `[1]`, added to.
        widths: whether the widths' is.
        grad_kappa: the sum of dL/ds h x of each timestep `[T]`, added to.
        start: see `forward`.
        stop: see `forward`.
    """
    timesteps = len(current)
    dtype = v_th.dtype
    one, zero = dtype.type(1.0), dtype.type(0.0)
    potentials = np.empty((timesteps, BLOCK), dtype)
    later, carried, h, grad = (
        np.empty(BLOCK, dtype),
        np.empty(BLOCK, dtype),
        np.empty(BLOCK, dtype),
        np.empty(BLOCK, dtype),
    )
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        at = slice(first, first + size)
        carried[:] = -0.0
        for t in range(timesteps):
            step(current[t, at], v_th[t], decay, soft, carried, potentials[t, :size])
        for t in range(timesteps - 1, -1, -1):
            v, entering, out, threshold = (
                potentials[t, :size],
                grad_spikes[t, at],
                grad_current[t, at],
                v_th[t],
            )
            if learned and t + 1 < timesteps:
                grad_decay[0] += _kept(v, threshold, soft, later)
            if kinds[t] == 0 and not (soft or detached or widths) and t + 1 < timesteps:
                _through_rectangle(v, entering, threshold, tops[t], ends[t], decay, later, out)
                continue
            derivative(v, threshold, kinds[t], tops[t], scales[t], ends[t], h)
            if t + 1 == timesteps:
                for j in range(size):
                    grad[j] = h[j] * read(entering, j)
                    later[j] = grad[j]
                    write(out, j, later[j])
            else:
                if detached:
                    for j in range(size):
                        grad[j] = h[j] * read(entering, j)
                elif soft:
                    for j in range(size):
                        grad[j] = (read(entering, j) - later[j] * decay * threshold) * h[j]
                else:
                    for j in range(size):
                        grad[j] = (read(entering, j) - later[j] * decay * v[j]) * h[j]
                if soft:
                    for j in range(size):
                        later[j] = grad[j] + later[j] * decay
                        write(out, j, later[j])
                else:
                    for j in range(size):
                        later[j] = grad[j] + later[j] * decay * (one if v[j] < threshold else zero)
                        write(out, j, later[j])
            if widths:
                grad_kappa[t] += _moment(v, threshold, grad)


@numba.njit(nogil=True, cache=True)
def _through_rectangle(v, entering, threshold, top, end, decay, later, out):
    """The commonest case of a timestep's gradient in one go: a rectangle and a hard reset, not detached."""
    one, zero = v.dtype.type(1.0), v.dtype.type(0.0)
    for j in range(len(v)):
        x = v[j] - threshold
        carried = later[j] * decay
        bracket = read(entering, j) - carried * v[j]
        grad = bracket * (top if abs(x) < end else zero) + carried * (one if v[j] < threshold else zero)
        later[j] = grad
        write(out, j, grad)


@numba.njit(nogil=True, cache=True)
def backward_of_bits(
    below_bits, inside_bits, grad_spikes, v_th, tops, decay, soft, detached, grad_current, start, stop
):
    """The current's gradient where the surrogate is a rectangle and the reset soft or detached.

    Neither potentials nor current are needed, only which potentials lay below the threshold and which inside;
    see `backward`.
    """
    dtype = tops.dtype
    one, zero = dtype.type(1.0), dtype.type(0.0)
    later = np.empty(BLOCK, dtype)
    below, inside = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        at, bits = slice(first, first + size), slice(first // 8, (first + size + 7) // 8)
        for t in range(len(grad_spikes) - 1, -1, -1):
            entering, out, top, threshold = grad_spikes[t, at], grad_current[t, at], tops[t], v_th[t]
            unpack(inside_bits[t, bits], inside)
            if t + 1 == len(grad_spikes):
                for j in range(size):
                    later[j] = (top if inside[j] else zero) * read(entering, j)
                    write(out, j, later[j])
            elif not soft:
                unpack(below_bits[t, bits], below)
                for j in range(size):
                    carried = later[j] * decay * (one if below[j] else zero)
                    later[j] = (top if inside[j] else zero) * read(entering, j) + carried
                    write(out, j, later[j])
            elif detached:
                for j in range(size):
                    later[j] = (top if inside[j] else zero) * read(entering, j) + later[j] * decay
                    write(out, j, later[j])
            else:
                for j in range(size):
                    carried = later[j] * decay
                    bracket = read(entering, j) - carried * threshold
                    later[j] = bracket * (top if inside[j] else zero) + carried
                    write(out, j, later[j])


@numba.njit(nogil=True, cache=True)
def derivative(v, threshold, kind, top, scale, end, out):
    """A closed form's derivative at `v`, of its precision; zero from |v - v_th| = `end` on."""
    one, zero, four = v.dtype.type(1.0), v.dtype.type(0.0), v.dtype.type(4.0)
    if kind == 0:
        for j in range(len(v)):
            out[j] = top if abs(v[j] - threshold) < end else zero
    elif kind == 1:
        for j in range(len(v)):
            z = one - abs(v[j] - threshold) * scale
            out[j] = top * (zero if z < zero else z)
    elif kind == 2:
        for j in range(len(v)):
            z = (v[j] - threshold) * scale
            out[j] = top / (one + z * z)
    elif kind == 3:
        for j in range(len(v)):
            x = abs(v[j] - threshold)
            e = v.dtype.type(decayed(np.float64(x * scale)))
            h = top * (four * e / ((one + e) * (one + e)))
            out[j] = zero if x >= end else h
    else:
        for j in range(len(v)):
            z = one + abs(v[j] - threshold) * scale
            out[j] = top / (z * z)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def _kept(v, threshold, soft, later):
    """What the decay's gradient gains: the sum of dL/dv(t + 1) times what was carried on of v(t).

    Of a block in the potentials' precision, where a vector adds lane by lane; blocks add up in float64.
    """
    one, zero = v.dtype.type(1.0), v.dtype.type(0.0)
    total = zero
    if soft:
        for j in range(len(v)):
            total += later[j] * (v[j] - (threshold if v[j] >= threshold else zero))
    else:
        for j in range(len(v)):  # multiplied, see `step`
            total += later[j] * (v[j] * (one if v[j] < threshold else zero))
    return total


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def _moment(v, threshold, grad):
    total = v.dtype.type(0.0)
    for j in range(len(v)):
        total += grad[j] * (v[j] - threshold)
    return total
