"""The tables: columns as declared, every number from the sums behind it."""

import numpy as np
import pandas as pd
import pytest
import torch
from recording_twin import kept, potentials, rng
from torch import nn

import mpdviz
from mpdviz import networks
from mpdviz.accumulations.census import Census
from mpdviz.accumulations.layer import LayerAccumulation, LayerInfo, LayerStatistics
from mpdviz.analysis import columns, metrics
from mpdviz.errors import BadInput
from mpdviz.neurons import LIF
from mpdviz.norm import TDBatchNorm2d


def small(**options):
    torch.manual_seed(3)
    sizes = {"encode_channels": 4, "planes": (4, 6), "hidden": 8, "num_classes": 3, "timesteps": 2}
    return networks.build("convsnn", **(sizes | options))


@pytest.fixture(scope="module")
def recorded():
    network = small()
    with kept(network) as calls, mpdviz.record(network, what_if=(1.0,), gradients=True) as mpd:
        for size in (5, 2):
            network(torch.randn(size, 1, 8, 8, generator=rng())).sum().backward()
    return network, calls, mpd


def test_main_columns_come_first_with_their_types(recorded):
    table = recorded[2].table()
    declared = [*columns.MAIN, *columns.BOUNDS]
    assert table.columns[: len(declared)].tolist() == [column.name for column in declared]
    for column in (*declared, *columns.FLOW, columns.BEST):
        assert table[column.name].dtype == pd.Series(dtype=column.dtype).dtype, column.name
    assert table.columns[-10:].tolist() == [
        "available_ratio_kappa1", "mean_gain_kappa1", *(column.name for column in columns.FLOW),
    ]  # fmt: skip
    for name in ("mixture", "time", "reset"):
        assert {f"predicted_mean_{name}", f"ks_{name}", f"wasserstein_error_{name}"} <= set(table.columns)
    assert table.columns.is_unique
    assert table.index.tolist() == list(range(10))


def test_layer_columns_with_their_types(recorded):
    table = recorded[2].layer_table()
    assert table.columns.tolist() == [column.name for column in columns.LAYER]
    for column in columns.LAYER:
        assert table[column.name].dtype == pd.Series(dtype=column.dtype).dtype, column.name
    assert table["neurons"].tolist() == [4 * 64, 4 * 64, 6 * 16, 6 * 16, 8]
    assert table["channels"].tolist() == [4, 4, 6, 6, 8]
    assert table["repeated_input"].tolist() == [True, False, False, False, False]


def test_an_empty_recording_has_the_same_columns():
    with mpdviz.record(small()) as mpd:
        table, layers = mpd.table(), mpd.layer_table()
    assert table.columns[: len(columns.MAIN)].tolist() == [column.name for column in columns.MAIN]
    assert len(table) == len(layers) == 0
    for column in columns.MAIN:
        assert table[column.name].dtype == pd.Series(dtype=column.dtype).dtype


def test_numbers_against_the_potentials(recorded):
    network, calls, mpd = recorded
    table = mpd.table()
    modules = dict(network.named_modules())
    for number, (name, made) in enumerate(calls.items(), start=1):
        neuron = modules[name]
        vs = [potentials(call, neuron.decay_value, neuron.v_th) for call in made]
        for t in range(2):
            v = np.concatenate([x[t].ravel() for x in vs]).astype(np.float64)
            row = table[(table["layer"] == number) & (table["timestep"] == t + 1)].iloc[0]
            kappa = float(made[0].kappa[t])
            inside = np.abs(v.astype(np.float32) - np.float32(0.5)) < np.float32(kappa) / np.float32(2)
            assert row["count"] == v.size
            assert row["mean"] == pytest.approx(v.mean(), abs=1e-9)
            assert row["std"] == pytest.approx(v.std(), rel=1e-9)
            assert (row["min"], row["max"]) == (v.min(), v.max())
            assert (row["v_th"], row["decay"], row["kappa"]) == (0.5, 0.2, kappa)
            assert row["gamma_mean"] == 1
            assert row["lower"] == 0.5 - kappa / 2
            assert row["upper"] == 0.5 + kappa / 2
            assert row["available_ratio"] == inside.mean()
            assert row["below_ratio"] == (~inside & (v < 0.5)).mean()
            assert row["above_ratio"] == (~inside & (v >= 0.5)).mean()
            assert row["mean_gain"] == pytest.approx(inside.mean() / kappa, rel=1e-12)
            assert row["firing_rate"] == (v >= 0.5).mean()
            assert row["available_ratio_kappa1"] == (np.abs(v.astype(np.float32) - 0.5) < 0.5).mean()
            assert row["mean_gain_kappa1"] == row["available_ratio_kappa1"]
            assert row["nonfinite"] == 0
    shares = table["available_ratio"] + table["below_ratio"] + table["above_ratio"]
    np.testing.assert_allclose(shares, 1, rtol=0, atol=1e-15)
    assert (table["reach_ratio"] >= table["available_ratio"]).all()
    assert (table.loc[table["timestep"] == 2, "reach_ratio"] == table.loc[
        table["timestep"] == 2, "available_ratio"]).all()  # fmt: skip


def test_histogram_against_numpy(recorded):
    _, calls, mpd = recorded
    frame = mpd.histogram(3)
    (name, made) = list(calls.items())[2]
    vs = [potentials(call, 0.2, 0.5) for call in made]
    assert name == "features.2.neuron"
    for t in (1, 2):
        rows = frame[frame["timestep"] == t]
        v = np.concatenate([x[t - 1].ravel() for x in vs]).astype(np.float64)
        left = rows["left"].to_numpy()
        assert left[0] == -np.inf
        assert rows["right"].iloc[-1] == np.inf
        assert (rows["right"].to_numpy()[:-1] == left[1:]).all()
        expected = [((v >= low) & (v < high)).sum() for low, high in zip(left, rows["right"], strict=True)]
        assert rows["count"].tolist() == expected
        inner = rows.iloc[1:-1]
        widths = inner["right"] - inner["left"]
        np.testing.assert_allclose(inner["density"], inner["count"] / v.size / widths)
        assert rows["density"].iloc[[0, -1]].isna().all()


def test_no_such_layer(recorded):
    for layer in (0, 6):
        with pytest.raises(BadInput, match="1 to 5"):
            recorded[2].histogram(layer)


def test_without_a_batch_norm_only_the_currents_predict():
    model = nn.Sequential(LIF())
    with mpdviz.record(model) as mpd:
        model(torch.randn(2, 3, 4, generator=rng()))
    table = mpd.table()
    assert table[["gamma_mean", "predicted_mean", "ks", "wasserstein_reset"]].isna().all(axis=None)
    assert table["predicted_std_correlated"].notna().all()
    assert table["best_prediction"].tolist() == ["correlated", "correlated"]
    layer = mpd.layer_table().iloc[0]
    assert layer["channels"] == 0
    assert np.isnan(layer["gamma_mean"])
    assert np.isnan(layer["gamma_min"])
    assert layer["silent_input_channel"] is pd.NA


def test_gammas_of_the_norm_before_the_neuron():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.neuron = TDBatchNorm2d(3), LIF()

        def forward(self, x):
            return self.neuron(self.norm(x))

    model = Layer()
    with torch.no_grad():
        model.norm.weight.copy_(torch.tensor([1.5, -0.25, 0.5]))
    with mpdviz.record(model) as mpd:
        model(torch.randn(2, 3, 3, 2, 2, generator=rng()))
    row = mpd.layer_table().iloc[0]
    assert row[["channels", "gamma_min", "gamma_negative"]].tolist() == [3, -0.25, 1]
    assert row["gamma_mean"] == pytest.approx(1.75 / 3)


@pytest.mark.parametrize("predictions", [(), ("paper",), ("paper", "correlated"), ("reset",)])
@pytest.mark.parametrize("compared", [True, False])
def test_a_table_of_fewer_predictions_is_the_whole_one_without_the_others(recorded, predictions, compared):
    layers = recorded[2].layers
    whole, part = metrics.table(layers), metrics.table(layers, predictions, compared=compared)
    absent = {
        columns.of_prediction(name, prediction)
        for prediction in ("paper", "mixture", "time", "reset", "correlated")
        for name in ("predicted_mean", "predicted_std", "predicted_ratio")
        if prediction not in predictions
    } | {
        columns.of_prediction(name, prediction)
        for prediction in ("paper", "mixture", "time", "reset", "correlated")
        for name in ("ks", "wasserstein", "ks_bound", "wasserstein_error")
        if prediction not in predictions or not compared
    }
    if not (predictions and compared):
        absent.add("best_prediction")
    assert part.columns.tolist() == [name for name in whole.columns if name not in absent]
    same = [name for name in part.columns if name != "best_prediction"]  # which is of those asked for
    pd.testing.assert_frame_equal(part[same], whole[same])


def test_layers_and_timesteps_are_in_order_whatever_the_mapping():
    def layer(name):
        kappa = (1.0, 1.0)
        info = LayerInfo(name, 0.5, 0.2, "rectangular", None, kappa, (0.0, 0.0), (1.0, 1.0))
        return LayerAccumulation(info, LayerStatistics.empty(2), Census(np.zeros(3, np.uint8)))

    table = metrics.table({2: layer("b"), 1: layer("a")})
    assert table["layer"].tolist() == [1, 1, 2, 2]
    assert table["name"].tolist() == ["a", "a", "b", "b"]
    assert table["count"].tolist() == [0] * 4
    assert table["available_ratio"].isna().all()
