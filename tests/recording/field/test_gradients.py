"""Gradients in networks as people build them: at the potentials, not at their inputs; NaN is never fine."""

import numpy as np
import pytest
import torch
from torch import nn

import mpdviz

IN, OUT, N, T = 8, 16, 12, 4


def random(*shape, seed=1, scale=2.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def linear(size_in=IN, size_out=OUT, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(size_in, size_out).double()


@pytest.fixture
def neuron():
    return pytest.importorskip("spikingjelly.activation_based.neuron")


NODES = {
    "LIF": (lambda neuron, **o: neuron.LIFNode(**o), lambda v, x: v + (x - v) / 2),
    "LIF, tau 8": (lambda neuron, **o: neuron.LIFNode(tau=8.0, **o), lambda v, x: v + (x - v) / 8),
    "LIF, input as it is": (
        lambda neuron, **o: neuron.LIFNode(decay_input=False, **o),
        lambda v, x: v - v / 2 + x,
    ),
    "PLIF": (
        lambda neuron, **o: neuron.ParametricLIFNode(init_tau=4.0, **o).double(),
        lambda v, x: v + (x - v) / 4,
    ),
    "IF": (lambda neuron, **o: neuron.IFNode(**o), lambda v, x: v + x),
}


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("node", NODES)
def test_the_gradient_is_that_at_the_potential(neuron, node, step_mode):
    make, charge = NODES[node]
    net = nn.Sequential(linear(), make(neuron, step_mode=step_mode))
    x, weights = random(T, N, IN), random(T, N, OUT, seed=2)
    with mpdviz.record(net, gradients=True) as mpd:
        mpd.new_sequence()
        out = net(x) if step_mode == "m" else torch.stack([net(step) for step in x])
        (out * weights).sum().backward()
    # The same once more in plain tensors, whose potentials keep their gradient.
    v, potentials, spike_paths, loss = torch.zeros(N, OUT, dtype=torch.float64), [], [], 0
    for step, weight in zip(x, weights, strict=True):
        h = charge(v, net[0](step))
        h.retain_grad()
        u = h - 1
        u.retain_grad()
        s = net[1].surrogate_function(u)
        loss = loss + (s * weight).sum()
        v = (1 - s) * h
        potentials.append(h)
        spike_paths.append(u)
    loss.backward()
    table = mpd.table()
    gradients = [h.grad.numpy() for h in potentials]
    np.testing.assert_allclose(table["grad_norm"], [np.linalg.norm(g) for g in gradients], rtol=1e-9)
    np.testing.assert_allclose(
        table["spike_grad_norm"], [np.linalg.norm(u.grad.numpy()) for u in spike_paths], rtol=1e-9
    )
    np.testing.assert_allclose(table["grad_zero"], [(g == 0).sum() for g in gradients])
    cosines = [
        (one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other)
        for one, other in zip(gradients, gradients[1:], strict=False)
    ]
    np.testing.assert_allclose(table["grad_cosine"], [*cosines, np.nan], rtol=1e-9)


@pytest.mark.parametrize("bias", [-5.0, 0.0])
def test_a_shortcut_around_the_neurons_is_not_their_gradient(neuron, bias):
    """The membrane shortcut of MS-ResNet and the Spike-driven Transformer: x + conv(lif(x))."""
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    triangle = surrogate.PiecewiseQuadratic(alpha=1.0)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = neuron.LIFNode(decay_input=False, surrogate_function=triangle, step_mode="m")
            self.fc = linear(OUT, OUT, seed=1)

        def forward(self, x):
            return x + self.fc(self.lif(x))

    net, x, labels = nn.Sequential(linear(), Block(), linear(OUT, 5, seed=2)), random(T, N, IN), torch.arange(N) % 5
    with torch.no_grad():
        net[0].weight.mul_(0.01 if bias else 1)
        net[0].bias.fill_(bias)
    with mpdviz.record(net, gradients=True) as mpd:
        nn.functional.cross_entropy(net(x).mean(0), labels).backward()
    current, v, potentials, outs = net[0](x), 0.0, [], []
    for step in current:
        h = v - v / 2 + step
        h.retain_grad()
        s = triangle(h - 1.0)
        v = (1 - s) * h
        potentials.append(h)
        outs.append(step + net[1].fc(s))
    nn.functional.cross_entropy(net[2](torch.stack(outs)).mean(0), labels).backward()
    truth, table = np.stack([h.grad.numpy().ravel() for h in potentials]), mpd.table()
    np.testing.assert_allclose(table["grad_norm"], np.linalg.norm(truth, axis=1), rtol=1e-9)
    np.testing.assert_allclose(table["grad_zero_ratio"], (truth == 0).mean(1))
    if bias:  # a layer far below its interval gets nothing, whatever goes by it
        assert table["grad_norm"].tolist() == [0] * T
        assert table[["available_ratio", "reach_ratio", "firing_rate"]].eq(0).all(axis=None)
    else:
        assert table["grad_norm"].gt(0).all()


def test_a_gradient_that_is_nan_is_a_failed_check():
    """snnTorch's sigmoid(25) overflows below x = -3.4 or so; one such potential poisons the backward pass."""
    snn = pytest.importorskip("snntorch")
    from snntorch import surrogate

    torch.manual_seed(0)
    spike = surrogate.sigmoid()
    lif = snn.Leaky(beta=0.75, init_hidden=True, spike_grad=spike)
    net = nn.Sequential(nn.Linear(IN, OUT), lif, nn.Linear(OUT, 4))
    x, labels = random(T, N, IN, scale=6).float(), torch.zeros(N, dtype=torch.long)
    with mpdviz.record(net, gradients=True) as mpd:
        mpd.new_sequence()
        nn.functional.cross_entropy(sum(net(step) for step in x), labels).backward()
    assert net[0].weight.grad.isnan().any()  # what the user sees
    mem, last, potentials, loss = torch.zeros(N, OUT), torch.zeros(N, OUT), [], 0
    for step in x:
        mem = 0.75 * mem + net[0](step) - last.detach()
        mem.retain_grad()
        potentials.append(mem)
        u = mem - 1
        s = spike(u)
        last = s
        loss = loss + net[2](s)
    nn.functional.cross_entropy(loss, labels).backward()
    table = mpd.table()
    np.testing.assert_array_equal(
        table["grad_nonfinite"], [int((~v.grad.isfinite()).sum()) for v in potentials]
    )
    v = torch.stack(potentials).detach()
    u = (v - 1).requires_grad_()
    (h,) = torch.autograd.grad(spike(u).sum(), u)
    inside = (h.isfinite() & (h.abs() >= 0.1 * h[h.isfinite()].abs().max().clamp(min=6.25))).numpy()
    assert h.isnan().any()
    np.testing.assert_allclose(table["available_ratio"], inside.reshape(T, -1).mean(1))
    reach, later = [], np.zeros((N, OUT), bool)
    for t in reversed(range(T)):
        later = inside[t] | later  # it resets by subtraction
        reach.insert(0, later.mean())
    np.testing.assert_allclose(table["reach_ratio"], reach)
    assert np.isfinite(table["mean_gain"]).all()
    assert np.isfinite(table["grad_norm"]).all()
    failed = {verdict.check: verdict for verdict in mpd.verdicts() if not verdict.passed}
    assert {"nonfinite_gain", "nonfinite_gradient"} <= set(failed)
    share = max(float(h.isnan()[t].double().mean()) for t in range(T))
    assert failed["nonfinite_gain"].value == pytest.approx(share)
    worst = max(float((~v.grad.isfinite()).double().mean()) for v in potentials)
    assert failed["nonfinite_gradient"].value == pytest.approx(worst)


def test_a_surrogate_that_is_sharpened_inside_the_block_is_read_at_each_call(neuron):
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    node = neuron.IFNode(surrogate_function=surrogate.Rect(alpha=1.0), step_mode="m")
    net, x = nn.Sequential(linear(), node), random(1, 200, IN)
    h = net[0](x).detach().numpy()[0].ravel()
    counts, gains = [], []
    with torch.no_grad(), mpdviz.record(net) as mpd:
        for alpha in (1.0, 4.0, 2.0):
            node.surrogate_function.alpha = alpha
            node.reset()
            net(x)
            inside = np.abs(h - 1) < 0.5 / alpha
            counts.append(inside.sum())
            gains.append(alpha * inside.sum())
            (row,) = mpd.table().to_dict("records")
            assert row["kappa"] == pytest.approx(1 / alpha)
            assert (row["lower"], row["upper"]) == pytest.approx((1 - 0.5 / alpha, 1 + 0.5 / alpha))
            assert row["available_ratio"] == pytest.approx(sum(counts) / (len(counts) * h.size))
            assert row["mean_gain"] == pytest.approx(sum(gains) / (len(gains) * h.size))
    assert len(set(counts)) == 3
