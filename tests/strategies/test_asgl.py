"""ASGL: outputs mixed of spikes and analog values, against the formula under autograd; masks that resume."""

import copy

import numpy as np
import pytest
import torch
from networks import small

import mpdviz
from mpdviz import kernels, strategies, surrogates
from mpdviz.errors import BadInput
from mpdviz.kernels import Reset, backends, multistep_lif
from mpdviz.neurons import LIF
from mpdviz.neurons.leaky import Leaky
from mpdviz.norm import frozen_statistics
from mpdviz.regularizers.base import Forward, potentials

F64 = torch.float64
RESETS = [Reset(soft, detached) for soft in (False, True) for detached in (False, True)]


def mixed(x, alpha, mask):
    """METHOD section F, as it is written there."""
    sigma = torch.sigmoid(alpha * x)
    return sigma + (((x >= 0).to(x.dtype) - sigma) * mask).detach()


def loop(current, decay, v_th, alpha, masks, reset):
    """Neurons whose output is `mixed`; autograd finds the way back."""
    kept, outputs = torch.zeros_like(current[0]), []
    for step, mask in zip(current, masks, strict=True):
        v = kept + step
        s = mixed(v - v_th, alpha, mask)
        fired = s.detach() if reset.detached else s
        kept = decay * (v - v_th * fired if reset.soft else v * (1 - fired))
        outputs.append(s)
    return torch.stack(outputs)


def sharpness(value):
    return torch.tensor(value, dtype=F64, requires_grad=True)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_the_kernel_is_the_formula(reset, share):
    generator = torch.Generator().manual_seed(1)
    current = torch.randn(6, 300, dtype=F64, generator=generator)
    grad = torch.randn(6, 300, dtype=F64, generator=generator)
    masks = torch.rand(6, 300, generator=generator) < share
    results = []
    for ours in (True, False):
        leaf, decay, alpha = current.clone().requires_grad_(), sharpness(0.7), sharpness(1.6)
        if ours:
            shape = surrogates.get("sigmoid")
            out, _ = multistep_lif(leaf, decay, 0.5, 4 / alpha, shape, reset=reset, spiking=masks)
        else:
            out = loop(leaf, decay, 0.5, alpha, masks.to(F64), reset)
        out.backward(grad)
        results.append((out.detach(), leaf.grad, decay.grad, alpha.grad))
    for value, truth in zip(*results, strict=True):
        torch.testing.assert_close(value, truth, rtol=1e-10, atol=1e-12)


def test_all_analog_is_smooth_and_has_the_numerical_gradient():
    """With p = 1 the network is differentiable: its gradients are those of differences."""
    current = torch.randn(4, 3, dtype=F64, generator=torch.Generator().manual_seed(3))

    def run(current, decay, alpha):
        none = torch.zeros(4, 3, dtype=torch.bool)
        return multistep_lif(current, decay, 0.5, 4 / alpha, surrogates.get("sigmoid"), spiking=none)[0]

    assert torch.autograd.gradcheck(run, (current.requires_grad_(), sharpness(0.6), sharpness(2.3)))


def test_without_gradient_and_on_every_backend_the_same():
    current = torch.randn(5, 40, generator=torch.Generator().manual_seed(4))
    masks = torch.rand(5, 40, generator=torch.Generator().manual_seed(5)) < 0.5
    shape = surrogates.get("sigmoid")
    with_gradient, v = multistep_lif(current.clone().requires_grad_(), 0.5, 0.5, 2.0, shape, spiking=masks)
    names = backends.usable()
    for name in names:
        with backends.using(name):
            out, kept = multistep_lif(current, 0.5, 0.5, 2.0, shape, spiking=masks, keep_potentials=True)
        assert torch.equal(out, with_gradient)
        assert torch.equal(kept, v)
    assert torch.equal(out[masks], (v[masks] >= 0.5).float())
    torch.testing.assert_close(out[~masks], torch.sigmoid(2 * (v[~masks] - 0.5)))


@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_training_is_the_formula_and_alpha_gets_its_gradient(neuron):
    layer = small(seed=5, strategy="asgl:alpha=1.5", neuron=neuron, decay=0.4).double().train().encode
    seen, masks = [], []
    layer.neuron.observers.append(lambda current, *_: seen.append(current))
    mixing = Leaky.mixing

    def note(self, spiking):
        masks.append(spiking)
        return mixing(self, spiking)

    Leaky.mixing = note
    try:
        for _ in range(2):
            layer.zero_grad()
            out = layer(torch.randn(3, 5, 1, 8, 8, dtype=F64))
            grad = torch.randn(out.shape, dtype=F64)
            out.backward(grad)
            alpha, decay = sharpness(1.5), sharpness(layer.neuron.decay_value)
            truth = loop(seen.pop().detach(), decay, 0.5, alpha, masks.pop().to(F64), Reset())
            truth.backward(grad)
            torch.testing.assert_close(out, truth, rtol=1e-12, atol=0)
            assert layer.strategy.alpha.grad.item() == pytest.approx(alpha.grad.item(), rel=1e-9)
            if neuron == "plif":
                slope = decay.item() * (1 - decay.item())
                assert layer.neuron.w.grad.item() == pytest.approx(decay.grad.item() * slope, rel=1e-9)
    finally:
        Leaky.mixing = mixing


def masks_of(strategy, current, *, learns=True):
    situation = strategies.Situation(len(current), 0.2, 0.5, torch.ones(2), torch.zeros(2), learns=learns)
    return strategy.respond(situation, lambda rule: None).spiking(current)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_masks_are_bernoulli_anew_for_every_step_timestep_and_layer(p):
    current = torch.zeros(4, 50, 500)
    strategy, other = (strategies.get(f"asgl:p={p}").train() for _ in range(2))
    torch.rand(1)
    third = strategies.get(f"asgl:p={p}").train()
    first, second = masks_of(strategy, current), masks_of(strategy, current)
    assert torch.equal(first, masks_of(other, current))  # made where torch's random numbers stood alike
    share = 1 - p
    for mask in (first, second):
        assert mask.double().mean() == pytest.approx(share, abs=5 * np.sqrt(p * share / mask.numel()))
    if 0 < p < 1:
        for one, another in ((first, second), (first[0], first[1]), (first, masks_of(third, current))):
            agree = (one == another).double().mean()
            assert agree == pytest.approx(share**2 + p**2, abs=0.01)


def test_nobody_s_random_numbers_move_and_a_copy_goes_on_alike():
    network = small(seed=6, strategy="asgl").train()
    x = torch.randn(4, 1, 8, 8)
    before = torch.get_rng_state()
    network(x)
    assert torch.equal(torch.get_rng_state(), before)
    resumed = small(seed=99, strategy="asgl").train()
    resumed.load_state_dict(network.state_dict())
    assert torch.equal(network(x), resumed(x))
    again = copy.deepcopy(network.state_dict())
    with frozen_statistics(network):
        assert torch.equal(network(x), network(x))
    assert all(torch.equal(value, again[name]) for name, value in network.state_dict().items())


def test_initial_weights_are_those_of_any_other_strategy():
    assert small(seed=7, strategy="asgl").weights_hash() == small(seed=7, strategy="fixed").weights_hash()
    seeds = [int(layer.strategy.seed) for _, layer in small(seed=7, strategy="asgl").spiking_layers()]
    assert len(set(seeds)) == len(seeds)


def test_evaluation_emits_spikes_and_keeps_the_mask_s_numbers():
    network = small(seed=8, strategy="asgl").eval()
    seen = []
    network.encode.neuron.observers.append(lambda current, v, s, kappa, *_: seen.append((v, s, kappa)))
    before = copy.deepcopy(network.state_dict())
    network(torch.randn(4, 1, 8, 8))
    v, s, kappa = seen.pop()
    assert torch.equal(s, (v >= 0.5).float())
    assert kappa.tolist() == [4.0] * 3  # alpha = 1
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_of_alpha_the_magnitude_counts_with_a_floor():
    strategy = strategies.get("asgl:alpha=2")
    for alpha, width in ((2.0, 2.0), (-0.5, 8.0), (0.0, 400.0), (1e-9, 400.0)):
        with torch.no_grad():
            strategy.alpha.fill_(alpha)
        assert strategy.kappa(2, 0.2, 0.5, torch.ones(3)).tolist() == pytest.approx([width] * 2)


@pytest.mark.parametrize("training", [True, False])
def test_recording_changes_nothing_and_counts_potentials_at_the_threshold(training):
    """In training, where outputs are analog, a spike is still a potential at or above the threshold."""
    plain, watched = (small(seed=9, strategy="asgl").train(training) for _ in range(2))
    x = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = plain(x)
    expected.sum().backward()
    seen = []
    watched.features[0].neuron.observers.append(lambda current, v, s, *_: seen.append((v, s)))
    before = torch.get_rng_state()
    with mpdviz.record(watched, gradients=True) as mpd:
        out = watched(x)
        out.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(out, expected)
    gradients = [(a.grad, b.grad) for a, b in zip(plain.parameters(), watched.parameters(), strict=True)]
    assert all(torch.equal(a, b) for a, b in gradients if a is not None)
    assert all(torch.equal(a, b) for a, b in zip(plain.buffers(), watched.buffers(), strict=True))
    v, s = seen.pop()
    assert bool(((s > 0) & (s < 1)).any()) is training
    table = mpd.table().query("layer == 2")
    assert table["firing_rate"].tolist() == [float((v[t] >= 0.5).double().mean()) for t in range(3)]
    assert bool(table["reach_ratio"].isna().all()) is training
    assert bool(table["predicted_ratio"].isna().all()) is training
    said = mpd.layers[2].info.not_measured.get("reach_ratio", "")
    assert ("some outputs analog" in said) is training


def test_the_spike_path_of_mixed_outputs_is_what_autograd_hands_the_spikes():
    """DL/dS h = dL/dv - decay (1 - s) dL/dv(t + 1), with s as it was put out."""
    generator = torch.Generator().manual_seed(2)
    network = small(seed=10, strategy="asgl").double().train()
    seen = []
    network.hidden.neuron.observers.append(lambda *parts: seen.append(parts))
    with mpdviz.record(network, gradients=True) as mpd:
        network(torch.randn(4, 1, 8, 8, dtype=F64, generator=generator)).square().sum().backward()
    _, v, s, kappa, *_ = seen.pop()
    # dL/ds of the last layer by hand: the read-out is linear.
    logits = torch.stack([network.head(step) for step in s.detach()])
    total = torch.zeros_like(v[0])
    norms = []
    for t in (2, 1, 0):
        grad_s = 2 * logits[t] @ network.head.weight
        alpha = 4 / kappa[t]
        sigma = torch.sigmoid(alpha * (v[t] - 0.5))
        h = alpha * sigma * (1 - sigma)
        path = (grad_s - total * 0.2 * v[t]) * h
        total = path + total * 0.2 * (1 - s[t])
        norms.append(float(path.detach().norm()))
    table = mpd.table().query("layer == 5")
    np.testing.assert_allclose(table["spike_grad_norm"], norms[::-1], rtol=1e-6)


def test_what_cannot_be_mixed_is_refused_by_name(monkeypatch):
    with pytest.raises(BadInput, match="'atan' gives no analog output"):
        multistep_lif(torch.zeros(1, 2), 0.2, 0.5, 1.0, surrogates.get("atan"), spiking=torch.zeros(1, 2) > 0)
    monkeypatch.setattr(Leaky, "mixes", False)
    with pytest.raises(BadInput, match="neurons 'lif' put out spikes alone"):
        small(strategy="asgl")
    with pytest.raises(BadInput, match="neurons 'lif' put out spikes alone"):
        LIF()(torch.zeros(1, 2), spiking=torch.zeros(1, 2) > 0)
    assert "analog outputs" not in kernels.backends.KERNELS["compiled"].can


@pytest.mark.parametrize("kind", ["klif", "clif", "psn"])
def test_neurons_with_equations_of_their_own_are_refused_by_name(kind):
    with pytest.raises(BadInput, match=f"neurons '{kind}' put out spikes alone"):
        small(strategy="asgl", neuron=kind, timesteps=3)


@pytest.mark.parametrize("kind", ["klif", "clif", "psn"])
@pytest.mark.parametrize("name", ["dspike", "deeptage", "slope-schedule"])
def test_the_others_run_with_every_neuron_and_with_factors(name, kind):
    network = small(strategy=name, neuron=kind, norm="tebn", timesteps=3).train()
    network(torch.randn(2, 1, 8, 8)).sum().backward()
    for _, layer in network.spiking_layers():
        assert bool(layer.norm.weight.grad.isfinite().all())


@pytest.mark.parametrize("reset", ["hard", "soft", "hard-detached", "soft-detached"])
def test_potentials_run_again_for_a_regulariser_are_those_of_mixed_outputs(reset):
    network = small(strategy="asgl", reset=reset, decay=0.4).double().train()
    layer, seen = network.encode, []
    layer.neuron.observers.append(lambda *parts: seen.append((parts[1], potentials(Forward(layer, *parts)))))
    layer(torch.randn(3, 5, 1, 8, 8, dtype=F64))
    torch.testing.assert_close(seen[0][1].detach(), seen[0][0], rtol=1e-12, atol=1e-12)
