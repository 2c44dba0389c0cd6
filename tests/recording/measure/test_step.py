"""A timestep counted by tensor operations and in a compiled pass, against NumPy and the recursion."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from mpdviz import surrogates
from mpdviz.accumulations.histogram import CELLS, EDGES
from mpdviz.recording.measure import stepscan
from mpdviz.recording.measure.step import Pending, Step, by_tensors
from mpdviz.surrogates.probed import of_derivative, shifted

SHAPES = ("rectangular", "triangular", "atan", "sigmoid", "fast-sigmoid")
V_TH, UNIT, NEURONS, SAMPLES, T = 0.75, 0.5, 96, 20, 5
POOL = ThreadPoolExecutor(2)


def by_scan(u, emitted, step, seen, pending, t):
    return stepscan.in_one_pass(u.numpy(), emitted.numpy(), step, seen.numpy(), pending, t, POOL, 2)


def potentials(dtype, t):
    u = torch.randn(SAMPLES * NEURONS, generator=torch.Generator().manual_seed(t), dtype=torch.float64) * 1.5
    u[::50] = V_TH  # exactly at the threshold
    u[1], u[2], u[3] = float("nan"), float("inf"), -float("inf")
    return u.to(dtype)


@pytest.mark.parametrize("parallel", [1, 1 << 30], ids=["divided", "whole"])
@pytest.mark.parametrize("carries", [(True, False), (True, True), (False, False)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("strict", [False, True], ids=[">=", ">"])
def test_both_ways_count_what_numpy_counts(monkeypatch, strict, name, dtype, carries, parallel):
    monkeypatch.setattr(stepscan, "PARALLEL", parallel)
    shape = surrogates.get(name)
    like = torch.zeros(1, dtype=dtype)
    function = shifted(of_derivative(shape, like=like, epsilon=0.1, strict=strict), V_TH)
    step = Step(function, UNIT, (0.25, 1.0), carries)
    half = shape.half_width(0.1)
    ways = {
        way: (
            Pending(torch.zeros(SAMPLES * NEURONS, dtype=torch.int32)),
            torch.zeros(NEURONS, dtype=torch.uint8),
        )
        for way in (by_tensors, by_scan)
    }
    history = []
    for t in range(T):
        u = potentials(dtype, t)
        fired = u > V_TH if strict else u >= V_TH
        x = u.double().numpy() - V_TH
        finite, spikes = np.isfinite(x), fired.numpy()
        inside = np.abs(x) < half
        history.append((inside, spikes))
        kept = u.double().numpy()[finite]
        for way, (pending, seen) in ways.items():
            counted = way(u, fired.to(dtype), step, seen, pending, t)
            assert (counted.count, counted.nonfinite, counted.mismatched) == (len(u), 3, 0)
            assert counted.available == inside.sum()
            assert counted.spikes == spikes.sum()
            assert counted.below == (finite & ~inside & ~spikes).sum()
            assert counted.above == (finite & ~inside & spikes).sum()
            assert counted.what_if.tolist() == [(np.abs(x) < other).sum() for other in step.what_if]
            assert counted.mean == pytest.approx(kept.mean(), abs=1e-12)
            assert counted.m2 == pytest.approx(((kept - kept.mean()) ** 2).sum(), rel=1e-12)
            assert (counted.min, counted.max) == (kept.min(), kept.max())
            h = shape.h(torch.from_numpy(kept - V_TH)).sum().item()
            assert counted.gain == pytest.approx(h, rel=1e-5 if dtype == torch.float32 else 1e-9)
            assert counted.cells.sum() == finite.sum()
            edges = EDGES * UNIT + (V_TH - UNIT)
            on = int(np.flatnonzero(EDGES == 1.0)[0])  # the threshold is the edge at one unit
            assert counted.cells[2 * on + 1] == (kept == V_TH).sum()
            assert len(counted.cells) == CELLS
            assert counted.cells[: 2 * on + 1].sum() == (kept < edges[on]).sum()
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
    counted = way(
        u, torch.tensor([0.0, 0.0, 1.0]), Step(function, 1.0), torch.zeros(3, dtype=torch.uint8), None, 0
    )
    assert counted.mismatched == 1
