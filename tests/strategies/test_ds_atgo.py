"""DS-ATGO: thresholds and widths that follow the potentials, against METHOD's oracle and a plain loop."""

import copy

import numpy as np
import pytest
import scipy.stats
import torch

import mpdviz
from mpdviz import checkpoint, kernels, networks, strategies
from mpdviz.analysis.predict import predict
from mpdviz.config import validate
from mpdviz.errors import BadInput
from mpdviz.norm import frozen_statistics
from mpdviz.recording.measure import meter
from mpdviz.training.run import fit

SIZES = {"timesteps": 3, "num_classes": 3, "encode_channels": 4, "planes": (4, 4), "hidden": 8}


def network(seed=0, **options):
    torch.manual_seed(seed)
    return networks.build("convsnn", strategy="ds-atgo", **(SIZES | options))


def trained(steps=4, **options):
    """A network after some steps of training, its averages away from where they started."""
    net = network(**options).train()
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        net(torch.randn(6, 1, 8, 8, generator=generator))
    return net.eval()


# METHOD section C: U ~ N(0, sigma^2), threshold at mean + sigma.
@pytest.mark.parametrize(
    ("sigma", "fixed", "adaptive"), [(0.5, 0.4772, 0.2600), (1.0, 0.2417, 0.2417), (2.0, 0.1210, 0.2130)]
)
def test_available_share_of_normal_potentials(sigma, fixed, adaptive):
    u = sigma * torch.randn(1, 4_000_000, generator=torch.Generator().manual_seed(7))
    strategy = strategies.get("ds-atgo").train()

    def follow(rule):
        kernels.follow(u, 0.2, rule, kernels.Reset())

    situation = strategies.Situation(1, 0.2, 1.0, torch.ones(2), torch.zeros(2), learns=True)
    response = strategy.respond(situation, follow)
    v_th, kappa = response.thresholds, response.kappa
    law = scipy.stats.norm(0, sigma)
    for width, share in ((1.0, fixed), (float(kappa), adaptive)):
        counted = float(((u[0] - v_th[0]).abs() < width / 2).double().mean())
        assert counted == pytest.approx(share, abs=1e-3)
        closed = law.cdf(sigma + width / 2) - law.cdf(sigma - width / 2)
        assert closed == pytest.approx(share, abs=5e-5 if width == 1 else 2e-3)
    assert float(strategy.thresholds) == pytest.approx(0.9 + 0.1 * sigma, abs=1e-3)
    assert float(strategy.spreads) == pytest.approx(0.9 + 0.1 * sigma, abs=1e-3)


class Step(torch.autograd.Function):
    """A spike with the rectangular derivative of the given width."""

    @staticmethod
    def forward(ctx, x, width):
        ctx.save_for_backward(x)
        ctx.width = width
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() < ctx.width / 2) / ctx.width, None


def plain(current, decay, averages):
    """The equations one after the other: spikes, thresholds and widths; `averages` move in place."""
    v, spikes, thresholds, widths = torch.zeros_like(current[0]), [], [], []
    for t in range(len(current)):
        v = decay * v + current[t]
        spread = v.detach().std()
        threshold = v.detach().mean() + spread
        width = 1 + np.tanh(float(spread) - 1)
        averages[t] = 0.9 * averages[t] + 0.1 * float(threshold)
        s = Step.apply(v - threshold, width)
        v = v * (1 - s)
        spikes.append(s)
        thresholds.append(float(threshold))
        widths.append(width)
    return torch.stack(spikes), thresholds, widths


@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_training_is_the_plain_loop(neuron):
    net = network(neuron=neuron, decay=0.3).double().train()
    layer = net.encode
    averages = [layer.neuron.v_th] * 3
    seen = []
    layer.neuron.observers.append(
        lambda current, v, s, kappa, v_th, _: seen.append((current, kappa, v_th, s))
    )
    generator = torch.Generator().manual_seed(2)
    for _ in range(3):
        net.zero_grad()
        images = torch.randn(5, 1, 8, 8, generator=generator, dtype=torch.float64)
        spikes = layer(images.expand(3, *images.shape))
        grad = torch.randn(spikes.shape, generator=generator, dtype=torch.float64)
        current, kappa, v_th, _ = seen.pop()
        current.retain_grad()
        (spikes * grad).sum().backward()
        leaf = current.detach().clone().requires_grad_()
        decay = torch.tensor(layer.neuron.decay_value, dtype=torch.float64, requires_grad=True)
        expected, thresholds, widths = plain(leaf, decay, averages)
        (expected * grad).sum().backward()
        assert torch.equal(spikes, expected)
        np.testing.assert_allclose(v_th, thresholds, rtol=1e-12)
        np.testing.assert_allclose(kappa, widths, rtol=1e-12)
        torch.testing.assert_close(current.grad, leaf.grad, rtol=1e-12, atol=1e-15)
        if neuron == "plif":
            slope = decay.item() * (1 - decay.item())
            assert layer.neuron.w.grad.item() == pytest.approx(decay.grad.item() * slope, rel=1e-10)
    np.testing.assert_allclose(layer.strategy.thresholds, averages, rtol=1e-6)


def test_evaluation_uses_the_averages_and_changes_nothing():
    net = trained()
    before = copy.deepcopy(net.state_dict())
    seen = []
    net.encode.neuron.observers.append(lambda current, v, s, kappa, v_th, _: seen.append((v, s, kappa, v_th)))
    net(torch.randn(2, 1, 8, 8))
    v, spikes, kappa, v_th = seen.pop()
    assert torch.equal(v_th, net.encode.strategy.thresholds)
    assert torch.equal(spikes, (v >= v_th.view(3, 1, 1, 1, 1)).float())
    torch.testing.assert_close(kappa, 1 + torch.tanh(net.encode.strategy.spreads - 1))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert len(set(v_th.tolist())) == 3
    assert all(value != 0.5 for value in v_th.tolist())


def test_frozen_statistics_keep_the_averages_though_the_batch_s_own_are_used():
    net = trained()
    before = net.encode.strategy.thresholds.clone()
    seen = []
    net.encode.neuron.observers.append(lambda current, v, s, kappa, v_th, _: seen.append((v, v_th)))
    with frozen_statistics(net.train()):
        net(torch.randn(4, 1, 8, 8))
    v, v_th = seen.pop()
    assert torch.equal(net.encode.strategy.thresholds, before)
    torch.testing.assert_close(v_th, v.flatten(1).mean(1) + v.flatten(1).std(1))


def test_before_any_training_the_threshold_is_the_neurons_and_the_width_kappa():
    net = network(v_th=0.7).eval()
    with torch.no_grad(), mpdviz.record(net) as mpd:
        net(torch.randn(2, 1, 8, 8))
    table = mpd.table()
    assert set(table["v_th"]) == {0.7}
    assert set(table["kappa"]) == {1.0}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", ["rectangular", "atan"])
def test_recorded_counts_are_those_of_the_thresholds_in_force(shape, compiled, monkeypatch):
    if compiled:
        monkeypatch.setattr(meter, "SCAN_AFTER", 0)
    net = trained(surrogate=shape)
    seen = []
    net.features[0].neuron.observers.append(lambda c, v, s, kappa, v_th, _: seen.append((v, v_th, kappa)))
    with torch.no_grad(), mpdviz.record(net, what_if=[0.8]) as mpd:
        net(torch.randn(5, 1, 8, 8))
    v, v_th, kappa = (part.double().numpy() for part in seen.pop())
    half = {"rectangular": 0.5, "atan": 3 / np.pi}[shape]
    rows = mpd.table().query("layer == 2").reset_index()
    np.testing.assert_allclose(rows["v_th"], v_th, rtol=1e-6)
    layer = mpd.layers[2]
    for t, row in rows.iterrows():
        x = v[t].ravel() - v_th[t]
        assert row["available_ratio"] == np.mean(np.abs(x) < half * kappa[t])
        assert row["firing_rate"] == np.mean(x >= 0)
        assert row["available_ratio_kappa0.8"] == np.mean(np.abs(x) < half * 0.8)
        assert (row["lower"], row["upper"]) == pytest.approx(
            (v_th[t] - half * kappa[t], v_th[t] + half * kappa[t]), rel=1e-6
        )
        # The histogram's edges follow: bins above the one at the threshold hold the spikes.
        bins = layer.statistics.cells[t]
        assert bins[(len(bins) - 1) // 2 + 64 * 2 :].sum() == np.sum(x >= 0)


def test_reset_prediction_knows_the_thresholds():
    generator = np.random.default_rng(3)
    v_th, v, s = [0.6, 0.9, 0.4], 0, 0
    means, stds = [], []
    for t in range(3):
        v = 0.7 * v * (1 - s) + generator.normal(0.1, 0.5, 4_000_000)
        s = v >= v_th[t]
        means.append(v.mean())
        stds.append(v.std())
    law = predict("reset", timesteps=3, decay=0.7, v_th=0.5, gamma=[1.0], beta=[0.1], thresholds=v_th)
    np.testing.assert_allclose(law.mean, means, atol=4e-3)
    np.testing.assert_allclose(law.std, stds, rtol=4e-3)


def test_moving_averages_survive_saving_and_another_t_is_refused(tmp_path):
    config = validate(
        {"data": "digits", "strategy": "ds-atgo", "epochs": 1, "timesteps": 2, "device": "cpu"}
        | {"model": "convsnn:encode_channels=4:planes=4-4"}
    )
    fit(config, tmp_path / "run")
    loaded = checkpoint.load(tmp_path / "run" / "checkpoints" / "last.pt").network.eval()
    averages = [layer.strategy.thresholds for _, layer in loaded.spiking_layers()]
    assert all(len(part) == 2 and bool((part != 0.5).all()) for part in averages)
    widths = [row["kappa"] for row in loaded.widths()]
    spreads = torch.cat([layer.strategy.spreads for _, layer in loaded.spiking_layers()])
    np.testing.assert_allclose(widths, 1 + np.tanh(spreads.numpy() - 1), rtol=1e-6)
    with pytest.raises(BadInput, match="averages of T=2, not of T=4"):
        checkpoint.load(tmp_path / "run" / "checkpoints" / "last.pt", timesteps=4).network.eval()(
            torch.zeros(1, 1, 8, 8)
        )


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("kappa=0", "kappa=0"),
        ("factor=-1", "factor=-1"),
        ("momentum=0", "momentum=0"),
        ("v_th0=nan", "v_th0"),
    ],
)
def test_options_out_of_range_are_refused(option, words):
    with pytest.raises(BadInput, match=words):
        strategies.get(f"ds-atgo:{option}")
