"""Recording snnTorch's own neurons, against NumPy in float64 and against the same run unobserved."""

import contextlib
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from tiers import thorough_but
from torch import nn
from unobserved import check_potentials, check_table, observed

import mpdviz
from mpdviz.errors import MpdvizWarning

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


@pytest.mark.parametrize("shape", thorough_but(["atan"], SURROGATES))
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
    with warnings.catch_warnings(record=True) as told, mpdviz.record(made) as mpd:
        warnings.simplefilter("always")
        for step in x:
            made(step)
    messages = [str(warning.message) for warning in told if warning.category is MpdvizWarning]
    assert len(messages) == len(told) == 2  # what it began with, and at the end that it was one sequence
    assert messages[0].startswith("layer 0 began a sequence with the potentials that the one before had left")
    assert messages[1].startswith("layer 0 was called 6 times without a reset, which counts as one sequence")
    assert mpd.table()["count"].tolist() == [N * 7] * T


class Loop(nn.Module):
    """Steps a neuron that hands its state around."""

    def __init__(self, neuron):
        super().__init__()
        self.neuron = neuron

    def forward(self, x):
        state, spikes = list(at_rest(self.neuron)), []
        for step in x:
            s, *state = self.neuron(step, *state)
            if isinstance(self.neuron, snn.RSynaptic):
                state = [s, *state]
            spikes.append(s)
        return torch.stack(spikes)


def watched(made, x):
    """The recording, and the spikes and what exceeds the threshold, both `[T, N, ...]` in float64."""
    plain = made(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mpdviz.record(made) as mpd:
            out = made(x)
    assert torch.equal(out, plain)
    assert not mpd.left_out
    spikes = out.detach().double().numpy()
    assert 0 < spikes.mean() < 1
    return mpd, spikes


def leaky(x, spikes, threshold):
    """Potentials of Leaky(0.5), resetting by subtraction, in float64."""
    mem, potentials, last = 0.0, [], np.zeros(x.shape[1:])
    for step, s in zip(x.double().numpy(), spikes, strict=True):
        mem = 0.5 * mem + step - last * threshold
        potentials.append(mem)
        last = s
    return np.stack(potentials)


def test_thresholds_that_differ_by_neuron_are_read():
    threshold = torch.linspace(0.5, 1.5, 7)
    mpd, spikes = watched(Loop(snn.Leaky(0.5, threshold=threshold)), data())
    truth = leaky(data(), spikes, threshold.double().numpy()) - threshold.double().numpy()
    np.testing.assert_array_equal(spikes, truth > 0)
    table = mpd.table()
    assert table["v_th"].unique().tolist() == [0]  # what exceeds each neuron's own is shown
    np.testing.assert_allclose(table["mean"], truth.reshape(T, -1).mean(1), atol=1e-6)
    check_table(table, np.abs(truth) < 3 / np.pi, spikes, (True, True))


@pytest.mark.parametrize(
    ("function", "inside", "gain"),
    [
        # 1 below and -1 above, whatever its name says.
        (surrogate.triangular(), lambda x: np.full(x.shape, True), lambda x: np.where(x > 0, -1, 1)),
        # One-sided, largest where it begins.
        (
            surrogate.SFS(10, 0.2),
            lambda x: (x > 0.2) & (1 + 10 * x < 3 * 10**0.5),
            lambda x: (x > 0.2) / (1 + 10 * np.abs(x)) ** 2,
        ),
        # Centred one above the threshold.
        (
            surrogate.spike_rate_escape(2.0, 1.0),
            lambda x: np.exp(-2 * np.abs(x - 1)) > 0.1,
            lambda x: np.exp(-2 * np.abs(x - 1)),
        ),
    ],
    ids=["triangular", "SFS", "spike_rate_escape"],
)
def test_odd_surrogates_are_read(function, inside, gain):
    mpd, spikes = watched(Loop(snn.Leaky(0.5, spike_grad=function)), data())
    truth = leaky(data(), spikes, 1.0) - 1
    x = torch.linspace(-3, 3, 601, dtype=torch.float64, requires_grad=True)
    (h,) = torch.autograd.grad(function(x).sum(), x)
    known = x.detach().numpy()
    np.testing.assert_allclose(h.numpy()[known != 0], gain(known)[known != 0], rtol=1e-6)
    table = mpd.table()
    check_table(table, inside(truth), spikes, (True, True))
    np.testing.assert_allclose(table["mean_gain"], gain(truth).reshape(T, -1).mean(1), rtol=1e-5, atol=1e-7)


def test_a_surrogate_that_is_drawn_at_random_changes_no_random_number():
    made, x, ends = Loop(snn.Leaky(0.5, spike_grad=surrogate.SSO())), data(), []
    for around in (contextlib.nullcontext(), mpdviz.record(made, gradients=True)):
        torch.manual_seed(3)
        with around:
            made(x.clone().requires_grad_()).sum().backward()
        ends.append(torch.get_rng_state())
    assert torch.equal(*ends)


def test_neurons_with_a_synaptic_recurrence_are_read():
    made = Loop(snn.RSynaptic(0.7, 0.5, all_to_all=False, V=0.4))
    mpd, spikes = watched(made, data())
    syn = mem = last = np.zeros((N, 7))
    potentials = []
    for step, s in zip(data().double().numpy(), spikes, strict=True):
        syn = 0.7 * syn + step + 0.4 * last
        mem = 0.5 * mem + syn - last
        potentials.append(mem)
        last = s
    truth = np.stack(potentials)
    np.testing.assert_array_equal(spikes, truth > 1)
    table = mpd.table()
    np.testing.assert_allclose(table["mean"], truth.reshape(T, -1).mean(1), atol=1e-5)
    check_table(table, np.abs(truth - 1) < 3 / np.pi, spikes, (True, True))


def test_a_whole_sequence_at_once():
    made = nn.Sequential(snn.LeakyParallel(7, 4, beta=0.6))
    mpd, spikes = watched(made, data() * 3)
    rnn = {name: p.detach().double().numpy() for name, p in made[0].rnn.named_parameters()}
    mem, potentials = np.zeros((N, 4)), []
    for step in data().double().numpy() * 3:
        drive = step @ rnn["weight_ih_l0"].T + rnn["bias_ih_l0"] + rnn["bias_hh_l0"]
        mem = np.maximum(drive + mem @ rnn["weight_hh_l0"].T, 0)
        potentials.append(mem)
    truth = np.stack(potentials)
    np.testing.assert_array_equal(spikes, truth > 1)
    table = mpd.table()
    assert table["count"].tolist() == [N * 4] * T
    np.testing.assert_allclose(table["mean"], truth.reshape(T, -1).mean(1), rtol=1e-5)
    np.testing.assert_allclose(table["firing_rate"], spikes.reshape(T, -1).mean(1))
    assert table[["reach_ratio", "decay"]].isna().all(axis=None)


def test_potentials_that_are_no_leaky_integral_are_read():
    torch.manual_seed(0)
    made, x, emitted = snn.SLSTM(7, 4, threshold=0.1), data(), []
    with mpdviz.record(made) as mpd:
        syn, mem = made.reset_mem()
        for step in x:
            s, syn, mem = made(step, syn, mem)
            emitted.append(s.detach())
    spikes = torch.stack(emitted).double()
    assert 0 < spikes.mean() < 1
    table = mpd.table()
    assert table["count"].tolist() == [N * 4] * T
    np.testing.assert_allclose(table["firing_rate"], spikes.flatten(1).mean(1))
    assert table["v_th"].unique() == pytest.approx([0.1])
    assert table[["reach_ratio", "decay"]].isna().all(axis=None)


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"surrogate_disable": True}, "no spikes were seen in it"),
        ({"inhibition": True}, "only one of its spikes"),
    ],
)
def test_what_cannot_be_read_is_left_out(options, why):
    torch.manual_seed(0)
    made = nn.Sequential(Loop(snn.Leaky(0.5, **options)), nn.Linear(7, 7), Loop(snn.Leaky(0.5)))
    plain = made(data())
    with pytest.warns(MpdvizWarning, match="layer 0.neuron is not recorded"), mpdviz.record(made) as mpd:
        assert torch.equal(made(data()), plain)
    assert list(mpd.left_out) == ["0.neuron"]
    assert why in mpd.left_out["0.neuron"]
    assert mpd.table()["name"].unique().tolist() == ["2.neuron"]
    np.testing.assert_allclose(mpd.table()["firing_rate"], plain.flatten(1).mean(1).detach(), atol=1e-7)


def test_inference_mode_and_train_mode_count_the_same():
    made, x = Network("leaky"), data()
    tables = []
    for mode in (torch.inference_mode, torch.enable_grad):
        with mode(), mpdviz.record(made) as mpd:
            made(x)
        tables.append(mpd.table())
    assert tables[0].equals(tables[1])
