"""Regularisers against written-out autograd, closed forms, NumPy twins and numerical differentiation."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from networks import small
from scipy.stats import norm as normal

from mpdviz import regularizers
from mpdviz.errors import BadInput
from mpdviz.kernels import Reset
from mpdviz.neurons import LIF, PLIF, Neuron
from mpdviz.regularizers import Forward, potentials

F64 = torch.float64
RESETS = [Reset(), Reset(detached=True), Reset(soft=True), Reset(soft=True, detached=True)]


class Spike(torch.autograd.Function):
    """1[x >= 0], with the rectangle of width kappa for a derivative."""

    @staticmethod
    def forward(ctx, x, kappa):
        ctx.save_for_backward(x)
        ctx.kappa = kappa
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() < ctx.kappa / 2) / ctx.kappa, None


def written_out(current, decay, kappa, v_th, reset):
    """Potentials and spikes as the equations have them, by autograd's own operations."""
    kept, v, spikes = torch.zeros_like(current[0]), [], []
    for step in current:
        v.append(decay * kept + step)
        spikes.append(Spike.apply(v[-1] - v_th, kappa))
        s = spikes[-1].detach() if reset.detached else spikes[-1]
        kept = v[-1] - v_th * s if reset.soft else v[-1] * (1 - s)
    return torch.stack(v), torch.stack(spikes)


def seen(neuron, current, kappa=0.8, norm=None):
    """What a regulariser is shown of a forward."""
    shown = []
    layer = SimpleNamespace(neuron=neuron, norm=norm)
    neuron.observers.append(lambda c, v, s, k, v_th, shapes: shown.append((c, v, s, k, v_th, shapes)))
    neuron(current, kappa)
    neuron.observers.clear()
    return Forward(layer, *shown[0])


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", [LIF, PLIF])
def test_potentials_carry_the_gradient_of_the_written_out_neuron(kind, reset):
    """Through time, decay, surrogate and reset: anything made of potentials and spikes gets the same one."""
    random = torch.Generator().manual_seed(1)
    current, on_v, on_s = (torch.randn(5, 40, generator=random, dtype=F64) for _ in range(3))
    neuron = kind(0.7, 0.5, reset=reset).double()
    grads = []
    for ours in (True, False):
        neuron.zero_grad()
        x = current.clone().requires_grad_()
        if ours:
            forward = seen(neuron, x)
            v, spikes = potentials(forward), forward.spikes
            assert torch.equal(v.detach(), forward.v)
        else:
            v, spikes = written_out(x, neuron.decay, 0.8, 0.5, reset)
        (on_v * v.square() + on_s * spikes).sum().backward()
        grads.append([x.grad, *(p.grad for p in neuron.parameters())])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    assert 0.1 < float(spikes.detach().mean()) < 0.9


def test_im_loss_by_hand():
    """T = 2, decay .5, v_th .5: potentials .2, .4 and .6 (a spike), 0: mean .3 against .25; square .0025."""
    forward = seen(LIF(0.5, 0.5), torch.tensor([[0.2, 0.6], [0.3, 0.0]]))
    torch.testing.assert_close(forward.v, torch.tensor([[0.2, 0.6], [0.4, 0.0]]))
    penalty = regularizers.get("im-loss")
    term = penalty.of_layer(forward)
    assert term.item() == pytest.approx(0.0025, rel=1e-5)
    assert penalty.penalty([term, torch.tensor(0.01)]).item() == pytest.approx(0.005 * 0.0125, rel=1e-5)


def test_im_loss_in_a_network_is_that_of_all_its_potentials():
    network = small(seed=0).double().train()
    potentials_seen = []
    for _, layer in network.spiking_layers():
        layer.neuron.observers.append(lambda _, v, *__: potentials_seen.append(v.numpy().copy()))
    penalty = regularizers.get("im-loss:weight=2")
    with penalty.watching(network) as terms:
        network(torch.randn(6, 1, 8, 8, dtype=F64))
    twin = 2 * sum((v.mean() - 0.5 / 3) ** 2 for v in potentials_seen)
    assert len(potentials_seen) == 5
    assert penalty.penalty(terms).item() == pytest.approx(twin, rel=1e-12)


def sgr_layer(gamma, beta, v_th=0.5, alpha=1.0, p=None):
    weight, bias = (torch.tensor(values, dtype=F64, requires_grad=True) for values in (gamma, beta))
    factors = None if p is None else torch.tensor(p, dtype=F64, requires_grad=True)
    return SimpleNamespace(
        weight=weight, bias=bias, v_th=v_th, alpha=alpha, factors=lambda timesteps: factors
    )


# METHOD.md, section E: share of potentials within (0, 1) at v_th = .5 for kappa = 1.
@pytest.mark.parametrize(
    ("decay", "gamma", "first", "later"),
    [(0.2, 0.25, 50.0, 50.0), (0.2, 1, 47.72, 47.51), (0.5, 2, 34.13, 31.45), (0.9, 1, 47.72, 43.14)],
)
def test_mpd_sgr_without_spikes_is_the_closed_form_s_table(decay, gamma, first, later):
    current = torch.zeros(2, 6, 3, dtype=F64)  # what is predicted does not depend on it, but for spikes
    forward = seen(LIF(decay, 0.5), current, 1.0, sgr_layer([gamma] * 3, [0.0] * 3))
    found = regularizers.get("mpd-sgr").of_layer(forward).item()
    assert 100 * found == pytest.approx((first + later) / 2, abs=0.006)


def sgr_twin(gamma, beta, decay, p, taken):
    """The docstring's law in NumPy, what resets took `[T, C]` given: mean over channels and timesteps."""
    shares = []
    for t in range(len(taken)):
        left = [decay ** (t - i) for i in range(t + 1)]
        mu = beta * sum(left[i] * p[i] for i in range(t + 1)) - taken[t] - 0.5
        sigma = abs(gamma) * 1.3 * 0.5 * math.sqrt(sum(left[i] ** 2 * p[i] ** 2 for i in range(t + 1)))
        shares.append(normal.cdf((mu + 0.4) / sigma) - normal.cdf((mu - 0.4) / sigma))
    return np.mean(shares)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("p", [None, [1.2, -0.6, 0.3, 0.9]])
def test_mpd_sgr_and_its_gradient_are_the_twin_s(p, soft):
    random = np.random.default_rng(3)
    gamma, beta = random.normal(1, 0.4, 3), random.normal(0.2, 0.3, 3)
    neuron = PLIF(0.6, 0.5, reset=Reset(soft=soft)).double()
    decay = neuron.decay_value
    norm = sgr_layer(gamma.tolist(), beta.tolist(), alpha=1.3, p=p)
    forward = seen(neuron, torch.from_numpy(random.normal(0.2, 0.6, (4, 7, 3, 2, 2))), 0.8, norm)
    v, s = forward.v.numpy(), forward.spikes.detach().numpy()
    assert 0.1 < s.mean() < 0.9
    lost = ((0.5 if soft else v) * s).mean((1, 3, 4))
    # A constant of the batch: the decay that learns is that of the law alone.
    taken = np.array([sum((decay ** (t - i) * lost[i] for i in range(t)), np.zeros(3)) for t in range(4)])
    each = np.ones(4) if p is None else np.array(p)
    at = {"gamma": gamma, "beta": beta, "decay": np.array(decay), "p": each}

    def slopes(name):
        """Central differences of the twin."""
        found = []
        for step in 1e-6 * np.eye(at[name].size).reshape(-1, *at[name].shape):
            up, down = (sgr_twin(**(at | {name: at[name] + sign * step}), taken=taken) for sign in (1, -1))
            found.append((up - down) / 2e-6)
        return pytest.approx(found, rel=1e-5, abs=1e-9)

    term = regularizers.get("mpd-sgr").of_layer(forward)
    assert term.item() == pytest.approx(sgr_twin(**at, taken=taken), rel=1e-12)
    term.backward()
    assert norm.weight.grad.tolist() == slopes("gamma")
    assert norm.bias.grad.tolist() == slopes("beta")
    assert [neuron.w.grad.item() / (decay * (1 - decay))] == slopes("decay")
    if p is not None:
        assert norm.factors(4).grad.tolist() == slopes("p")


@pytest.mark.parametrize("soft", [False, True])
def test_mpd_sgr_s_mean_is_the_channel_s(soft):
    """Discounted mean current less what resets took is the mean of the potentials, exactly."""
    random = np.random.default_rng(4)
    current = random.normal(0.3, 0.6, (5, 30, 4))
    forward = seen(LIF(0.8, 0.5, reset=Reset(soft=soft)), torch.from_numpy(current))
    taken = regularizers.get("mpd-sgr")._taken(forward).numpy()
    driven = [sum(0.8 ** (t - i) * current[i].mean(0) for i in range(t + 1)) for t in range(5)]
    np.testing.assert_allclose(forward.v.mean(1), driven - taken, rtol=1e-11, atol=1e-13)


def test_mpd_sgr_of_dead_channels_is_finite():
    norm = sgr_layer([0.0, 1.0], [0.0, 0.0], p=[0.0, 1.0])
    term = regularizers.get("mpd-sgr").of_layer(seen(LIF(0.2), torch.zeros(2, 3, 2, dtype=F64), 1.0, norm))
    term.backward()
    assert math.isfinite(term.item())
    assert bool(norm.weight.grad.isfinite().all())
    assert bool(norm.factors(2).grad.isfinite().all())


@pytest.mark.parametrize("name", sorted(regularizers.REGULARIZERS))
def test_every_regularizer_says_what_it_is_and_leaves_nothing_behind(name):
    penalty, network = regularizers.get(f"{name}:weight=3"), small(seed=0).train()
    assert (penalty.name, penalty.weight) == (name, 3)
    assert penalty.source
    penalty.check(network)
    with penalty.watching(network) as terms:
        network(torch.randn(4, 1, 8, 8))
    assert len(terms) == 5
    assert all(not layer.neuron.observers for _, layer in network.spiking_layers())
    penalty.penalty(terms).backward()
    slopes = [layer.norm.bias.grad for _, layer in network.spiking_layers()]
    assert all(bool((slope != 0).any()) for slope in slopes)


class Odd(Neuron):
    """A neuron whose potential is no leaky sum."""

    kind = "odd"

    @property
    def dynamics(self):
        return object()


@pytest.mark.parametrize("name", sorted(regularizers.REGULARIZERS))
def test_neurons_that_are_not_known_are_refused_by_name(name):
    network = small()
    network.encode.neuron = Odd(0.5, None)
    with pytest.raises(BadInput, match=rf"regularizer '{name}' with neuron 'odd'.*choose `neuron` lif"):
        regularizers.get(name).check(network)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("im_loss", ["unknown regularizer 'im_loss'", "did you mean 'im-loss'"]),
        ("mpd-sgr:eta=1", ["has no option 'eta'", "mpdviz list regularizers"]),
        ("mpd-sgr:weight=0", ["weight=0.0", "positive"]),
        ("im-loss:weight=nan", ["weight=nan", "positive"]),
        ("im-loss:weight=inf", ["weight=inf"]),
    ],
)
def test_bad_strings_get_one_line(text, words):
    with pytest.raises(BadInput) as caught:
        regularizers.get(text)
    assert all(word in str(caught.value) for word in words), caught.value
