"""Recording snnTorch's own neurons, against NumPy in float64 and against the same run unobserved."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from unobserved import check_potentials, check_table, observed

import mpdviz
from mpdviz.errors import BadInput, MpdvizWarning

snn = pytest.importorskip("snntorch")
from snntorch import surrogate, utils  # noqa: E402

NEURONS = {
    "leaky": lambda **o: snn.Leaky(0.8, **o),
    "rleaky": lambda **o: snn.RLeaky(0.8, V=0.5, all_to_all=False, **o),
    "synaptic": lambda **o: snn.Synaptic(0.7, 0.8, **o),
    "alpha": lambda **o: snn.Alpha(0.9, 0.8, **o),
    "lapicque": lambda **o: snn.Lapicque(0.8, **o),
}
SURROGATES = {
    "fast_sigmoid": (surrogate.fast_sigmoid(5), (0.1**-0.5 - 1) / 5),
    "atan": (surrogate.atan(2.0), 3 / np.pi),
    "sigmoid": (surrogate.sigmoid(5), 2 / 5 * np.arccosh(0.1**-0.5)),
}
T, N = 6, 8


class Network(nn.Module):
    """Two layers, states handed around as in snnTorch's tutorials."""

    def __init__(self, neuron, **options):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(7, 9), nn.Linear(9, 5)
        self.lif1, self.lif2 = NEURONS[neuron](**options), NEURONS[neuron](**options)
        for linear in (self.first, self.second):
            linear.weight.data *= 3

    def forward(self, x):
        states = [list(at_rest(neuron)) for neuron in (self.lif1, self.lif2)]
        out = []
        for step in x:
            spikes = step
            for number, (linear, neuron) in enumerate(((self.first, self.lif1), (self.second, self.lif2))):
                spikes, *states[number] = neuron(linear(spikes), *states[number])
                if isinstance(neuron, snn.RLeaky):
                    states[number] = [spikes, *states[number]]
            out.append(spikes)
        return torch.stack(out)


def at_rest(neuron):
    made = getattr(neuron, f"reset_{'mem' if hasattr(neuron, 'reset_mem') else 'hidden'}")()
    return made if isinstance(made, tuple) else (made,)


def data():
    return torch.randn(T, N, 7, generator=torch.Generator().manual_seed(1)) * 2


def twin(neuron, x, spikes, reset, delayed):
    """Pre-reset potentials in float64 that replay the emitted spikes."""
    beta, potentials = float(neuron.beta), []
    mem = syn = exc = inh = last = np.zeros(x.shape[1:])
    for step, s in zip(x, spikes, strict=True):
        # What lies above the threshold is reset now; with a delay that is where the last spikes were.
        due = last if delayed else mem > 1
        if isinstance(neuron, snn.Alpha):
            alpha, before = float(neuron.alpha), inh
            tau = np.log(alpha) / (np.log(beta) - np.log(alpha)) + 1
            exc, inh = alpha * exc + step, beta * inh - step
            mem = tau * (exc + inh)
            if reset == "zero":
                exc, inh, mem = (1 - due) * exc, (1 - due) * inh, (1 - due) * mem
            elif reset == "subtract":
                exc, inh, mem = exc - due, (1 - due) * inh, mem + due * before
        else:
            drive, leak = step, beta
            if isinstance(neuron, snn.Synaptic):
                drive = syn = float(neuron.alpha) * syn + step
            if isinstance(neuron, snn.RLeaky):
                drive = step + 0.5 * last
            if isinstance(neuron, snn.Lapicque):
                leak, drive = 1 + np.log(beta), -np.log(beta) * step  # C = -1 / log(beta)
            # All but Leaky lose the input of the step that resets, too.
            kept = 1 - due if reset == "zero" else np.ones_like(mem)
            mem = leak * kept * mem + (drive if isinstance(neuron, snn.Leaky) else kept * drive)
            mem = mem - due if reset == "subtract" else mem
        potentials.append(mem)
        if not delayed:
            again = s - due
            mem = {"subtract": mem - again, "zero": mem - again * mem, "none": mem}[reset]
        last = s
    return np.stack(potentials)


@pytest.mark.parametrize("shape", SURROGATES)
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize(
    ("neuron", "delayed"),
    [(neuron, True) for neuron in NEURONS] + [(neuron, False) for neuron in ("leaky", "rleaky", "synaptic")],
)
def test_potentials_are_those_of_the_recurrence_and_nothing_changes(neuron, reset, delayed, shape):
    function, half = SURROGATES[shape]
    at_once = {} if delayed else {"reset_delay": False}  # which Alpha and Lapicque do not know
    made, x = Network(neuron, reset_mechanism=reset, spike_grad=function, **at_once), data()
    mpd, current, spikes, read = observed(made, "lif1", lambda: made(x))
    assert np.array_equal(read > 1, spikes == 1)
    check_potentials(read, twin(made.lif1, current, spikes, reset, delayed))
    carries = (False, False) if neuron == "alpha" else (True, reset != "zero")
    table = mpd.table().query("layer == 1")
    check_table(table, np.abs(read - 1) < half, spikes, carries)
    assert len(mpd.table()) == 2 * T
    # A spike of the first layer drives the second's 5 neurons, at each of the T calls.
    assert table["synops"].tolist() == (spikes.reshape(T, -1).sum(1) * 5).tolist()


def test_neurons_at_the_threshold_do_not_spike():
    made = nn.Sequential(snn.Leaky(0.5, init_hidden=True))
    with mpdviz.record(made) as mpd:
        made(torch.tensor([[1.0, 1.5, 0.5]]))
    assert mpd.table()["firing_rate"].tolist() == [pytest.approx(1 / 3)]


def test_hidden_states_begin_a_sequence_when_they_are_reset():
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Linear(7, 9), snn.Leaky(0.8, init_hidden=True), nn.Linear(9, 4), snn.Leaky(0.8, init_hidden=True)
    )
    whole, x = [], data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mpdviz.record(made) as mpd:
            for batch in range(3):
                utils.reset(made)
                whole.append(torch.stack([made(step + batch) for step in x]))
    spikes = torch.cat(whole, 1).detach()
    table = mpd.table()
    assert table["count"].tolist() == [3 * N * 9] * T + [3 * N * 4] * T
    np.testing.assert_allclose(table["firing_rate"][T:], spikes.flatten(1).mean(1))


def test_silent_timesteps_do_not_begin_a_sequence():
    """Of zeros the potentials stay zero, as if they had been reset; they were not."""
    made = nn.Sequential(snn.Leaky(0.8, init_hidden=True))
    with mpdviz.record(made) as mpd:
        for batch in range(2):
            utils.reset(made)
            for step in range(4):
                made(torch.full((2, 3), 2.0 * batch * (step > 1)))
    assert mpd.table()["count"].tolist() == [12] * 4


def test_every_second_sequence():
    made, x = Network("leaky"), data()
    tables = []
    for every, batches in ((2, range(4)), (1, (0, 2))):
        with mpdviz.record(made, every=every) as mpd:
            for batch in batches:
                made(x + batch)
        tables.append(mpd.table())
    pd.testing.assert_frame_equal(*tables)


def test_a_forgotten_reset_is_told():
    made, x = nn.Sequential(snn.Leaky(0.8, init_hidden=True)), data()
    for step in x:
        made(step)
    with warnings.catch_warnings(record=True) as told, mpdviz.record(made):
        warnings.simplefilter("always")
        for step in x:
            made(step)
    assert [warning.category for warning in told] == [MpdvizWarning]
    assert "reset the network's state" in str(told[0].message)


@pytest.mark.parametrize(
    "make",
    [
        lambda: snn.LeakyParallel(3, 4),
        lambda: snn.SLSTM(3, 4),
        lambda: snn.RSynaptic(0.5, 0.5, all_to_all=False, V=1.0),
        lambda: snn.Leaky(0.5, threshold=torch.ones(3)),
        lambda: snn.Leaky(0.5, surrogate_disable=True),
        lambda: snn.Leaky(0.5, spike_grad=surrogate.triangular()),
    ],
)
def test_other_neurons_are_refused(make):
    with pytest.raises(BadInput), mpdviz.record(nn.Sequential(make())):
        pass


def test_inference_mode_and_train_mode_count_the_same():
    made, x = Network("leaky"), data()
    tables = []
    for mode in (torch.inference_mode, torch.enable_grad):
        with mode(), mpdviz.record(made) as mpd:
            made(x)
        tables.append(mpd.table())
    assert tables[0].equals(tables[1])
