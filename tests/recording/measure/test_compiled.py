"""Sums over a block of potentials, against NumPy in double precision."""

import math
from fractions import Fraction

import numba
import numpy as np
import pytest
import torch

from mpdviz.accumulations.histogram import CELLS, PER_UNIT, REACH
from mpdviz.recording.measure import compiled
from mpdviz.recording.measure.statistics import cells
from mpdviz.surrogates.closed import FORMS, Form

ROOM = np.empty(1024)


def test_a_decay_is_exact_to_the_last_place():
    z = np.concatenate([[0.0], np.random.default_rng(0).random(100_000) * 40, np.linspace(40, 700, 10_000)])
    found = np.array([compiled.decayed.py_func(value) for value in z[:1000]])
    assert np.abs(found / np.exp(-z[:1000]) - 1).max() < 5e-16
    sums = [compiled.gain(np.array([value]), 0.0, FORMS.index("exponential"), 1.0, 1.0, ROOM) for value in z]
    assert np.abs(np.array(sums) / np.exp(-z) - 1).max() < 5e-16
    assert compiled.gain(np.array([np.inf]), 0.0, FORMS.index("exponential"), 1.0, 1.0, ROOM) < 1e-300


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", range(1, len(FORMS)), ids=FORMS[1:])
def test_gain_is_the_sum_of_a_forms_derivative(kind, dtype):
    v = (np.random.default_rng(1).normal(0.5, 1.5, 1000)).astype(dtype)
    v[7] = np.nan
    top, scale, v_th = 0.7, 1.9, 0.8
    known = torch.from_numpy(v[~np.isnan(v)].astype(np.float64))
    expected = float(Form(kind, top, scale).h(known - v_th).sum())
    found = compiled.gain(v, v_th, kind, top, scale, ROOM)
    assert found == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-13)
    each = [compiled.h(float(value) - v_th, kind, top, scale) for value in known]
    assert sum(each) == pytest.approx(expected, rel=1e-13)


@numba.njit
def extremes(row):
    return compiled.extremes(row)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [*range(1, 40), 511, 512, 513, 1023, 1024])
def test_extremes_of_any_number_of_values(size, dtype):
    row = np.random.default_rng(size).normal(size=size).astype(dtype)
    for at in {0, size // 2, size - 1}:
        for extreme in (-9.0, 9.0, 0.0, -1e-42):
            row[at] = extreme
            assert extremes(row) == (row.min(), row.max())
            assert extremes(abs(row)) == (abs(row).min(), abs(row).max())
            assert extremes(-abs(row)) == (-abs(row).max(), -abs(row).min())


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 512, 1000, 1024, 2040])
def test_ones_are_counted(size):
    flags = np.random.default_rng(size).integers(0, 2, 2040).astype(np.uint8)
    assert compiled.ones(flags, size) == flags[:size].sum()
    assert compiled.ones(np.ones(2040, np.uint8), size) == size


@pytest.mark.parametrize("shift", [0.0, 0.125, -0.3])
@pytest.mark.parametrize("unit", [0.5, 1.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_places_are_those_of_exact_fractions(dtype, unit, shift):
    rng = np.random.default_rng(0)
    v = np.concatenate(
        [
            rng.normal(size=500) * 2 * unit,
            rng.integers(-600, 600, 200) / PER_UNIT * unit,  # on edges, some of them outside
            [0.0, 1e-30, -1e-30, 1e-42, -1e-42, 1e30, -1e30, 8 * unit, -8 * unit],
        ]
    ).astype(dtype)
    out = np.empty(len(v), np.int32)
    compiled.places(v, shift, PER_UNIT / unit, out)
    if shift == 0 and unit != 0.3:  # nothing is rounded
        positions = [Fraction(float(value)) * Fraction(PER_UNIT) / Fraction(unit) for value in v]
        edges = [math.floor(position) for position in positions]
        truth = [
            2 * (edge + REACH * PER_UNIT) + 1 + (at > edge) for edge, at in zip(edges, positions, strict=True)
        ]
        assert out.tolist() == np.clip(truth, 0, CELLS - 1).tolist()
    by_tensors = cells((torch.from_numpy(v).double() - shift) * (PER_UNIT / unit))
    assert by_tensors.tolist() == np.bincount(out, minlength=CELLS).tolist()
