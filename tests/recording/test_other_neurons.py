"""Neurons and resets besides the hard LIF: shares, reach and gradients as a twin and a loop have them."""

import json
import math

import neuron_twins as twins
import numpy as np
import pytest
import torch
from networks import small
from reference import DERIVATIVES
from torch import nn

import mpdviz
from mpdviz import neurons, surrogates
from mpdviz.kernels import RESETS
from mpdviz.recording.measure import meter

F64 = torch.float64
T, V_TH, DECAY = 5, 0.6, 0.7
WIDTHS = torch.tensor([0.7, 1.0, 1.7, 2.4, 0.9], dtype=F64)  # some reach below 0: 2 * v_th = 1.2
LEAKY = [f"{kind}-{reset}" for kind in ("lif", "klif") for reset in RESETS]
CASES = [*LEAKY, "clif", "psn"]
CARRIES = {"clif": (True, True), "psn": (False, False)}


@pytest.fixture(params=["tensors", "scan"])
def way(request, monkeypatch):
    monkeypatch.setattr(meter, "SCAN_AFTER", 0 if request.param == "scan" else 1 << 60)


class Bare(nn.Module):
    """One neuron layer."""

    def __init__(self, neuron):
        super().__init__()
        self.cell = neuron

    def forward(self, current, kappa):
        return self.cell(current, kappa)


def made(case, shape="rectangular"):
    """A neuron in float64, its kind, and the constants of its twin and loop."""
    torch.manual_seed(3)
    kind, _, reset = case.partition("-")
    options = {} if kind == "psn" else {"decay": DECAY}
    neuron = neurons.get(
        kind, v_th=V_TH, surrogate=surrogates.get(shape), reset=reset or "hard", timesteps=T, **options
    ).double()
    constants = dict(options)
    if reset:
        constants |= {"soft": RESETS[reset].soft, "detached": RESETS[reset].detached}
    if kind == "klif":
        neuron.k.data.fill_(1.3)
        constants["k"] = torch.tensor(1.3, dtype=F64)
    if kind == "psn":
        neuron.weight.data.normal_().add_(torch.eye(T))
        constants |= {name: value.detach().clone() for name, value in neuron.named_parameters()}
    return kind, neuron, constants


def potentials(kind, x, constants):
    plain = {n: np.asarray(value) if n in ("weight", "bias") else value for n, value in constants.items()}
    plain = {n: float(value) if n == "k" else value for n, value in plain.items() if n != "detached"}
    return getattr(twins, kind)(x, twins.step(V_TH), v_th=V_TH, **plain)


def currents():
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(T, 40, 30, generator=generator, dtype=F64) * 0.8 + 0.2
    return x, torch.randn(T, 40, 30, generator=generator, dtype=F64)


def shares(masks):
    return masks.reshape(len(masks), -1).mean(1)


@pytest.mark.parametrize("shape", ["rectangular", "atan"])
@pytest.mark.parametrize("case", CASES)
def test_shares_and_reach_are_the_twin_s(way, case, shape):
    kind, neuron, constants = made(case, shape)
    x, _ = currents()
    model = Bare(neuron)
    with mpdviz.record(model, what_if=(0.5, 1.9)) as mpd, torch.no_grad():
        for part in x.split(15, dim=1):
            model(part, WIDTHS)
    v, s = potentials(kind, x.numpy(), constants)
    half = WIDTHS.numpy().reshape(-1, 1, 1) * (0.5 if shape == "rectangular" else math.sqrt(9) / math.pi)
    through = v > 0 if kind == "klif" else np.full(v.shape, True)
    inside = (np.abs(v - V_TH) < half) & through
    carries = CARRIES.get(kind) or (True, "soft" in case)
    later, reach = np.zeros_like(inside[0]), []
    for t in reversed(range(T)):
        later = inside[t] | (later & np.where(s[t] > 0, carries[1], carries[0]) & through[t])
        reach.insert(0, later.mean())
    table = mpd.table()
    np.testing.assert_allclose(table["available_ratio"], shares(inside), rtol=1e-12)
    np.testing.assert_allclose(table["below_ratio"], shares(~inside & (s == 0)), rtol=1e-12)
    np.testing.assert_allclose(table["above_ratio"], shares(~inside & (s == 1)), rtol=1e-12)
    np.testing.assert_allclose(table["reach_ratio"], reach, rtol=1e-12)
    np.testing.assert_allclose(table["firing_rate"], shares(s), rtol=1e-12)
    np.testing.assert_allclose(table["mean"], v.reshape(T, -1).mean(1), rtol=1e-9)
    np.testing.assert_allclose(table["max"], v.reshape(T, -1).max(1), rtol=1e-12)
    h = np.stack([DERIVATIVES[shape](v[t] - V_TH, float(WIDTHS[t])) * through[t] for t in range(T)])
    np.testing.assert_allclose(table["mean_gain"], shares(h), rtol=1e-6)
    scale = 1 if shape == "rectangular" else 2 * math.sqrt(9) / math.pi
    for width in (0.5, 1.9):
        counted = (np.abs(v - V_TH) < width * scale / 2) & through
        np.testing.assert_allclose(table[f"available_ratio_kappa{width:g}"], shares(counted), rtol=1e-12)
    lowest = V_TH - half.ravel()
    np.testing.assert_allclose(table["lower"], np.maximum(lowest, 0) if kind == "klif" else lowest, rtol=1e-6)


@pytest.mark.parametrize("shape", ["rectangular", "atan"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_at_the_potentials_and_through_spikes_are_the_loop_s(case, shape):
    kind, neuron, constants = made(case, shape)
    x, grad = currents()
    model, current = Bare(neuron), x.clone().requires_grad_()
    with mpdviz.record(model, gradients=True) as mpd:
        model(current, WIDTHS).backward(grad)
    seen = []
    twins.loop(kind, x.clone().requires_grad_(), WIDTHS, shape, v_th=V_TH, seen=seen, **constants).backward(
        grad
    )
    table = mpd.table()
    whole, through = ([float(pair[i].grad.norm()) for pair in seen] for i in (0, 1))
    np.testing.assert_allclose(table["grad_norm"], whole, rtol=1e-9)
    np.testing.assert_allclose(table["spike_grad_norm"], through, rtol=1e-9)
    nonzero = [float((pair[0].grad != 0).double().mean()) for pair in seen]
    np.testing.assert_allclose(table["grad_nonzero_ratio"], nonzero, rtol=1e-12)
    if shape == "rectangular":  # what reach says, a backward pass shows
        np.testing.assert_allclose(table["reach_ratio"], nonzero, atol=2e-3)


@pytest.mark.parametrize("case", CASES)
def test_a_recording_says_the_reset_and_why_nothing_is_predicted(case):
    kind, _, reset = case.partition("-")
    network = small(
        neuron=kind, strategy="fixed", reset=reset or "hard", **({} if kind == "psn" else {"decay": 0.3})
    )
    with mpdviz.record(network) as mpd, torch.no_grad():
        network(torch.randn(4, 1, 8, 8))
    info, table = mpd.layers[1].info, mpd.table()
    assert info.reset == (reset or {"clif": "own", "psn": "none"}[kind])
    predicted = kind == "lif" and "hard" in reset
    columns = ["predicted_ratio", "predicted_mean", "predicted_ratio_reset", "ks_mixture", "wasserstein_time"]
    assert (table[columns].notna() == predicted).all(axis=None)
    if not predicted:
        why = info.not_measured["predicted_ratio"]
        assert {"lif": "soft", "klif": "klif", "clif": "clif", "psn": "psn has none"}[kind] in why
        off = [verdict for verdict in mpd.verdicts() if verdict.check == "prediction_off"]
        assert {(verdict.outcome, why in verdict.sentence) for verdict in off} == {("not measured", True)}
    assert table["decay"].isna().all() == (kind == "psn")
    assert ("decay" in info.not_measured) == (kind == "psn")


@pytest.mark.parametrize("kind", ["lif", "klif"])
def test_without_a_decay_nothing_comes_back(kind):
    neuron = neurons.get(kind, decay=0.0, reset="soft")
    current = torch.randn(4, 5, 60, requires_grad=True)
    with mpdviz.record(neuron, gradients=True) as mpd:
        neuron(current).sum().backward()
    table = mpd.table()
    assert table["reach_ratio"].tolist() == table["available_ratio"].tolist()
    np.testing.assert_allclose(table["grad_nonzero_ratio"], table["available_ratio"])


def test_what_if_counts_nothing_where_relu_lets_nothing_through():
    neuron = neurons.get("klif", decay=0.5, v_th=0.5)
    current = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(1))
    with mpdviz.record(neuron) as mpd:
        neuron(current)
    v, _ = twins.klif(current.numpy(), twins.step(0.5), decay=np.float32(0.5), v_th=0.5, k=1)
    curve = mpd.what_if()
    for width in (0.5, 1.0, 2.0, 4.0):
        inside = (np.abs(v - 0.5) < width / 2) & (v > 0)
        rows = curve[np.isclose(curve["kappa"], width)]
        np.testing.assert_allclose(rows["available_ratio"], inside.reshape(3, -1).mean(1))


@pytest.mark.parametrize("shape", ["triangular", "atan"])
def test_other_shapes_over_a_klif_s_potentials_are_bounded_above_its_floor(shape):
    neuron = neurons.get("klif", decay=0.5, v_th=0.5)
    current = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(1))
    with mpdviz.record(neuron) as mpd:
        neuron(current)
    v, _ = twins.klif(current.numpy(), twins.step(0.5), decay=np.float32(0.5), v_th=0.5, k=1)
    half = surrogates.get(shape).half_width(0.1)
    inside = shares((np.abs(v - 0.5) < half) & (v > 0))
    gain = shares(DERIVATIVES[shape](v - 0.5, 1.0) * (v > 0))
    rows = mpd.what_if(shape)
    assert (rows["available_ratio_low"] <= inside + 1e-12).all()
    assert (rows["available_ratio_high"] >= inside - 1e-12).all()
    assert (rows["mean_gain_low"] <= gain + 1e-9).all()
    assert (rows["mean_gain_high"] >= gain - 1e-9).all()
    assert (rows["mean_gain_high"] - rows["mean_gain_low"] < 0.1).all()


def test_a_saved_recording_keeps_reset_and_floor_and_older_ones_lack_them(tmp_path):
    neuron = neurons.get("klif", reset="soft-detached")
    with mpdviz.record(neuron) as mpd:
        neuron(torch.randn(3, 4, 50))
    mpd.save(tmp_path / "new.npz")
    info = mpdviz.load_recording(tmp_path / "new.npz").layers[1].info
    assert (info.reset, info.floor) == ("soft-detached", 0.0)
    with np.load(tmp_path / "new.npz") as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))
    for layer in header["layers"].values():
        del layer["info"]["reset"], layer["info"]["floor"]
    arrays["header"] = np.array(json.dumps(header))
    np.savez(tmp_path / "old.npz", **arrays)
    old = mpdviz.load_recording(tmp_path / "old.npz").layers[1].info
    assert (old.reset, old.floor) == ("", None)
