"""Each check on recordings built to pass it and to fail it."""

import math

import numpy as np
import pytest
import torch
from handmade import counted, flow, info
from recording_twin import rng
from torch import nn

import mpdviz
from mpdviz.analysis.checks import CHECKS, REMEDIES
from mpdviz.analysis.limits import Limits
from mpdviz.analysis.verdicts import judge
from mpdviz.neurons import LIF
from mpdviz.norm import TDBatchNorm1d


class Layer(nn.Module):
    """Batch norm and neurons in evaluation mode: the current is weight * v_th * x + bias."""

    def __init__(self, channels=4, decay=0.0):
        super().__init__()
        self.norm, self.neuron = TDBatchNorm1d(channels, eps=0.0), LIF(decay)
        self.eval()

    def forward(self, x, kappa=None):
        return self.neuron(self.norm(x), kappa)


def healthy():
    """v ~ N(.25, .5^2), half of it in the interval of width 1, every neuron spiking at times."""
    model = Layer()
    with torch.no_grad():
        model.norm.bias.fill_(0.25)
    return model, torch.randn(2, 400, 4, generator=rng())


def judged(model, *batches, kappa=None, limits=None, recorded=None):
    with mpdviz.record(model) as mpd:
        for x in batches:
            model(x, kappa)
    if recorded is not None:
        recorded.append(mpd)
    return {verdict.check: verdict for verdict in mpd.verdicts(limits)}


def test_a_healthy_layer_passes_everything():
    model, x = healthy()
    verdicts = judged(model, x)
    assert list(verdicts) == list(CHECKS) == list(Limits.__dataclass_fields__)
    assert verdicts.pop("nonfinite_gradient").outcome == "not measured"
    for verdict in verdicts.values():
        assert verdict.outcome == "ok", verdict
        assert verdict.passed
        assert math.isfinite(verdict.value)
        assert (verdict.layer, verdict.name) == (1, "Layer" if verdict.name == "Layer" else "neuron")


def starved():
    model, x = healthy()
    x[1] = -8
    return model, x


def degenerate():
    model, x = healthy()
    x[1, 10:] = -2
    return model, x


def saturated():
    model, x = healthy()
    x[0] += 4
    return model, x


def silent():
    model, x = healthy()
    x[:, :, 1:] = x[:, :, 1:].clamp(max=0.4)
    return model, x


def dead():
    model, x = healthy()
    x[:, :, :3] = 5
    return model, x


def undriven():
    model, x = healthy()
    x[:, :, :3] = 0
    return model, x


def negative():
    model, x = healthy()
    with torch.no_grad():
        model.norm.weight[2] = -1
    return model, x


def negative_mean():
    model, x = healthy()
    with torch.no_grad():
        model.norm.weight.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0]))
    return model, x


def wide():
    model, x = healthy()
    return model, 0.2 * x


def off():
    model, x = healthy()
    return model, x + 3


def broken():
    model, x = healthy()
    x[1, 7, 2] = float("nan")
    return model, x


WRONG = {
    "starved": starved,
    "degenerate": degenerate,
    "saturated": saturated,
    "silent_neurons": silent,
    "dead_neurons": dead,
    "silent_input": undriven,
    "negative_gamma": negative,
    "too_wide": wide,
    "prediction_off": off,
    "nonfinite": broken,
}


@pytest.mark.parametrize("check", list(WRONG))
def test_each_check_finds_its_disease(check):
    recorded = []
    verdict = judged(*WRONG[check](), recorded=recorded)[check]
    assert verdict.outcome == "failed"
    assert not verdict.passed
    table, layers = recorded[0].table(), recorded[0].layer_table().iloc[0]
    expected = {
        "starved": table["available_ratio"].min(),
        "degenerate": table["below_ratio"].max(),
        "saturated": table["above_ratio"].max(),
        "silent_neurons": layers["silent"] / 4,
        "dead_neurons": layers["gradient_dead"] / 4,
        "silent_input": 3 / 4,
        "negative_gamma": 1 / 4,
        "too_wide": (0.5 / table["std"]).max(),
        "prediction_off": (table["predicted_ratio"] - table["available_ratio"]).abs().max(),
        "nonfinite": 1 / 1600,
    }[check]
    assert verdict.value == pytest.approx(expected)
    assert verdict.limit == getattr(Limits(), check)
    assert "\n" not in verdict.sentence


@pytest.mark.parametrize("check", list(WRONG))
def test_each_limit_can_be_set(check):
    ours = judged(*WRONG[check]())[check].value
    loose, strict = (ours - 1e-6, ours + 1e-6) if check == "starved" else (ours + 1e-6, ours - 1e-6)
    for limit, passes in ((loose, True), (ours, True), (strict, False)):
        verdict = judged(*WRONG[check](), limits=Limits(**{check: limit}))[check]
        assert verdict.passed is passes
        assert verdict.limit == limit


def test_the_worst_timestep_is_named():
    assert "t=2" in judged(*starved())["starved"].sentence
    assert "t=1" in judged(*saturated())["saturated"].sentence
    assert "t=2" in judged(*broken())["nonfinite"].sentence


def test_the_worst_channel_is_named():
    model, x = healthy()
    x[:, :, 2] = -5
    verdict = judged(model, x, limits=Limits(silent_neurons=0.1))["silent_neurons"]
    assert verdict.value == 0.25
    assert "channel 2" in verdict.sentence
    everywhere = judged(model, 0 * x - 5)["silent_neurons"]
    assert everywhere.value == 1
    assert "channel" not in everywhere.sentence


def test_a_mean_gamma_that_is_not_positive_fails_without_one_negative():
    verdict = judged(*negative_mean())["negative_gamma"]
    assert verdict.value == 0
    assert not verdict.passed


def test_a_silent_input_is_told_from_starvation():
    model, x = healthy()
    with torch.no_grad():
        model.norm.bias.fill_(-3.0)
    silent, hungry = judged(model, 0 * x), judged(model, x)
    assert not silent["starved"].passed
    assert not hungry["starved"].passed
    assert "silent" in silent["starved"].sentence
    assert "silent" not in hungry["starved"].sentence
    assert not silent["silent_input"].passed
    assert hungry["silent_input"].passed


def test_what_cannot_be_measured_is_neither_ok_nor_failed():
    neuron = LIF()
    with mpdviz.record(neuron) as mpd:
        neuron(torch.full((2, 3, 4), 0.4))
    verdicts = {verdict.check: verdict for verdict in mpd.verdicts()}
    for check in ("negative_gamma", "prediction_off", "too_wide"):
        assert math.isnan(verdicts[check].value)
        assert verdicts[check].outcome == "not measured"
        assert "nan" not in verdicts[check].sentence
    with mpdviz.record(neuron) as mpd:
        neuron(torch.full((2, 3, 4), float("nan")))
    verdicts = {verdict.check: verdict for verdict in mpd.verdicts()}
    assert verdicts["starved"].outcome == "not measured"
    assert verdicts["starved"].sentence == "no finite potentials were recorded"
    assert math.isnan(verdicts["starved"].value)
    assert not verdicts["nonfinite"].passed
    assert verdicts["nonfinite"].value == 1


@pytest.mark.thorough
def test_a_constant_layer_is_not_too_wide(monkeypatch):
    from mpdviz.recording.measure import meter

    monkeypatch.setattr(meter, "SCAN_AFTER", 0)
    neuron = LIF(decay=0.0)
    with mpdviz.record(neuron) as mpd:
        neuron(torch.full((2, 30, 400), 0.1))
    (verdict,) = (verdict for verdict in mpd.verdicts() if verdict.check == "too_wide")
    assert np.isnan(verdict.value)


def test_every_layer_is_judged_in_order():
    from mpdviz import networks

    network = networks.build(
        "convsnn", timesteps=2, num_classes=3, encode_channels=4, planes=(4, 6), hidden=8
    )
    with mpdviz.record(network) as mpd:
        network(torch.randn(4, 1, 8, 8, generator=rng()))
    verdicts = mpd.verdicts()
    assert [verdict.layer for verdict in verdicts] == np.repeat(range(1, 6), len(CHECKS)).tolist()
    assert [verdict.check for verdict in verdicts] == list(CHECKS) * 5
    assert {verdict.name for verdict in verdicts} == set(mpd.table()["name"])


# What only sums can be made to hold. ----------------------------------------------------------------------


def of_sums(layer, **limits):
    return {verdict.check: verdict for verdict in judge({1: layer}, Limits(**limits))}


def test_every_check_has_its_disease():
    assert set(CHECKS) == {*WRONG, "nonfinite_gain", "nonfinite_gradient"}


def test_a_derivative_that_is_not_finite_fails_by_name():
    layer = counted(np.zeros((2, 4, 8)))
    layer.statistics.gain_nonfinite[1] = 1
    verdict = of_sums(layer)["nonfinite_gain"]
    assert (verdict.outcome, verdict.value) == ("failed", 1 / 32)
    assert "NaN or infinite at t=2 for 3.1 % of potentials" in verdict.sentence
    assert of_sums(layer, nonfinite_gain=1 / 32)["nonfinite_gain"].outcome == "ok"
    assert of_sums(counted(np.zeros((2, 4, 8))))["nonfinite_gain"].outcome == "ok"


def test_one_in_a_million_does_not_read_as_none():
    layer = counted(np.zeros((2, 1000, 1000)))
    layer.statistics.gain_nonfinite[1] = 1
    verdict = of_sums(layer)["nonfinite_gain"]
    assert verdict.outcome == "failed"
    assert "for 0.0001 % of potentials" in verdict.sentence


def test_where_a_derivative_is_nan_is_said_as_a_potential():
    layer = counted(np.zeros((2, 4, 8)), info(nan_below=-3.42, thresholds=(0.5, 1.0)))
    layer.statistics.gain_nonfinite[1] = 1
    assert "NaN below v = -2.42, at t=2" in of_sums(layer)["nonfinite_gain"].sentence


def test_a_gradient_that_is_not_finite_fails_by_name():
    layer = counted(np.zeros((2, 1, 4)), flow=flow([1, 0, 2, 3], [0, math.nan, math.inf, 4]))
    verdict = of_sums(layer)["nonfinite_gradient"]
    assert (verdict.outcome, verdict.value) == ("failed", 0.5)
    assert "50.0 % of gradients at the potentials are NaN or infinite at t=2" in verdict.sentence
    assert of_sums(layer, nonfinite_gradient=0.5)["nonfinite_gradient"].outcome == "ok"


def test_gradients_that_an_older_version_could_not_tell_apart_fail():
    layer = counted(np.zeros((2, 1, 4)), flow=flow([1, 0, 2, 3], [0, 1, 2, 4]))
    layer.flow.squares[1] = math.nan
    verdict = of_sums(layer)["nonfinite_gradient"]
    assert verdict.outcome == "failed"
    assert "t=2" in verdict.sentence


@pytest.mark.parametrize("empty", [None, flow([1, 2]).at(1, 2)])
def test_without_gradients_they_are_not_judged(empty):
    layer = counted(np.zeros((2, 1, 2)), flow=empty)
    if empty is not None:
        layer.flow.count[:] = 0
    assert of_sums(layer)["nonfinite_gradient"].outcome == "not measured"
    assert "no gradients" in of_sums(layer)["nonfinite_gradient"].sentence


def test_neurons_that_cannot_be_followed_are_not_judged():
    layer = counted(np.zeros((2, 3, 4))) + counted(np.zeros((2, 3, 5)))
    verdicts = of_sums(layer)
    for check in ("silent_neurons", "dead_neurons", "silent_input"):
        assert verdicts[check].outcome == "not measured"
        assert "several sizes" in verdicts[check].sentence
    assert verdicts["starved"].outcome == "failed"  # 0 is the interval's end


def test_the_reason_is_the_recorders():
    why = "the code that spikes does not say it"
    described = info(decay=math.nan, gamma=(1.0,), beta=(0.0,), not_measured={"decay": why})
    verdict = of_sums(counted(np.zeros((2, 3, 4)), described))["prediction_off"]
    assert (verdict.outcome, verdict.sentence) == ("not measured", why)


def test_without_an_interval_nothing_about_it_is_judged():
    nowhere = (math.nan, math.nan)
    described = info(lower=nowhere, upper=nowhere, not_measured={"lower": "no surrogate was found"})
    verdicts = of_sums(counted(np.random.default_rng(0).normal(size=(2, 30, 4)), described))
    for check in ("starved", "degenerate", "saturated", "dead_neurons", "too_wide", "prediction_off"):
        assert verdicts[check].outcome == "not measured", check
        assert "surrogate" in verdicts[check].sentence or check == "prediction_off"
    assert verdicts["silent_neurons"].outcome == "ok"


def test_a_failure_says_what_may_help_in_one_line():
    for check, make in WRONG.items():
        sentence = judged(*make())[check].sentence
        assert "\n" not in sentence
        if check in REMEDIES:
            assert sentence.endswith(f"; {REMEDIES[check]}")
    model, x = healthy()
    assert not any(REMEDIES[check] in judged(model, x)[check].sentence for check in REMEDIES)
