"""Resets, learned widths, shapes by timestep, thresholds by neuron: against a loop under autograd."""

import math

import numpy as np
import pytest
import torch
from reference import DERIVATIVES

import mpdviz
from mpdviz import networks, surrogates
from mpdviz.errors import BadInput
from mpdviz.kernels import Reset, backends, multistep_lif
from mpdviz.neurons import LIF, PLIF

F64 = torch.float64
BACKENDS = [name for name in backends.usable() if name != "compiled"]  # which leaves all of this to `eager`
RESETS = [Reset(soft, detached) for soft in (False, True) for detached in (False, True)]
T, N = 6, 400


class Spike(torch.autograd.Function):
    """1[x >= 0] with the derivative h(x; kappa), and for the width that of a smooth H(x / kappa)."""

    @staticmethod
    def forward(ctx, x, kappa, name):
        ctx.save_for_backward(x, kappa)
        ctx.name = name
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        x, kappa = ctx.saved_tensors
        h = torch.as_tensor(DERIVATIVES[ctx.name](x.numpy(), kappa.item()))
        return grad * h, -(grad * h * x).sum() / kappa, None


def loop(current, decay, v_th, kappa, names, reset):
    """The equations, one timestep after the other; autograd finds the way back."""
    kept, spikes = torch.zeros_like(current[0]), []
    for t, step in enumerate(current):
        v = kept + step
        s = Spike.apply(v - v_th[t], kappa[t], names[t])
        spikes.append(s)
        fired = s.detach() if reset.detached else s
        kept = decay * (v - v_th[t] * fired if reset.soft else v * (1 - fired))
    return torch.stack(spikes)


def both(reset, names, v_th, seed=0, backend="eager"):
    """Spikes and gradients of a kernel of ours and of the loop, for the same currents."""
    results = []
    for ours in (True, False):
        generator = torch.Generator().manual_seed(seed)
        current = torch.randn(T, N, dtype=F64, generator=generator).requires_grad_()
        grad = torch.randn(T, N, dtype=F64, generator=generator)
        decay = torch.tensor(0.7, dtype=F64, requires_grad=True)
        kappa = torch.linspace(0.6, 1.7, T, dtype=F64).requires_grad_()
        if ours:
            shapes = [surrogates.get(name) for name in names]
            with backends.using(backend):
                spikes, _ = multistep_lif(current, decay, v_th, kappa, shapes, reset=reset)
        else:
            spikes = loop(current, decay, v_th, kappa, names, reset)
        spikes.backward(grad)
        results.append((spikes.detach(), current.grad, decay.grad, kappa.grad))
    return results


def same(results):
    (spikes, *gradients), (expected, *truths) = results
    assert torch.equal(spikes, expected)
    assert 0.05 < float(spikes.mean()) < 0.95
    for gradient, truth in zip(gradients, truths, strict=True):
        torch.testing.assert_close(gradient, truth, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reset", RESETS, ids=str)
@pytest.mark.parametrize("name", sorted(DERIVATIVES))
def test_every_reset_with_every_shape(reset, name, backend):
    same(both(reset, [name] * T, torch.full((T,), 0.5, dtype=F64), backend=backend))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_a_shape_for_every_timestep(reset, backend):
    names = ["rectangular", "atan", "triangular", "sigmoid", "fast-sigmoid", "atan"]
    same(both(reset, names, torch.linspace(0.3, 0.8, T, dtype=F64), backend=backend))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_a_threshold_for_every_neuron(reset, backend):
    thresholds = torch.linspace(0.2, 1.0, N, dtype=F64).expand(T, N)
    same(both(reset, ["atan"] * T, thresholds, backend=backend))


@pytest.mark.parametrize("kind", [LIF, PLIF])
def test_neurons_take_a_reset_and_say_what_it_carries(kind):
    current = torch.full((4, 1, 3), 0.6)
    hard, soft = kind(0.5, 0.5)(current), kind(0.5, 0.5, reset=Reset(soft=True))(current)
    # Hard: 0.6 fires anew each time. Soft: kept are .05, .075, .0875 on top of it.
    assert hard.mean() == soft.mean() == 1
    weak = torch.full((4, 1, 1), 0.45)
    v, expected = 0.0, []
    for _ in range(4):
        v = 0.9 * v + 0.45
        expected.append(float(v >= 0.5))
        v -= 0.5 * expected[-1]
    np.testing.assert_array_equal(kind(0.9, 0.5, reset=Reset(soft=True))(weak).detach().flatten(), expected)
    assert kind(0.5).dynamics.carries == (True, False)
    assert kind(0.5, reset=Reset(soft=True)).dynamics.carries == (True, True)


def test_shapes_must_be_one_or_one_a_timestep():
    with pytest.raises(BadInput, match="2 shapes for 3 timesteps"):
        LIF()(torch.zeros(3, 1, 1), shape=[surrogates.get("atan")] * 2)


def test_a_learned_width_moves_against_its_gradient():
    # At x = 0 a width changes nothing; the farther away, the more a narrower one lowers the spike's slope.
    kappa = torch.ones(1, dtype=F64, requires_grad=True)
    x = torch.tensor([[0.25]], dtype=F64, requires_grad=True)
    multistep_lif(x, 0.0, 0.0, kappa, surrogates.get("atan"))[0].sum().backward()
    h = 1 / (1 + (math.pi * 0.25) ** 2)
    assert kappa.grad.item() == pytest.approx(-h * 0.25, rel=1e-12)


@pytest.mark.parametrize("backend", backends.usable()[1:])
@pytest.mark.filterwarnings("ignore")  # the compiler's own modules use what is deprecated
def test_a_network_gives_the_same_logits_and_the_same_recording(backend):
    torch.manual_seed(0)
    network = networks.build("convsnn", timesteps=4, num_classes=10, encode_channels=4, planes=(4, 6))
    network.train()
    x = torch.rand(16, 1, 8, 8)
    network(x)
    network.eval()
    results = []
    for name in ("eager", backend):
        with backends.using(name), mpdviz.record(network) as recording, torch.no_grad():
            logits = network(x)
        results.append((logits, recording.table()))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1].equals(results[1][1])
