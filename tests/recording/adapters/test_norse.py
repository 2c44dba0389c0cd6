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
from mpdviz.errors import MpdvizWarning
from mpdviz.recording.sites import functions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it scripts functions as it is imported
    norse = pytest.importorskip("norse.torch")
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract

METHODS = {
    "super": (100.0, 0.1**-0.5 - 1),
    "tanh": (2.0, np.arccosh(0.1**-0.5) / 2),
    "triangle": (0.5, 1.0),  # alpha scales; the support ends at 1
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


class Loop(nn.Module):
    """Steps a cell, and hands its state on."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state, spikes = None, []
        for step in x:
            s, state = self.cell(step, state)
            spikes.append(s)
        return torch.stack(spikes)


def replayed(cell, x, spikes):
    """Potentials `[T, N, ...]` in float64 less what they are compared with; for cells with tau_syn_inv."""
    p = cell.p
    v_th = p.v_th.double().numpy()
    rate, faded = cell.dt * float(p.tau_mem_inv), 1 - cell.dt * float(p.tau_syn_inv)
    v = current = adapted = np.zeros(x.shape[1:])
    above = []
    for step, s in zip(x.double().numpy(), spikes.double().numpy(), strict=True):
        if hasattr(p, "delta_T"):  # LIFAdEx: an exponential rise, and a current that adapts
            current = current + step
            rise = float(p.delta_T) * np.exp((v - v_th) / float(p.delta_T))
            h = v + rate * (-v + rise + current - adapted)
            drift = cell.dt * float(p.tau_ada_inv) * (float(p.adaptation_current) * v - adapted)
            adapted = adapted + drift + float(p.adaptation_spike) * s
            above.append(h - v_th)
        elif hasattr(p, "tau_adapt_inv"):  # LSNN: a threshold that adapts, currents that come a step late
            h = v + rate * (current - v)
            current = current * faded + step
            threshold = v_th + adapted * (1 - cell.dt * float(p.tau_adapt_inv))
            adapted = threshold - v_th + s * float(p.beta)
            above.append(h - threshold)
        else:
            current = current + step
            h = v + rate * (current - v)
            above.append(h - v_th)
        if not hasattr(p, "tau_adapt_inv"):
            current = current * faded
        v = (1 - s) * h
    return np.stack(above)


@pytest.mark.parametrize(
    ("make", "scale"),
    [
        (lambda: norse.LIFCell(LIFParameters(v_th=torch.tensor(-50.0)), dt=0.004), 400),
        (lambda: norse.LIFCell(LIFParameters(v_th=torch.linspace(0.2, 1.0, 7)), dt=0.004), 2),
    ],
    ids=["negative", "by neuron"],
)
def test_thresholds_of_any_kind_are_read(make, scale):
    made, x = Loop(make()), data() * scale
    mpd, _, spikes, read = observed_loop(made, x)
    above = replayed(made.cell, x, spikes)
    np.testing.assert_allclose(read, above, rtol=0, atol=1e-5 * scale)
    assert ((above > 0) == spikes.numpy().astype(bool)).all()
    table, one = mpd.table(), made.cell.p.v_th.numel() == 1
    check_table(table, np.abs(read) < 0.1**-0.5 - 1, spikes.numpy(), (True, False))
    shown = float(made.cell.p.v_th) if one else 0.0  # what exceeds each neuron's own
    assert table["v_th"].unique().tolist() == [shown]
    np.testing.assert_allclose(table["mean"], above.reshape(T, -1).mean(1) + shown, atol=1e-5 * scale)
    assert not mpd.left_out


@pytest.mark.parametrize(("kind", "v_th"), [("LSNNCell", 0.0), ("LIFAdExCell", 1.0)])
def test_neurons_of_which_only_a_part_is_known(kind, v_th):
    made, x = Loop(getattr(norse, kind)(dt=0.004)), data() * 3
    mpd, _, spikes, read = observed_loop(made, x)
    above = replayed(made.cell, x, spikes)
    np.testing.assert_allclose(read, above, rtol=0, atol=1e-4)
    table = mpd.table()
    assert table["count"].tolist() == [N * 7] * T
    assert table["v_th"].unique().tolist() == [v_th]  # of a threshold that adapts, what exceeds it is shown
    np.testing.assert_allclose(table["mean"], above.reshape(T, -1).mean(1) + v_th, atol=1e-5)
    np.testing.assert_allclose(table["firing_rate"], spikes.flatten(1).double().mean(1))
    inside = np.abs(read) < 0.1**-0.5 - 1
    np.testing.assert_allclose(table["available_ratio"], inside.reshape(T, -1).mean(1))
    assert table[["reach_ratio", "decay", "predicted_ratio"]].isna().all(axis=None)
    assert not mpd.left_out


def observed_loop(made, x):
    """A recording; the spikes and the arguments of the spike function, as they came by."""
    seen = []

    def look(cls, args, result, frame):
        seen.append(args[0].detach().double().numpy())

    plain = made(x)
    stop = functions.watch(look)
    with mpdviz.record(made) as mpd:
        spikes = made(x)
    stop()
    assert torch.equal(spikes, plain)
    assert 0 < spikes.mean() < 1
    return mpd, x, spikes.detach(), np.stack(seen)


def test_a_step_without_a_derivative_is_left_out():
    made = nn.Sequential(Loop(norse.LIFCell(LIFParameters(method="heaviside"), dt=0.004)), nn.Linear(7, 7))
    made.append(Loop(neurons("lif cell", "super")))
    x = data() * 2
    plain = made(x)
    with pytest.warns(MpdvizWarning, match="layer 0.cell is not recorded"), mpdviz.record(made) as mpd:
        assert torch.equal(made(x), plain)
    assert list(mpd.left_out) == ["0.cell"]
    assert "mpdviz.register" in mpd.left_out["0.cell"]
    assert mpd.table()["name"].unique().tolist() == ["2.cell"]
    np.testing.assert_allclose(mpd.table()["firing_rate"], plain.flatten(1).mean(1).detach(), atol=1e-7)


def test_a_method_that_norse_itself_does_not_know_raises_as_without_a_recording():
    made = Loop(norse.LIFCell(LIFParameters(method="adjoint")))
    with pytest.raises(ValueError, match="no such function"), mpdviz.record(made):
        made(data())


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
