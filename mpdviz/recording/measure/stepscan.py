"""One timestep's statistics in one pass over its potentials, compiled for the CPU by numba.

The same integers as `step.by_tensors`. The compiled code is kept on disk, so only the first recording on a
machine ever waits for it.
"""

from itertools import pairwise
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from mpdviz.accumulations.census import AVAILABLE, PAUSED, SPIKED
from mpdviz.accumulations.histogram import PER_UNIT
from mpdviz.recording.measure import compiled
from mpdviz.recording.measure import tally as entry
from mpdviz.recording.measure.step import Pending, Step, bound
from mpdviz.recording.measure.tally import Tally
from mpdviz.system.threads import divided

BLOCK = 512
PARALLEL = 1 << 17
"""Potentials from which a timestep is divided among threads: waking one costs as much as many potentials."""
FEW = 16
"""Timesteps up to which the runs that began at each are counted one after another: that is vectorised."""
_NO_RUNS: NDArray[np.int16] = np.zeros(0, np.int16)
_NO_COUNTS: NDArray[np.int64] = np.zeros(2, np.int64)


def readable(step: Step) -> bool:
    """Whether the derivative is one that is compiled here."""
    return step.function.form is not None and len(step.function.intervals) == 1


def in_one_pass(
    u: NDArray[Any],
    emitted: NDArray[Any],
    step: Step,
    seen: NDArray[np.uint8],
    pending: Pending | None,
    t: int,
    tally: Tally,
    offset: float,
    threads: int,
) -> int:
    """Count one timestep; arguments as of `step.by_tensors`, contiguous arrays in place of tensors.

    Args:
        u: see there.
        emitted: see there.
        step: see there.
        seen: see there.
        pending: see there.
        t: see there.
        tally: see there.
        offset: see there.
        threads: how many parts the work is divided into, where there is enough of it.
    """
    constants = step.kept.get(u.dtype)
    if constants is None:
        constants = step.kept[u.dtype] = _constants(step, u.dtype)
    first = _NO_RUNS if pending is None else pending.first.numpy()
    difference = _NO_COUNTS if pending is None else pending.room_for(t)
    follows = pending is not None
    count: Any = _count  # a compiled function has no signature to speak of
    if len(u) < PARALLEL or threads == 1:
        sums = tally.whole, tally.real, tally.cells, tally.what_if
        return int(count(u, emitted, *constants, offset, seen, first, difference, follows, t, *sums))

    def part(i: int) -> None:
        at, mine, reached, tally = parts[i]
        sums = tally.whole, tally.real, tally.cells, tally.what_if
        runs = first[at] if follows else first
        wrong[i] = count(u[at], emitted[at], *constants, offset, mine, runs, reached, follows, t, *sums)

    ends = pairwise(len(u) * i // threads for i in range(threads + 1))
    parts = [
        (slice(*at), np.zeros_like(seen), np.zeros_like(difference), Tally.empty(len(step.what_if)))
        for at in ends
    ]
    wrong = [0] * threads
    divided(part, threads)
    for at, mine, reached, own in parts:
        tally.add(own)
        # A neuron's byte may be another part's too: each has its own, from the neuron it starts at.
        seen |= np.roll(mine, at.start % len(seen)) if len(seen) else mine
        difference += reached
    return sum(wrong)


def _constants(step: Step, dtype: Any) -> tuple[Any, ...]:
    function, form = step.function, step.function.form
    assert form is not None
    kind = torch.float64 if dtype == np.float64 else torch.float32
    low, high = function.intervals[0]
    return (
        function.threshold,
        function.strict,
        function.height,
        bound(low, kind, up=False),
        bound(high, kind, up=True),
        np.array(step.what_if, dtype),
        step.shift,
        PER_UNIT / step.unit,
        (form.kind, form.top, form.scale, form.low, form.high),
        *function.finite,
        *step.carries,
    )


@numba.njit(nogil=True, cache=True)
def _count(
    u, emitted, threshold, strict, height, low, high, others, shift, scale, form, known_from, known_to,
    paused_carries, spiked_carries, offset, seen, first, difference, follows, t,
    sums_whole, sums_real, cells, what_if,
):  # fmt: skip
    kind, top, slope, rect_low, rect_high = form
    neurons = len(seen)
    nonfinite = available = above = spikes = mismatched = unknown = 0
    gain = 0.0
    total = sums_whole[entry.COUNT] - sums_whole[entry.NONFINITE]
    mean = sums_real[entry.MEAN] - offset if total else 0.0
    m2 = 0.0
    least, most = np.inf, -np.inf
    place = np.empty(BLOCK, np.int32)
    inside, fired, wrong = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8)
    outside, events = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8)
    derivatives = np.empty(BLOCK, np.float64)
    centre = u.dtype.type(threshold)
    level = emitted.dtype.type(height)
    for start in range(0, len(u), BLOCK):
        size = min(BLOCK, len(u) - start)
        row, out = u[start : start + size], emitted[start : start + size]
        for j in range(size):
            inside[j] = (row[j] > low) & (row[j] < high)
            fired[j] = (row[j] > centre) | ((row[j] == centre) & (not strict))
        for j in range(size):
            outside[j] = fired[j] & (inside[j] ^ 1)
            wrong[j] = out[j] != fired[j] * level
        within = compiled.ones(inside, size)
        available += within
        spikes += compiled.ones(fired, size)
        above += compiled.ones(outside, size)
        mismatched += compiled.ones(wrong, size)
        for w in range(len(others)):
            for j in range(size):
                what_if[w] += abs(row[j] - centre) < others[w]
        # Moments about the block's first potential, merged by Chan's update.
        origin = np.float64(row[0])
        sums, squares = compiled.sums(row, origin)
        whole = np.isfinite(squares)
        number = size
        if whole:
            lowest, highest = compiled.extremes(row)
        else:
            kept = row[np.isfinite(row)]
            number = len(kept)
            nonfinite += size - number
            above -= np.sum(row == np.inf)  # spikes, but in no share
            if number:
                origin = np.float64(kept[0])
                sums, squares = compiled.sums(kept, origin)
                lowest, highest = compiled.extremes(kept)
        if number:
            part = sums / number
            apart = origin + part - mean
            share = number / (total + number)
            mean += apart * share
            m2 += max(squares - sums * part, 0.0) + apart * apart * total * share
            total += number
            least = min(least, lowest)
            most = max(most, highest)
        compiled.places(row, shift, scale, place)
        for j in range(size):
            cells[place[j]] += 1
        if kind == 0:
            gain += top * compiled.within(row, threshold, rect_low, rect_high)
        else:
            gain += compiled.gain(row, threshold, kind, top, slope, derivatives)
        if not whole:
            for j in range(size):
                if not np.isfinite(row[j]):
                    cells[place[j]] -= 1
                    if not np.isnan(row[j]) and kind != 0:
                        gain -= compiled.h(np.float64(row[j]) - threshold, kind, top, slope)
        if known_from > -np.inf or known_to < np.inf:
            for j in range(size):
                if np.isfinite(row[j]) and not (row[j] > known_from and row[j] < known_to):
                    unknown += 1
                    gain -= compiled.h(np.float64(row[j]) - threshold, kind, top, slope)
        if follows:
            _follow(
                first[start : start + size],
                inside,
                fired,
                difference,
                t,
                paused_carries,
                spiked_carries,
                within,
            )
        if neurons:
            for j in range(size):
                events[j] = AVAILABLE * inside[j] | SPIKED * fired[j] | PAUSED * (1 - fired[j])
            compiled.mark(seen, start, events, size)
    sums_whole[entry.COUNT] += len(u)
    sums_whole[entry.NONFINITE] += nonfinite
    sums_whole[entry.AVAILABLE] += available
    sums_whole[entry.BELOW] += len(u) - nonfinite - available - above
    sums_whole[entry.ABOVE] += above
    sums_whole[entry.SPIKES] += spikes
    sums_whole[entry.GAIN_NONFINITE] += unknown
    sums_real[entry.GAIN] += gain
    sums_real[entry.MEAN] = mean + offset
    sums_real[entry.M2] += m2
    sums_real[entry.MIN] = min(sums_real[entry.MIN], least + offset)
    sums_real[entry.MAX] = max(sums_real[entry.MAX], most + offset)
    return mismatched


@numba.njit(nogil=True, cache=True)
def _follow(first, inside, fired, difference, t, paused_carries, spiked_carries, within):
    size = len(first)
    if t <= FEW:
        rest = within
        for begun in range(t):
            number = 0
            for j in range(size):
                number += (first[j] == begun) & inside[j]
            difference[begun] += number
            rest -= number
        difference[t] += rest
    else:
        for j in range(size):
            difference[first[j]] += inside[j]
    difference[t + 1] -= within
    ends_fired, ends_paused = np.uint8(not spiked_carries), np.uint8(not paused_carries)
    following = np.int16(t + 1)
    for j in range(size):
        lost = inside[j] | (fired[j] & ends_fired) | ((1 - fired[j]) & ends_paused)
        first[j] = following if lost else first[j]
