"""Tables, predictions and what-ifs of layers of which only a part is known."""

import math

import numpy as np
import pandas as pd
import pytest
from handmade import counted, flow, info

from mpdviz.analysis import metrics, sides, summary, whatif
from mpdviz.analysis.predict import PREDICTIONS


def potentials(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def row(layer, t=1):
    return metrics.table({1: layer}).iloc[t - 1]


@pytest.mark.parametrize(("strict", "fires"), [(True, ">"), (False, ">="), (None, "")])
def test_how_neurons_fire_is_said_behind_the_threshold(strict, fires):
    table = metrics.table({1: counted(potentials(2, 3, 4), info(strict=strict))})
    columns = table.columns.tolist()
    assert columns[columns.index("v_th") + 1] == "fires"
    assert table["fires"].tolist() == [fires, fires]


@pytest.mark.parametrize("v_th", [0.0, -0.5, 0.5])
def test_any_threshold_has_a_table_a_histogram_and_what_ifs(v_th):
    v, described = potentials(2, 30, 4), info(v_th=v_th, unit=0.25, what_if=(0.5, 0.3))
    layer = counted(v, described)
    found = row(layer)
    assert found["v_th"] == v_th
    assert found["available_ratio"] == (np.abs(v[0] - v_th) < 0.5).mean()
    bins = metrics.histogram(1, layer)
    first = bins[bins["timestep"] == 1]
    inside = [
        ((v[0] >= left) & (v[0] < right)).sum()
        for left, right in zip(first["left"], first["right"], strict=True)
    ]
    assert first["count"].tolist() == inside
    curve = whatif.curve(1, layer)
    for kappa in (0.25 / 32, 0.5, 3.5):
        (share,) = curve[(curve["timestep"] == 1) & (curve["kappa"] == kappa)]["available_ratio"]
        assert share == (np.abs(v[0] - v_th) < kappa / 2).mean()
    assert whatif.counted(1, layer)["available_ratio"].iloc[0] == (np.abs(v[0] - v_th) < 0.25).mean()
    bounds = whatif.shape(1, layer, 0.3, lambda x, kappa: np.exp(-np.abs(x / kappa))).iloc[0]
    truth, gain = (np.abs(v[0] - v_th) < 0.3).mean(), np.exp(-np.abs(v[0] - v_th)).mean()
    assert bounds["available_ratio_low"] <= truth <= bounds["available_ratio_high"]
    assert bounds["mean_gain_low"] <= gain <= bounds["mean_gain_high"]
    target = whatif.target(1, layer, 0.5).iloc[0]
    assert (np.abs(v[0] - v_th) < target["kappa"] / 2).mean() >= 0.5
    assert (np.abs(v[0] - v_th) < target["kappa"] / 2 - 0.25 / 64).mean() < 0.5


@pytest.mark.parametrize("unknown", [{"decay": math.nan}, {"v_th": 0.0}, {"v_th": -1.0}])
def test_without_decay_or_scale_nothing_is_predicted(unknown):
    described = info(gamma=(1.0, 0.5), beta=(0.0, 0.25), **unknown)
    found = metrics.table({1: counted(potentials(2, 30, 2), described)})
    assert found["best_prediction"].tolist() == ["", ""]
    for name in PREDICTIONS:
        suffix = "" if name == "paper" else f"_{name}"
        for column in ("predicted_mean", "predicted_std", "predicted_ratio", "ks", "wasserstein"):
            assert found[column + suffix].isna().all()
    assert found["available_ratio"].notna().all()


def test_the_unit_does_not_change_a_distance():
    v = 0.3 * potentials(2, 4000, 2)  # within the edges of both
    known = {"gamma": (1.0, 0.5), "beta": (0.0, 0.25)}
    one, other = (row(counted(v, info(unit=unit, **known))) for unit in (0.5, 0.25))
    for column in ("predicted_mean", "predicted_std", "predicted_ratio", "wasserstein"):
        assert one[column] == pytest.approx(other[column], abs=one["wasserstein_error"])


def test_reach_that_was_not_counted_is_nan():
    assert np.isnan(row(counted(potentials(2, 3, 4), info(reach_known=False)))["reach_ratio"])


def test_a_gain_is_the_mean_of_where_it_is_finite():
    layer = counted(potentials(2, 3, 4))
    layer.statistics.gain[:], layer.statistics.gain_nonfinite[:] = [6.0, 0.0], [2, 12]
    assert row(layer)["mean_gain"] == 6 / 10
    assert np.isnan(row(layer, 2)["mean_gain"])
    assert row(layer)["available_ratio"] > 0


def test_neurons_that_cannot_be_followed_are_not_counted():
    layers = {1: counted(potentials(2, 3, 4)), 2: counted(potentials(2, 3, 4)) + counted(potentials(2, 3, 5))}
    table = metrics.layer_table(layers)
    for column in ("neurons", "silent", "saturated", "gradient_dead", "silent_input"):
        assert table[column].dtype == "Int64"
        assert table[column].isna().tolist() == [False, True]
    for column in ("silent_channel", "silent_input_channel"):
        assert table[column].iloc[1] is pd.NA


def test_samples_are_counted_where_neurons_are():
    known, unknown = counted(potentials(2, 3, 4)), counted(potentials(2, 3, 4)) + counted(potentials(2, 3, 5))
    assert summary.samples({1: known, 2: unknown}) == 3
    assert summary.samples({1: unknown}) is None
    assert "sample" not in summary.one_line({1: unknown})
    assert "3 samples" in summary.one_line({1: known})
    beside = sides.sides({"a": {1: known}, "b": {1: unknown}})
    assert beside["available_ratio"].notna().all()


def test_networks_side_by_side_have_a_norm_only_where_a_gradient_came():
    layers = {
        "a": {1: counted(potentials(2, 1, 2), flow=flow([3, 0], [0, 4]).at(0, 2))},
        "b": {1: counted(potentials(2, 1, 2))},
    }
    beside = sides.sides(layers).set_index("checkpoint")["grad_norm"]
    assert beside["a"] == 5
    assert np.isnan(beside["b"])


def test_gradient_columns_hold_what_was_counted():
    gradients = np.array([[3, 0, math.nan, 4], [0, 0, 1, 2]], float)
    layers = {1: counted(potentials(2, 1, 4), flow=flow(*gradients, spike=[[1, 0, 2, 2], [0, 0, 0, 0]]))}
    layers[2] = counted(potentials(2, 1, 4))
    layers[3] = counted(potentials(2, 1, 4), flow=flow([1, math.inf, 2, 0]).at(1, 2))
    table = metrics.table(layers).set_index(["layer", "timestep"])
    for column, expected in {
        "grad_norm": [5, math.sqrt(5), math.nan, math.nan, math.nan, math.sqrt(5)],
        "spike_grad_norm": [3, 0, *[math.nan] * 4],
        "grad_zero_ratio": [0.25, 0.5, *[math.nan] * 3, 0.25],
        "grad_nonzero_ratio": [0.5, 0.5, *[math.nan] * 3, 0.5],
    }.items():
        np.testing.assert_allclose(table[column], expected, err_msg=column)
    for column, expected in {"grad_zero": [1, 2, 0, 0, 0, 1], "grad_nonfinite": [1, 0, 0, 0, 0, 1]}.items():
        assert table[column].dtype == "Int64"
        assert table[column].isna().tolist() == [False, False, True, True, True, False]
        assert table[column].fillna(0).tolist() == expected


def test_what_an_older_version_did_not_count_is_missing():
    layer = counted(potentials(1, 1, 4), flow=flow([1, 2, 0, 4]))
    layer.flow.squares[0] = math.nan
    found = row(layer)
    assert found["grad_nonfinite"] is pd.NA
    assert np.isnan(found["grad_nonzero_ratio"])
    assert np.isnan(found["grad_norm"])
    assert found["grad_zero"] == 1


def test_a_column_that_was_not_measured_is_empty_whatever_was_summed():
    described = info(not_measured={"reach_ratio": "", "silent": "", "count": "", "fires": ""})
    layer = counted(potentials(2, 3, 4), described)
    assert np.isnan(row(layer)["reach_ratio"])
    assert row(layer)["count"] == 12
    neurons = metrics.layer_table({1: layer}).iloc[0]
    assert neurons["silent"] is pd.NA
    assert neurons["silent_channel"] is pd.NA
    assert neurons["saturated"] is not pd.NA


def test_without_an_interval_no_share_of_it_is_known():
    nowhere = (math.nan, 0.0)
    layer = counted(potentials(2, 3, 4), info(lower=nowhere, upper=nowhere))
    for column in ("available_ratio", "below_ratio", "above_ratio", "reach_ratio"):
        assert np.isnan(row(layer, 1)[column])
        assert not np.isnan(row(layer, 2)[column])
    neurons = metrics.layer_table({1: layer}).iloc[0]
    assert neurons["gradient_dead"] is pd.NA
    assert neurons["silent"] is not pd.NA


def test_a_silent_input_is_not_said_to_repeat():
    repeats = info(repeated_input=True)
    driven, silent = counted(potentials(2, 3, 4), repeats), counted(potentials(2, 3, 4), repeats)
    silent.census.seen &= 7
    some = counted(potentials(2, 3, 4), repeats)
    some.census.seen[1:] &= 7
    table = metrics.layer_table({1: driven, 2: silent, 3: some})
    assert table["repeated_input"].tolist() == [True, False, True]


def test_gradients_of_which_none_is_finite_are_no_sign_of_life():
    found = row(counted(potentials(1, 1, 2), flow=flow([math.nan, math.inf])))
    assert np.isnan(found["grad_zero_ratio"])
    assert found["grad_nonzero_ratio"] == 0
    assert found["grad_nonfinite"] == 2
