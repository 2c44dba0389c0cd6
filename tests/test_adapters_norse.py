"""Recording Norse's own neurons, against NumPy in float64 and against the same run unobserved."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import mpdviz
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.recording.adapters import find

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it scripts functions as it is imported
    norse = pytest.importorskip("norse.torch")
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract

METHODS = {
    "super": (100.0, 0.1**-0.5 - 1),
    "tanh": (2.0, np.arccosh(0.1**-0.5) / 2),
    "triangle": (0.5, 0.9),  # alpha scales; the support ends at 1, a tenth of the height is left at 0.9
    "heavi_erfc": (2.0, np.sqrt(np.log(10)) / 2),
}
T, N = 8, 6
V_TH = 0.3


def neurons(kind, method, *, reset=None):
    own = {"v_th": torch.tensor(V_TH), "method": method, "alpha": torch.tensor(METHODS[method][0])}
    if kind.startswith("box"):
        if reset is not None:
            own["reset_method"] = reset
        return norse.LIFBoxCell(LIFBoxParameters(**own), dt=0.005)
    made = {"lif cell": norse.LIFCell, "lif": norse.LIF}.get(kind)
    if made is not None:
        return made(LIFParameters(**own), dt=0.004)
    return {"recurrent cell": norse.LIFRecurrentCell, "recurrent": norse.LIFRecurrent}[kind](
        7, 7, LIFParameters(**own), dt=0.004
    )


class Network(nn.Module):
    def __init__(self, kind, method, **options):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.neuron, self.out = (
            nn.Linear(7, 7),
            neurons(kind, method, **options),
            nn.Linear(7, 3),
        )
        self.linear.weight.data *= 3

    def forward(self, x):
        if isinstance(self.neuron, norse.LIF | norse.LIFRecurrent):
            return self.out(self.neuron(self.linear(x))[0])
        state, spikes = None, []
        for step in x:
            s, state = self.neuron(self.linear(step), state)
            spikes.append(s)
        return self.out(torch.stack(spikes))


def data():
    return torch.randn(T, N, 7, generator=torch.Generator().manual_seed(1)) * 2


def twin(neuron, x, spikes, subtract):
    """Pre-reset potentials in float64 that replay the emitted spikes."""
    rate = neuron.dt * float(neuron.p.tau_mem_inv)
    v = current = last = np.zeros(x.shape[1:])
    potentials = []
    for step, s in zip(x, spikes, strict=True):
        if hasattr(neuron.p, "tau_syn_inv"):
            if hasattr(neuron, "input_weights"):
                weights = neuron.input_weights, neuron.recurrent_weights
                first, again = (w.detach().double().numpy() for w in weights)
                step = step @ first.T + last @ again.T
            current = current + step
            h = v + rate * (current - v)
            current = current * (1 - neuron.dt * float(neuron.p.tau_syn_inv))
        else:
            h = v + rate * (step - v)
        potentials.append(h)
        v, last = h - V_TH * s if subtract else (1 - s) * h, s
    return np.stack(potentials)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "kind", ["lif cell", "lif", "recurrent cell", "recurrent", "box cell", "box cell, subtracting"]
)
def test_potentials_are_those_of_the_recurrence_and_nothing_changes(kind, method):
    subtract = kind.endswith("subtracting")
    made, x = Network(kind, method, reset=reset_subtract if subtract else None), data()
    plain = made(x)
    plain.square().sum().backward()
    expected = [p.grad.clone() for p in made.parameters()]
    made.zero_grad()
    seen, inputs, outputs = [], [], []

    def keep(_, given, output):
        inputs.append(given[0])
        outputs.append(output[0])

    hook = made.neuron.register_forward_hook(keep)
    activation = made.neuron.activation
    stop = find(made)["neuron"].watch(seen.append)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mpdviz.record(made, gradients=True) as mpd:
            out = made(x)
            out.square().sum().backward()
    stop()
    hook.remove()
    assert torch.equal(out, plain)
    assert torch.equal(torch.get_rng_state(), before)
    assert made.neuron.activation is activation
    assert all(torch.equal(p.grad, e) for p, e in zip(made.parameters(), expected, strict=True))
    join = torch.stack if "cell" in kind else torch.cat
    current, spikes = (join(parts).detach().double().numpy() for parts in (inputs, outputs))
    read = torch.cat([reading.v for reading in seen]).double().numpy()
    truth = twin(made.neuron, current, spikes, subtract)
    np.testing.assert_allclose(read, truth, rtol=0, atol=1e-6 * max(1, np.abs(truth).max()))
    assert 0 < spikes.mean() < 1
    table = mpd.table()
    inside = np.abs(read - np.float32(V_TH)) < METHODS[method][1]
    np.testing.assert_allclose(table["available_ratio"], inside.reshape(T, -1).mean(1))
    np.testing.assert_allclose(table["firing_rate"], spikes.reshape(T, -1).mean(1))
    reach, later = [], np.zeros_like(inside[0])
    for t in reversed(range(T)):
        later = inside[t] | (later if subtract else later & (spikes[t] == 0))
        reach.insert(0, later.mean())
    np.testing.assert_allclose(table["reach_ratio"], reach)
    assert table["count"].tolist() == [N * 7] * T


def test_a_second_sequence_begins_where_the_state_is_given_up():
    made = Network("lif cell", "super")
    with mpdviz.record(made) as mpd:
        made(data())
        made(data() + 1)
    assert mpd.table()["count"].tolist() == [2 * N * 7] * T


def test_a_state_handed_from_batch_to_batch_is_told():
    made = Network("lif", "super").neuron
    _, state = made(data())
    with pytest.warns(MpdvizWarning, match="reset the network's state"), mpdviz.record(made):
        made(data(), state)


@pytest.mark.parametrize(
    "make",
    [
        lambda: norse.LSNNCell(),
        lambda: norse.LIFAdExCell(),
        lambda: norse.LIFCell(LIFParameters(method="adjoint")),
        lambda: norse.LIFCell(LIFParameters(method="heaviside")),
        lambda: norse.LIFCell(LIFParameters(v_th=torch.tensor(-50.0))),
        lambda: norse.LIFCell(LIFParameters(v_th=torch.ones(3))),
    ],
)
def test_other_neurons_are_refused(make):
    with pytest.raises(BadInput), mpdviz.record(nn.Sequential(make())):
        pass
