"""Recording Norse's own neurons, against NumPy in float64 and against the same run unobserved."""

import gc
import warnings
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from unobserved import check_potentials, check_table, observed

import mpdviz
from mpdviz.errors import BadInput, MpdvizWarning

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
    mpd, current, spikes, read = observed(made, "neuron", lambda: made(x))
    check_potentials(read, twin(made.neuron, current, spikes, subtract))
    inside = np.abs(read - np.float32(V_TH)) < METHODS[method][1]
    check_table(mpd.table(), inside, spikes, (True, subtract))
    assert mpd.table()["count"].tolist() == [N * 7] * T


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


def test_no_graph_is_kept_alive():
    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor

    alive = weakref.WeakSet()

    def pack(tensor):
        saved = Saved(tensor)
        alive.add(saved)
        return saved

    made, x = Network("lif cell", "super"), data()
    with mpdviz.record(made), torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        out = made(x)
        assert len(alive) > 0
        del out
        gc.collect()
        assert len(alive) == 0
