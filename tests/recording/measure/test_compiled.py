"""Sums over a block of potentials, against NumPy in double precision."""

import numpy as np
import pytest
import torch

from mpdviz.recording.measure import compiled
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


@pytest.mark.parametrize("size", [*range(1, 40), 511, 512, 513, 1023, 1024])
def test_extremes_of_any_number_of_values(size):
    row = np.random.default_rng(size).normal(size=size).astype(np.float32)
    half = np.empty(512, np.float32), np.empty(512, np.float32)
    for at in {0, size // 2, size - 1}:
        row[at] = -9.0
        assert compiled.extremes(row, *half) == (row.min(), row.max())
        row[at] = 9.0
        assert compiled.extremes(row, *half) == (row.min(), row.max())
