"""A timestep counted by tensor operations and in a compiled pass, against NumPy and the recursion."""

import numpy as np
import pytest
import torch

from mpdviz import surrogates
from mpdviz.accumulations.histogram import CELLS, EDGES
from mpdviz.recording.measure import stepscan
from mpdviz.recording.measure.step import Pending, Step, by_tensors
from mpdviz.recording.measure.tally import REAL, WHOLE, Tally
from mpdviz.surrogates.probed import of_derivative, shifted

SHAPES = ("rectangular", "triangular", "atan", "sigmoid", "fast-sigmoid")
V_TH, UNIT, NEURONS, SAMPLES, T = 0.75, 0.5, 96, 20, 5


def by_scan(u, emitted, step, seen, pending, t, tally, offset=0.0):
    arrays = u.numpy(), emitted.numpy(), step, seen.numpy()
    return stepscan.in_one_pass(*arrays, pending, t, tally, offset, 2)


def potentials(dtype, t):
    u = torch.randn(SAMPLES * NEURONS, generator=torch.Generator().manual_seed(t), dtype=torch.float64) * 1.5
    u[::50] = V_TH  # exactly at the threshold
    u[1], u[2], u[3] = float("nan"), float("inf"), -float("inf")
    return u.to(dtype)


@pytest.mark.parametrize("parallel", [1, 1 << 30], ids=["divided", "whole"])
@pytest.mark.parametrize("carries", [(True, False), (True, True), (False, False)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("strict", "offset"), [(False, 0.0), (True, 1.5)], ids=[">=", ">, shown larger"])
def test_both_ways_count_what_numpy_counts(monkeypatch, strict, offset, name, dtype, carries, parallel):
    monkeypatch.setattr(stepscan, "PARALLEL", parallel)
    shape = surrogates.get(name)
    like = torch.zeros(1, dtype=dtype)
    function = shifted(of_derivative(shape, like=like, epsilon=0.1, strict=strict), V_TH)
    step = Step(function, UNIT, (0.25, 1.0), carries)
    half = shape.half_width(0.1)
    ways = {
        way: (
            Pending(torch.zeros(SAMPLES * NEURONS, dtype=torch.int16)),
            torch.zeros(NEURONS, dtype=torch.uint8),
        )
        for way in (by_tensors, by_scan)
    }
    tallies = {way: Tally.empty(2) for way in ways}  # of all timesteps together, to see them merged
    history, seen_so_far = [], []
    for t in range(T):
        u = potentials(dtype, t)
        fired = u > V_TH if strict else u >= V_TH
        seen_so_far.append((u, fired))
        all_u, all_fired = (torch.cat(parts) for parts in zip(*seen_so_far, strict=True))
        x = all_u.double().numpy() - V_TH
        finite, spikes = np.isfinite(x), all_fired.numpy()
        inside = np.abs(x) < half
        history.append((inside[-len(u) :], spikes[-len(u) :]))
        kept = all_u.double().numpy()[finite]
        for way, (pending, seen) in ways.items():
            tally = tallies[way]
            assert way(u, fired.to(dtype), step, seen, pending, t, tally, offset) == 0
            whole = dict(zip(WHOLE, tally.whole, strict=True))
            real = dict(zip(REAL, tally.real, strict=True))
            assert (whole["count"], whole["nonfinite"]) == (len(all_u), 3 * (t + 1))
            assert whole["available"] == inside.sum()
            assert whole["spikes"] == spikes.sum()
            assert whole["below"] == (finite & ~inside & ~spikes).sum()
            assert whole["above"] == (finite & ~inside & spikes).sum()
            assert tally.what_if.tolist() == [(np.abs(x) < other).sum() for other in step.what_if]
            assert real["mean"] == pytest.approx(kept.mean() + offset, abs=1e-12)
            assert real["m2"] == pytest.approx(((kept - kept.mean()) ** 2).sum(), rel=1e-12)
            assert (real["min"], real["max"]) == (kept.min() + offset, kept.max() + offset)
            h = shape.h(torch.from_numpy(kept - V_TH)).sum().item()
            assert real["gain"] == pytest.approx(h, rel=1e-5 if dtype == torch.float32 else 1e-9)
            cells = tally.cells
            assert cells.sum() == finite.sum()
            edges = EDGES * UNIT + (V_TH - UNIT)
            on = int(np.flatnonzero(EDGES == 1.0)[0])  # the threshold is the edge at one unit
            assert cells[2 * on + 1] == (kept == V_TH).sum()
            assert len(cells) == CELLS
            assert cells[: 2 * on + 1].sum() == (kept < edges[on]).sum()
    reach, later = [], np.zeros(SAMPLES * NEURONS, bool)
    for inside, spikes in reversed(history):
        later = inside | (later & np.where(spikes, carries[1], carries[0]))
        reach.insert(0, later.sum())
    for pending, seen in ways.values():
        assert pending.reached(T).tolist() == reach
        ever = [
            np.stack([event.reshape(SAMPLES, NEURONS) for event in events]).any((0, 1))
            for events in zip(*history, strict=True)
        ]
        never = ~np.stack([spikes.reshape(SAMPLES, NEURONS) for _, spikes in history]).all((0, 1))
        assert seen.tolist() == (4 * ever[0] + 2 * ever[1] + never).tolist()


@pytest.mark.parametrize("way", [by_tensors, by_scan])
def test_a_spike_that_was_not_emitted_is_noticed(way):
    function = of_derivative(surrogates.get("atan"), like=torch.zeros(1), epsilon=0.1)
    u = torch.tensor([-1.0, 0.5, 2.0])
    seen = torch.zeros(3, dtype=torch.uint8)
    assert way(u, torch.tensor([0.0, 0.0, 1.0]), Step(function, 1.0), seen, None, 0, Tally.empty()) == 1
