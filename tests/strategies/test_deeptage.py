"""DeepTAGE: widths by the potentials' distance from the threshold, against hand-worked values and a loop."""

import copy
import math

import numpy as np
import pytest
import torch
from networks import small

import mpdviz
from mpdviz import kernels, strategies
from mpdviz.errors import BadInput
from mpdviz.norm import frozen_statistics

F64 = torch.float64
SITUATION = strategies.Situation(2, 0.5, 1.0, torch.ones(2, dtype=F64), torch.zeros(2), learns=True)


def respond(strategy, current, situation=SITUATION):
    return strategy.respond(
        situation, lambda rule: kernels.follow(current, situation.decay, rule, kernels.Reset())
    )


def test_by_hand():
    """Two samples of two neurons, v_th 1, decay .5.

    t=1: v = (4, 5), (1, -1): x = (3, 4), (0, -2), lengths 5 and 2, sigma 3.5; the first three spike.
    t=2: v = 0 + (1, 1), (13, -.5 + 1.5): x = (0, 0), (12, 0), lengths 0 and 12, sigma 6.
    delta(2) = .25 * 6 / 3.5 + .75.
    """
    strategy = strategies.get("deeptage").train()
    current = torch.tensor([[[4.0, 5.0], [1.0, -1.0]], [[1.0, 1.0], [13.0, 1.5]]], dtype=F64)
    assert respond(strategy, current).kappa.tolist() == pytest.approx([1, 0.25 * 6 / 3.5 + 0.75], rel=1e-14)
    assert strategy.deltas.tolist() == pytest.approx([1, 0.25 * 6 / 3.5 + 0.75], rel=1e-14)
    second = torch.tensor([[[2.0, 1.0], [1.0, 2.0]], [[3.0, 1.0], [1.0, 3.0]]], dtype=F64)
    assert respond(strategy, second).kappa.tolist() == pytest.approx([1, 1.25], rel=1e-14)  # sigma 1 and 2
    expected = 0.9 * (0.25 * 6 / 3.5 + 0.75) + 0.1 * 1.25
    assert strategy.deltas.tolist() == pytest.approx([1, expected], rel=1e-14)
    assert respond(strategy.eval(), current).kappa.tolist() == pytest.approx([1, expected], rel=1e-14)


def test_potentials_that_all_lie_on_the_threshold_leave_the_width_at_one():
    strategy = strategies.get("deeptage:w=0.5").train()
    current = torch.tensor([[[1.0]], [[3.0]]], dtype=F64)
    assert respond(strategy, current).kappa.tolist() == [1, 1]


class Step(torch.autograd.Function):
    """A spike with the derivative 1 / (1 + pi^2 (x / delta)^2)."""

    @staticmethod
    def forward(ctx, x, delta):
        ctx.save_for_backward(x)
        ctx.delta = delta
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + math.pi**2 * (x / ctx.delta) ** 2), None


def plain(current, decay, v_th):
    """The equations one after the other, under autograd."""
    v, spikes, sigmas, deltas = torch.zeros_like(current[0]), [], [], []
    for t in range(len(current)):
        v = decay * v + current[t]
        x = v - v_th
        sigmas.append(np.mean([np.linalg.norm(sample) for sample in x.detach().flatten(1).numpy()]))
        deltas.append(0.25 * sigmas[-1] / sigmas[0] + 0.75)
        s = Step.apply(x, deltas[-1])
        v = v * (1 - s)
        spikes.append(s)
    return torch.stack(spikes), deltas


@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_training_is_the_plain_loop(neuron):
    layer = small(seed=3, strategy="deeptage", neuron=neuron, decay=0.8).double().train().encode
    seen = []
    layer.neuron.observers.append(lambda *parts: seen.append(parts))
    generator = torch.Generator().manual_seed(2)
    averages = None
    for _ in range(3):
        layer.zero_grad()
        x = torch.randn(3, 5, 1, 8, 8, generator=generator, dtype=F64)
        spikes = layer(x)
        grad = torch.randn(spikes.shape, generator=generator, dtype=F64)
        current, _, _, kappa, *_ = seen.pop()
        current.retain_grad()
        (spikes * grad).sum().backward()
        leaf = current.detach().clone().requires_grad_()
        decay = torch.tensor(layer.neuron.decay_value, dtype=F64, requires_grad=True)
        expected, deltas = plain(leaf, decay, 0.5)
        (expected * grad).sum().backward()
        assert torch.equal(spikes, expected)
        assert len(set(deltas)) == 3
        np.testing.assert_allclose(kappa, deltas, rtol=1e-12)
        torch.testing.assert_close(current.grad, leaf.grad, rtol=1e-9, atol=1e-13)
        if neuron == "plif":
            slope = decay.item() * (1 - decay.item())
            assert layer.neuron.w.grad.item() == pytest.approx(decay.grad.item() * slope, rel=1e-9)
        averages = np.array(deltas) if averages is None else 0.9 * averages + 0.1 * np.array(deltas)
    np.testing.assert_allclose(layer.strategy.deltas, averages, rtol=1e-12)


def test_evaluation_and_frozen_statistics_change_nothing_and_recording_shows_the_averages():
    network = small(seed=4, strategy="deeptage").train()
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert set(network.encode.widths(3).tolist()) == {1.0}
    network(x)
    before = copy.deepcopy(network.state_dict())
    assert sum(name.endswith("deltas") for name in before) == 5
    with mpdviz.record(network.eval()) as mpd, torch.no_grad():
        network(x)
    with frozen_statistics(network.train()):
        network(x)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    table = mpd.table().query("layer == 1")
    np.testing.assert_allclose(table["kappa"], before["encode.strategy.deltas"], rtol=1e-7)
    half = before["encode.strategy.deltas"].numpy() * 3 / np.pi  # where h has fallen to a tenth
    np.testing.assert_allclose(table["upper"] - table["v_th"], half, rtol=1e-6)


def test_another_t_is_refused():
    network = small(strategy="deeptage").train()
    network(torch.randn(4, 1, 8, 8))
    with pytest.raises(BadInput, match="averages of T=3, not of T=2"):
        network.encode.widths(2)
