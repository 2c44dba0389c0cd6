"""klif, clif and psn: potentials, spikes and gradients against twins, a loop under autograd, SpikingJelly."""

import math

import neuron_twins as twins
import numpy as np
import pytest
import torch
from reference import DERIVATIVES

from mpdviz import neurons, surrogates
from mpdviz.kernels import RESETS, backends

F64 = torch.float64
T, N, V_TH = 6, 300, 0.6
KINDS = {
    "klif": {"decay": 0.7},
    "klif-soft": {"decay": 0.7, "reset": "soft"},
    "klif-hard-detached": {"decay": 0.7, "reset": "hard-detached"},
    "klif-soft-detached": {"decay": 0.7, "reset": "soft-detached"},
    "clif": {"decay": 0.7},
    "clif-paper": {"decay": 0.5},
    "psn": {},
}


def made(case, shape="rectangular"):
    """A neuron in float64 with parameters away from where they start, and its twin's constants."""
    torch.manual_seed(3)
    kind, options = case.partition("-")[0], KINDS[case]
    neuron = neurons.get(kind, v_th=V_TH, surrogate=surrogates.get(shape), timesteps=T, **options).double()
    constants = {name: value for name, value in options.items() if name == "decay"}
    if kind == "klif":
        neuron.k.data.fill_(1.3)
        reset = RESETS[options.get("reset", "hard")]
        constants |= {"k": 1.3, "soft": reset.soft, "detached": reset.detached}
    if kind == "psn":
        neuron.weight.data.normal_().add_(torch.eye(T))
        neuron.bias.data = torch.linspace(-0.9, 0.1, T, dtype=F64)
        constants |= {name: value.detach().numpy().copy() for name, value in neuron.named_parameters()}
    return kind, neuron, constants


def currents(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(T, 2, N // 2, generator=generator, dtype=F64) * 0.8 + 0.2
    return x, torch.randn(T, 2, N // 2, generator=generator, dtype=F64)


def forward_twin(kind, constants):
    plain = {name: value for name, value in constants.items() if name != "detached"}
    return lambda x, spike: getattr(twins, kind)(x, spike, v_th=V_TH, **plain)


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("case", KINDS)
def test_potentials_and_spikes_are_those_of_the_equations(case, gradient):
    kind, neuron, constants = made(case)
    seen = []
    neuron.observers.append(lambda *shown: seen.append(shown))
    x, _ = currents()
    with torch.set_grad_enabled(gradient):
        spikes = neuron(x)
    v, s = forward_twin(kind, constants)(x.numpy(), twins.step(V_TH))
    np.testing.assert_allclose(seen[0][1], v, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(spikes.detach(), s)
    assert not seen[0][1].requires_grad
    assert 0.1 < s.mean() < 0.7
    if kind == "klif":
        assert (v == 0).mean() > 0.1


@pytest.mark.parametrize("shape", sorted(DERIVATIVES))
@pytest.mark.parametrize("case", KINDS)
def test_gradients_are_autograd_s_through_a_loop(case, shape):
    kind, neuron, constants = made(case, shape)
    learned = {name: value.detach().clone().requires_grad_() for name, value in neuron.named_parameters()}
    kappa = torch.linspace(0.7, 2.1, T, dtype=F64)
    x, grad = currents()
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    widths, others = kappa.clone().requires_grad_(), kappa.clone().requires_grad_()
    neuron(ours, widths).backward(grad)
    twins.loop(kind, theirs, others, shape, v_th=V_TH, **(constants | learned)).backward(grad)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(widths.grad, others.grad, rtol=1e-9, atol=1e-11)
    for name, value in neuron.named_parameters():
        torch.testing.assert_close(value.grad, learned[name].grad, rtol=1e-9, atol=1e-11)
        assert value.grad.abs().min() > 0


@pytest.mark.parametrize("case", [case for case in KINDS if "detached" not in case])
def test_gradients_are_the_slope_of_the_equations_with_spikes_to_first_order(case):
    # With s(t) + h(t) (v - v(t)) for the spike, the written-out forward has the surrogate gradient as its
    # true one: central differences of it along random directions.
    kind, neuron, constants = made(case, "atan")
    x, grad = currents(1)
    run = forward_twin(kind, constants)
    v, s = run(x.numpy(), twins.step(V_TH))
    h = DERIVATIVES["atan"](v - V_TH, 1.0)
    current = x.clone().requires_grad_()
    neuron(current).backward(grad)
    random, eps = np.random.default_rng(0), 1e-6
    for _ in range(5):
        along = random.normal(size=x.shape)
        ends = [
            (run(x.numpy() + side * eps * along, twins.linearised(v, s, h))[1] * grad.numpy()).sum()
            for side in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * eps)
        assert slope == pytest.approx(float((current.grad.numpy() * along).sum()), rel=1e-5, abs=1e-5)


def jelly(case, neuron):
    """SpikingJelly's neuron of the same constants; its ATan(2) is ours at kappa = 1."""
    nodes = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate").ATan(2.0)
    if case.startswith("klif"):
        node = nodes.KLIFNode(
            False, 1 / (1 - neuron.decay), False, V_TH, None if neuron.reset.soft else 0.0, surrogate,
            neuron.reset.detached, "m",
        ).double()  # fmt: skip
        node.k.data.copy_(neuron.k.data)
    elif case.startswith("clif"):
        node = nodes.ComplementaryLIFNode(1 / (1 - neuron.decay), V_TH, surrogate, "m").double()
    else:
        node = nodes.PSN(T, surrogate).double()
        node.weight.data.copy_(neuron.weight.data)
        node.bias.data.copy_(neuron.bias.data.unsqueeze(1))
    return node


@pytest.mark.parametrize("case", KINDS)
def test_spikes_and_gradients_are_those_of_spikingjelly(case):
    _, neuron, _ = made(case, "atan")
    node = jelly(case, neuron)
    x, grad = currents(2)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    spikes, expected = neuron(ours), node(theirs)
    assert torch.equal(spikes, expected)
    spikes.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-10)
    for name, value in neuron.named_parameters():
        torch.testing.assert_close(value.grad, getattr(node, name).grad.view_as(value), rtol=1e-8, atol=1e-9)


def test_clif_by_hand():
    # tau = 2, v_th = 1: v = 1.2 spikes, m = 1, w = 1.2 - 1 - sigmoid(1) = -.531059; then v = 1.5 - .265529.
    neuron = neurons.get("clif", decay=0.5, v_th=1.0).double()
    seen = []
    neuron.observers.append(lambda *shown: seen.append(shown))
    spikes = neuron(torch.tensor([[1.2], [1.5], [0.5]], dtype=F64))
    second = 1.5 + 0.5 * (0.2 - 1 / (1 + math.exp(-1)))
    m = 1 / (1 + math.exp(-second / 2)) + 1
    third = 0.5 + 0.5 * (second - 1 - 1 / (1 + math.exp(-m)))
    assert spikes.flatten().tolist() == [1, 1, 0]
    assert seen[0][1].flatten().tolist() == pytest.approx([1.2, second, third], rel=1e-12)


def test_a_klif_with_k_1_and_currents_that_stay_positive_is_a_lif():
    x = torch.rand(T, 50, dtype=F64)
    for reset in ("hard", "hard-detached"):
        one, other = (neurons.get(kind, decay=0.9, reset=reset) for kind in ("klif", "lif"))
        assert torch.equal(one.double()(x), other(x))


def test_a_psn_starts_as_its_source_does():
    torch.manual_seed(0)
    neuron = neurons.get("psn", v_th=1.0, timesteps=50)
    assert neuron.bias.tolist() == [-1.0] * 50
    # Kaiming-uniform with a = sqrt 5: within 1 / sqrt(T), of that standard deviation over sqrt 3.
    assert neuron.weight.abs().max() <= 1 / math.sqrt(50)
    assert neuron.weight.std().item() == pytest.approx(1 / math.sqrt(150), rel=0.05)
    assert math.isnan(neuron.decay_value)


def test_thresholds_that_a_rule_makes_are_followed():
    # As ds-atgo sets them: the thresholds given afterwards make the same potentials.
    for case in KINDS:
        _, neuron, _ = made(case)
        x, _ = currents(4)
        followed, seen = [], []

        def rule(v, followed=followed):
            followed.append(v.clone())
            return v.mean() + v.std()

        neuron.follow(x, rule)
        neuron.observers.append(lambda *shown, seen=seen: seen.append(shown))
        neuron(x, None, torch.stack([v.mean() + v.std() for v in followed]))
        torch.testing.assert_close(seen[0][1], torch.stack(followed), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", ["klif", "clif", "psn"])
def test_potentials_stay_float32_where_the_rest_is_bfloat16(case):
    _, neuron, _ = made(case)
    neuron = neuron.float()
    seen = []
    neuron.observers.append(lambda *shown: seen.append(shown))
    x = currents()[0].bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        spikes = neuron(x)
    assert (spikes.dtype, seen[0][1].dtype) == (torch.bfloat16, torch.float32)
    exact = neuron(x.float())
    assert torch.equal(spikes.float(), exact)


@pytest.mark.thorough
@pytest.mark.parametrize("case", ["klif", "clif", "psn"])
@pytest.mark.parametrize("backend", backends.usable())
def test_every_backend_leaves_what_it_cannot_do_to_the_definition(case, backend):
    _, neuron, _ = made(case)
    x, _ = currents()
    expected = neuron(x)
    with backends.using(backend):
        assert torch.equal(neuron(x), expected)
