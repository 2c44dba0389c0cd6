"""What-if tables against counts on the raw potentials."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_twin import HALF, rng
from reference import DERIVATIVES

import mpdviz
from mpdviz import surrogates
from mpdviz.analysis import columns, whatif
from mpdviz.errors import BadInput
from mpdviz.neurons import LIF

WHAT_IF = [column.name for column in columns.WHAT_IF]


def record(values, v_th=0.5, what_if=()):
    """A recording whose potentials are exactly `values` `[T, M]`."""
    neuron = LIF(decay=0.0, v_th=v_th)
    with mpdviz.record(neuron, what_if=what_if) as mpd:
        neuron(torch.as_tensor(values).unsqueeze(1))
    return mpd


def values(v_th, count=4000, spread=2.0):
    """Two timesteps, some potentials exactly on edges, some beyond the histogram, one not finite."""
    v = torch.randn(2, count, generator=rng(), dtype=torch.float64) * spread * v_th
    edges = torch.arange(-700, 700) * (v_th / 64)
    v[0, : len(edges)] = edges
    v[1, :50] = 0
    v[1, 50] = float("nan")
    return v


@pytest.mark.parametrize("v_th", [0.5, 1.0, 2.0])
def test_curve_is_exact(v_th):
    v = values(v_th)
    frame = record(v, v_th).what_if()
    assert frame.columns.tolist() == WHAT_IF
    assert len(frame) == 2 * 448
    for t in (1, 2):
        rows = frame[frame["timestep"] == t]
        x = np.abs(v[t - 1].numpy() - v_th)
        finite = np.isfinite(x).sum()
        half = rows["kappa"].to_numpy()[:, None] / 2
        np.testing.assert_array_equal(rows["available_ratio"], (x < half).sum(1) / finite)
        np.testing.assert_array_equal(rows["on_edge"], (x == half).sum(1))
        np.testing.assert_array_equal(rows["mean_gain"], rows["available_ratio"] / rows["kappa"])
        assert rows["on_edge"].max() >= (50 if t == 2 else 2)


def test_curve_is_exact_for_a_threshold_that_is_no_power_of_two():
    v = torch.randn(1, 5000, generator=rng())
    v[0, :7] = 0
    rows = record(v, 0.3).what_if()
    x = np.abs(v[0].numpy().astype(np.float64) - 0.3)
    half = rows["kappa"].to_numpy()[:, None] / 2
    np.testing.assert_array_equal(rows["available_ratio"], (x < half).sum(1) / 5000)
    at = rows[np.isclose(rows["kappa"], 0.6)].iloc[0]
    assert at["on_edge"] == 7


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.floats(0.1, 3), st.floats(0.05, 5))
def test_ratio_never_falls_with_the_width(seed, v_th, spread):
    v = torch.randn(2, 200, generator=torch.Generator().manual_seed(seed)) * spread
    frame = record(v, v_th).what_if()
    for _, rows in frame.groupby("timestep"):
        assert rows["available_ratio"].is_monotonic_increasing
        assert rows["kappa"].is_monotonic_increasing
        assert rows["available_ratio"].between(0, 1).all()
    assert frame["kappa"].max() == pytest.approx(14 * v_th)
    assert frame["kappa"].min() == pytest.approx(v_th / 32)


def test_counted_widths_agree_with_the_curve_and_fill_the_gaps():
    v = values(0.5)
    widths = (1.0, 0.5, 0.123, 20.0)
    mpd = record(v, 0.5, widths)
    layer = mpd.layers[1]
    frame = whatif.counted(1, layer)
    assert frame.columns.tolist() == WHAT_IF
    curve = mpd.what_if()
    for t in (1, 2):
        x = np.abs(v[t - 1].numpy() - 0.5)
        rows = frame[frame["timestep"] == t].set_index("kappa")
        for width in widths:
            assert rows.loc[width, "available_ratio"] == (x < width / 2).sum() / np.isfinite(x).sum()
        for width in (1.0, 0.5):
            row = curve[(curve["timestep"] == t) & (curve["kappa"] == width)].iloc[0]
            assert rows.loc[width, "available_ratio"] == row["available_ratio"]
            assert rows.loc[width, "on_edge"] == row["on_edge"] == (x == width / 2).sum()
        assert rows.loc[[0.123, 20.0], "on_edge"].tolist() == [0, 0]


@pytest.mark.parametrize("ratio", [0.05, 0.5, 0.6])
def test_target_is_the_narrowest_that_reaches(ratio):
    v = values(0.5)
    frame = record(v).kappa_for(ratio)
    assert frame.columns.tolist() == WHAT_IF
    assert frame["timestep"].tolist() == [1, 2]
    for t, row in enumerate(frame.itertuples()):
        x = np.abs(v[t].numpy() - 0.5)
        finite = np.isfinite(x).sum()
        assert (x < row.kappa / 2).sum() / finite == row.available_ratio >= ratio
        assert (x < row.kappa / 2 - 0.5 / 64).sum() / finite < ratio


def test_target_out_of_reach_and_out_of_range():
    mpd = record(torch.full((2, 10), 9.0))
    frame = mpd.kappa_for(0.5)
    assert frame["kappa"].isna().all()
    assert frame["on_edge"].tolist() == [0, 0]
    assert frame["layer"].tolist() == [1, 1]
    for ratio in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(BadInput, match="ratio"):
            mpd.kappa_for(ratio)


@pytest.mark.parametrize("v_th", [0.5, 0.3])
@pytest.mark.parametrize("epsilon", [0.1, 0.01])
@pytest.mark.parametrize("name", sorted(set(surrogates.SHAPES) - {"rectangular"}))
def test_bounds_of_other_shapes_hold_the_truth(name, epsilon, v_th):
    v = values(v_th)
    frame = record(v, v_th).what_if(name, epsilon=epsilon)
    for t, row in enumerate(frame.itertuples()):
        finite = v[t][v[t].isfinite()].numpy()
        ratio = (np.abs(finite - v_th) < HALF[name](epsilon)).mean()
        gain = DERIVATIVES[name](finite - v_th, 1.0).mean()
        assert row.available_ratio_low <= ratio <= row.available_ratio_high
        assert row.mean_gain_low <= gain * (1 + 1e-9)
        assert gain <= row.mean_gain_high * (1 + 1e-9)
        assert row.mean_gain_high - row.mean_gain_low < 0.3 * gain


def test_a_shape_wider_than_the_histogram_still_holds_the_truth():
    v = torch.randn(1, 1000, generator=rng(), dtype=torch.float64)
    (row,) = record(v, 0.05).what_if("triangular").itertuples()
    ratio = (np.abs(v[0].numpy() - 0.05) < 1).mean()
    assert row.available_ratio_low < ratio < row.available_ratio_high


def test_shapes_by_name_only():
    with pytest.raises(BadInput, match="surrogate"):
        record(torch.zeros(1, 3)).what_if("triangle")


def test_nothing_recorded_gives_empty_tables():
    with mpdviz.record(LIF()) as mpd:
        for frame in (mpd.what_if(), mpd.what_if("atan"), mpd.kappa_for(0.5)):
            assert isinstance(frame, pd.DataFrame)
            assert len(frame) == 0
