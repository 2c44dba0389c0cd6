"""LIF and PLIF against the reference's recorded vectors; watching them changes nothing."""

import math

import numpy as np
import pytest
import torch
from reference import DERIVATIVES, lif_backward, lif_forward

from mpdviz import neurons, strategies, surrogates
from mpdviz.errors import BadInput

NAN, INF = float("nan"), float("inf")
LEAKY = ["lif", "plif"]
CASES = [f"lif{i}" for i in range(7)] + [f"plif{i}" for i in range(3)]


def load(golden, case):
    """Arrays of one case, time-major."""
    with np.load(golden / "neurons.npz", allow_pickle=False) as archive:
        arrays = {key.split(".", 1)[1]: archive[key] for key in archive.files if key.startswith(f"{case}.")}
    return {key: np.moveaxis(a, 1, 0).copy() if a.ndim else a.item() for key, a in arrays.items()}


def neuron_of(case):
    if "tau" in case:
        return neurons.LIF(decay=round(case["tau"], 6), v_th=case["v_th"])
    return neurons.PLIF(init_decay=1 / case["init_a"], v_th=case["v_th"])


def widths(case, neuron):
    """The widths MPD-AGL sets, or None (kappa = 1) where the reference was fixed."""
    if math.isnan(case["gamma_mean"]):
        return None
    gamma = torch.tensor([case["gamma_mean"]])
    return strategies.get("mpd-agl").kappa(len(case["x"]), neuron.decay, neuron.v_th, gamma)


@pytest.mark.parametrize("name", CASES)
def test_golden(golden, name):
    case = load(golden, name)
    neuron = neuron_of(case)
    x = torch.from_numpy(case["x"]).requires_grad_()
    spikes = neuron(x, widths(case, neuron))
    np.testing.assert_array_equal(spikes.detach().numpy(), case["spikes"])
    spikes.backward(torch.from_numpy(case["grad_out"]))
    np.testing.assert_allclose(x.grad, case["grad_x"], rtol=1e-5, atol=1e-5)
    if name.startswith("plif"):
        assert neuron.w.item() == pytest.approx(case["w"], rel=1e-6, abs=1e-7)
        assert neuron.w.grad.item() == pytest.approx(case["grad_w"], rel=1e-5, abs=1e-5)


def test_golden_covers_all_cases(golden):
    with np.load(golden / "neurons.npz", allow_pickle=False) as archive:
        assert {key.split(".")[0] for key in archive.files} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_without_gradient_the_same_spikes(golden, name):
    case = load(golden, name)
    neuron = neuron_of(case)
    with torch.no_grad():
        spikes = neuron(torch.from_numpy(case["x"]), widths(case, neuron))
    np.testing.assert_array_equal(spikes.numpy(), case["spikes"])


@pytest.mark.parametrize("kappa", [None, 0.5, torch.tensor(2.0), torch.tensor([0.3, 1.0, 2.0, 5.0])])
@pytest.mark.parametrize("shape", sorted(DERIVATIVES))
def test_every_surrogate_and_form_of_width(shape, kappa):
    x = torch.randn(4, 3, 50, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(4, 3, 50, dtype=torch.float64)
    neuron = neurons.LIF(0.6, 0.5, surrogates.get(shape))
    neuron(x, kappa).backward(grad)
    v, s = lif_forward(x.detach().numpy(), 0.6, 0.5)
    each = np.broadcast_to(1.0 if kappa is None else np.asarray(kappa, dtype=np.float64), 4)
    twin, _ = lif_backward(grad.numpy(), v, s, 0.6, 0.5, each, DERIVATIVES[shape])
    np.testing.assert_allclose(x.grad, twin, rtol=1e-9, atol=1e-10)


def test_plif_weight_gradient_matches_the_twin_in_float64():
    x = torch.randn(6, 200, dtype=torch.float64)
    grad = torch.randn(6, 200, dtype=torch.float64)
    neuron = neurons.PLIF(0.7).double()
    neuron(x).backward(grad)
    decay = 1 / (1 + math.exp(-neuron.w.item()))
    v, s = lif_forward(x.numpy(), decay, 0.5)
    _, grad_decay = lif_backward(grad.numpy(), v, s, decay, 0.5, np.ones(6), DERIVATIVES["rectangular"])
    assert neuron.w.grad.item() == pytest.approx(grad_decay * decay * (1 - decay), rel=1e-10)


@pytest.mark.parametrize("kind", LEAKY)
@pytest.mark.parametrize("kappa", [None, 0.7, torch.tensor([0.5, 1.0, 2.0, 0.25, 3.0])])
def test_observers_see_everything_and_change_nothing(kind, kappa):
    def run(*observers):
        neuron = neurons.get(kind, decay=0.35, v_th=0.5)
        neuron.observers.extend(observers)
        x = torch.randn(5, 2, 40, generator=torch.Generator().manual_seed(3)).requires_grad_()
        spikes = neuron(x, kappa)
        (spikes * torch.linspace(-1, 1, 40)).sum().backward()
        return neuron, x, spikes, [parameter.grad for parameter in neuron.parameters()]

    calls, later = [], []
    before = torch.get_rng_state()
    neuron, x, spikes, grads = run(lambda *seen: calls.append(seen), lambda *seen: later.append(seen))
    assert torch.equal(torch.get_rng_state(), before)
    _, plain_x, plain_spikes, plain_grads = run()
    assert torch.equal(spikes, plain_spikes)
    assert torch.equal(x.grad, plain_x.grad)
    assert all(torch.equal(a, b) for a, b in zip(grads, plain_grads, strict=True))

    assert len(calls) == len(later) == 1
    current, potentials, fired, widths_seen, thresholds_seen, shapes = calls[0]
    twin_v, twin_s = lif_forward(x.detach().numpy(), torch.as_tensor(neuron.decay).item(), 0.5)
    assert torch.equal(current, x)
    np.testing.assert_array_equal(potentials.numpy(), twin_v)
    np.testing.assert_array_equal(fired.detach().numpy(), twin_s)
    expected = torch.as_tensor(1.0 if kappa is None else kappa).expand(5)
    torch.testing.assert_close(widths_seen, expected, rtol=0, atol=0)
    assert thresholds_seen.tolist() == [0.5] * 5
    assert list(shapes) == [neuron.surrogate] * 5
    assert not potentials.requires_grad
    assert not widths_seen.requires_grad


@pytest.mark.parametrize("kind", neurons.NEURONS)
def test_observers_see_the_same_without_gradient(kind):
    neuron, calls = neurons.get(kind, timesteps=5), []
    neuron.observers.append(lambda *seen: calls.append(seen))
    x = torch.randn(5, 2, 40)
    neuron(x.requires_grad_())
    with torch.no_grad():
        neuron(x)
    (*with_gradient, shapes), (*without, same_shapes) = calls
    assert shapes == same_shapes == [neuron.surrogate] * 5
    for a, b in zip(with_gradient, without, strict=True):
        assert torch.equal(a, b)


def test_every_call_starts_from_rest():
    neuron, x = neurons.LIF(1.0), torch.full((1, 3), 0.4)
    assert neuron(x).sum() == neuron(x).sum() == 0


def test_constants_are_readable():
    assert (neurons.LIF().decay, neurons.LIF().v_th) == (0.2, 0.5)
    assert (neurons.LIF(0, 1).decay, neurons.LIF(1, 2).decay, neurons.LIF(0, 1).v_th) == (0.0, 1.0, 1.0)
    assert isinstance(neurons.LIF().surrogate, surrogates.Rectangular)
    neuron = neurons.PLIF()
    assert neuron.w.item() == pytest.approx(-math.log(5 - 1), rel=1e-7)
    assert neuron.w.shape == neuron.decay.shape == ()
    assert neuron.decay.item() == pytest.approx(0.2, rel=1e-6)
    assert neuron.decay.requires_grad
    assert [name for name, _ in neuron.named_parameters()] == ["w"]
    assert not list(neurons.LIF().state_dict())


@pytest.mark.parametrize("kind", neurons.NEURONS)
def test_printing_shows_the_constants_and_warns_of_nothing(kind):
    decay = {} if kind == "psn" else {"decay": 0.25}
    shown = repr(neurons.get(kind, **decay, v_th=0.75, timesteps=7))
    assert all(word in shown for word in ("0.75", "rectangular", "T=7" if kind == "psn" else "0.25")), shown


@pytest.mark.parametrize("kind", neurons.NEURONS)
def test_get_makes_the_kind_with_its_constants(kind):
    decay = {} if kind == "psn" else {"decay": 0.9}
    neuron = neurons.get(kind, **decay, v_th=1.5, surrogate=surrogates.get("atan"), timesteps=3)
    assert neuron.kind == kind
    assert neuron.decay_value == pytest.approx(decay.get("decay", NAN), nan_ok=True)
    assert neuron.v_th == 1.5
    assert neuron.surrogate.name == "atan"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        *[(lambda d=d: neurons.LIF(decay=d), ["decay", str(d), "0", "1"]) for d in (-0.1, 1.1, NAN, INF)],
        *[
            (lambda d=d: neurons.PLIF(init_decay=d), ["init_decay", str(d)])
            for d in (0.0, 1.0, -1.0, 2.0, NAN)
        ],
        *[(lambda v=v: neurons.LIF(v_th=v), ["v_th", str(v), "positive"]) for v in (0.0, -1.0, NAN, INF)],
        *[(lambda v=v: neurons.PLIF(v_th=v), ["v_th", str(v), "positive"]) for v in (0.0, NAN)],
        (lambda: neurons.get("pliff"), ["neuron", "'pliff'", "did you mean 'plif'"]),
        *[
            (lambda k=k: neurons.get(k, reset="soft", timesteps=2), [f"'{k}'", "`reset` soft", "leave"])
            for k in ("clif", "psn")
        ],
        (lambda: neurons.get("lif", reset="sof"), ["reset", "'sof'", "did you mean 'soft'"]),
        (lambda: neurons.get("psn", decay=0.5, timesteps=2), ["'psn'", "no decay", "`decay` 0.5", "leave"]),
        (lambda: neurons.get("psn"), ["'psn'", "`timesteps`"]),
        *[
            (lambda k=k, d=d: neurons.get(k, decay=d), ["decay", str(d), "0", "1"])
            for k in ("klif", "clif")
            for d in (-0.1, 1.1, NAN)
        ],
        (lambda: neurons.get("psn", timesteps=3)(torch.zeros(2, 4)), ["psn", "T=3", "T=2"]),
        (
            lambda: neurons.LIF()(torch.zeros(3, 2), torch.ones(2)),
            ["kappa", "[2]", "[3, 2]", "each timestep"],
        ),
        (lambda: neurons.LIF()(torch.zeros(3, 2), torch.ones(3, 2)), ["kappa", "[3, 2]"]),
        (lambda: neurons.LIF()(torch.zeros(3, 2), torch.ones(1)), ["kappa", "[1]"]),
    ],
)
def test_bad_constants_get_one_line(call, words):
    with pytest.raises(BadInput) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
