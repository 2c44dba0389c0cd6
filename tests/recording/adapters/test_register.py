"""Neurons by their user's word and adapters of other packages: read right, proved by spikes, refused."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from unobserved import check_potentials, check_table, gradients

import mpdviz
from mpdviz import surrogates
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.recording.adapters import find, register

ATAN = surrogates.get("atan")


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * ATAN.h(x)


class ByHand(nn.Module):
    """A neuron layer as people write it: whole sequences, potentials kept for a plot."""

    def __init__(self, threshold=0.6, leak=0.75, soft=False):
        super().__init__()
        self.threshold, self.soft = threshold, soft
        self.leak = nn.Parameter(torch.tensor(leak))

    def forward(self, x):
        v, s = torch.zeros_like(x[0]), torch.zeros_like(x[0])
        spikes, self.potentials = [], []
        for step in x:
            rest = v - self.threshold * s if self.soft else v * (1 - s)
            v = self.leak * rest + step
            s = Spike.apply(v - self.threshold)
            spikes.append(s)
            self.potentials.append(v)
        return torch.stack(spikes)


class ByHandStepped(nn.Module):
    """The same one timestep a call; what is kept from call to call is not reset by itself."""

    def __init__(self):
        super().__init__()
        self.cell, self.v, self.s = nn.Linear(5, 5), None, None

    def forward(self, x):
        if self.v is None:
            self.v = self.s = torch.zeros_like(x)
        self.v = 0.5 * self.v * (1 - self.s) + x
        self.s = Spike.apply(self.v - 0.5)
        return self.s, self.v


WORD = {
    "potential": lambda module, inputs, output: torch.stack(module.potentials),
    "threshold": lambda module: module.threshold,
    "decay": lambda module: module.leak,
    "surrogate": ATAN,
}


@pytest.fixture
def told():
    """Register for the time of a test."""
    undo = []
    yield lambda *args, **kwargs: undo.append(register(*args, **kwargs))
    for take_back in undo:
        take_back()


def network(neuron):
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(6, 7), neuron, nn.Linear(7, 3))


def simulated(current, threshold, leak, soft):
    """Potentials and spikes `[T, N, ...]` in float64."""
    v, s, potentials, spikes = 0.0, 0.0, [], []
    for step in current:
        v = leak * (v - threshold * s if soft else v * (1 - s)) + step
        s = (v >= threshold).astype(np.float64)
        potentials.append(v)
        spikes.append(s)
    return np.stack(potentials), np.stack(spikes)


def declared(made, x):
    """Record the network bit for bit as it runs alone; and input, spikes and potentials of its layer 1."""
    plain = made(x)
    plain.square().sum().backward()
    expected = gradients(made)
    made.zero_grad()
    kept = []
    hook = made[1].register_forward_hook(lambda _, given, output: kept.extend([given[0], output]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mpdviz.record(made, gradients=True) as mpd:
            out = made(x)
            out.square().sum().backward()
    hook.remove()
    assert torch.equal(out, plain)
    assert all(torch.equal(one, other) for one, other in zip(gradients(made), expected, strict=True))
    parts = (*kept, torch.stack(made[1].potentials))
    return mpd, *(part.detach().double().numpy() for part in parts)


@pytest.mark.parametrize("soft", [False, True])
def test_neurons_are_read_as_their_user_says(told, soft):
    told(ByHand, **WORD, reset="soft" if soft else "hard")
    made = network(ByHand(soft=soft))
    x = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(1)) * 2
    mpd, current, spikes, read = declared(made, x)
    truth, fired = simulated(current, 0.6, float(np.float32(0.75)), soft)
    np.testing.assert_array_equal(spikes, fired)
    check_potentials(read, truth)
    half = 3 / np.pi  # h >= 0.1 max h
    check_table(mpd.table(), np.abs(truth - 0.6) < half, fired, (True, soft))
    table = mpd.table()
    assert table["v_th"].unique() == pytest.approx([0.6])
    assert table["decay"].unique() == pytest.approx([0.75])
    # Of the potentials as they ran: where a mean is near zero, float32 rounding shows beside the simulation.
    np.testing.assert_allclose(table["mean"], read.reshape(5, -1).mean(1), rtol=1e-6)
    gain = 1 / (1 + (np.pi * (truth - 0.6)) ** 2)
    np.testing.assert_allclose(table["mean_gain"], gain.reshape(5, -1).mean(1), rtol=1e-5)


def test_stepped_neurons_need_to_be_told_where_sequences_begin(told):
    told(
        ByHandStepped,
        potential=lambda module, inputs, output: output[1],
        threshold=0.5,
        decay=0.5,
        surrogate=ATAN,
        reset="hard",
        stepped=True,
    )
    neuron = ByHandStepped()
    frames = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(2))

    def run(mpd, tell):
        for sequence in frames:
            neuron.v = None
            if tell:
                mpd.new_sequence()
            for step in sequence:
                neuron(step)

    with mpdviz.record(neuron) as mpd:
        run(mpd, tell=True)
    truths = [simulated(sequence.double().numpy(), 0.5, 0.5, False)[0] for sequence in frames]
    truth = np.concatenate(truths, axis=1)
    table = mpd.table()
    assert table["count"].tolist() == [2 * 4 * 5] * 3
    np.testing.assert_allclose(table["mean"], truth.reshape(3, -1).mean(1), atol=1e-6)
    with pytest.warns(MpdvizWarning, match="new_sequence") as said, mpdviz.record(neuron) as mpd:
        run(mpd, tell=False)
    assert len(said) == 1
    assert mpd.table()["count"].tolist() == [2 * 3 * 4 * 5]


def on_the_threshold(module, inputs, output):
    """Potentials that just reach the threshold where it spiked."""
    return torch.stack(module.potentials) * (1 - output) + module.threshold * output


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"potential": lambda module, inputs, output: inputs[0]}, "spikes"),
        ({"potential": lambda module, inputs, output: inputs[0][0]}, "shape"),
        ({"potential": lambda module, inputs, output: module.nothing}, "AttributeError"),
        ({"threshold": 0.7}, "spikes"),
        ({"threshold": lambda module: module.nothing}, "AttributeError"),
        ({"fires": ">", "potential": on_the_threshold}, "spikes"),
        ({"surrogate": torch.sigmoid}, "spike function"),
    ],
)
def test_a_wrong_word_leaves_the_layer_out_and_the_forward_alone(told, wrong, said):
    told(ByHand, **{**WORD, **wrong})
    made, x = network(ByHand()), torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(1)) * 2
    expected = made(x)
    with pytest.warns(MpdvizWarning, match="layer 1 is not recorded"), mpdviz.record(made) as mpd:
        assert torch.equal(made(x), expected)
    assert said in mpd.left_out["1"]
    assert not mpd.layers


def test_a_word_is_replaced_and_taken_back(told):
    def shown(neuron):
        with mpdviz.record(neuron) as mpd:
            neuron(torch.linspace(0, 2, 42).reshape(2, 3, 7))
        return mpd.layers[1].info

    # Without a word the spike function is found, and the code tells no decay.
    assert find(ByHand()) == {}
    assert np.isnan(shown(ByHand()).decay)
    first = register(ByHand, **WORD)
    assert shown(ByHand()).decay == 0.75
    second = register(ByHand, **{**WORD, "decay": 0.5})
    assert shown(ByHand()).decay == 0.5
    first()  # replaced long ago
    assert shown(type("Heir", (ByHand,), {})()).decay == 0.5
    second()
    assert find(ByHand()) == {}


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (ByHand(), {}, "class of modules"),
        (int, {}, "class of modules"),
        (ByHand, {"reset": "softly"}, "did you mean 'soft'"),
        (ByHand, {"fires": ">=="}, "did you mean '>='"),
    ],
)
def test_a_word_that_makes_no_sense_is_refused(kind, changes, said):
    with pytest.raises(BadInput, match=said):
        register(kind, **{**WORD, **changes})


class Scripted(nn.Module):
    """Fires in code that shows no function, each neuron at its own threshold."""

    def __init__(self, strict):
        super().__init__()
        self.strict = strict
        self.threshold = torch.tensor([0.5, 1.0, 1.5])

    def forward(self, x):
        return ((x > self.threshold) if self.strict else (x >= self.threshold)).to(x)


@pytest.mark.parametrize("fires", [">=", ">"])
def test_thresholds_that_differ_by_neuron_and_both_comparisons(told, fires):
    told(
        Scripted,
        potential=lambda module, inputs, output: inputs[0],
        threshold=lambda module: module.threshold,
        fires=fires,
    )
    # Steps of a quarter: some lie on a threshold exactly.
    x = torch.randint(0, 9, (4, 5, 3), generator=torch.Generator().manual_seed(4)) / 4
    made = Scripted(fires == ">")
    with mpdviz.record(made) as mpd:
        made(x)
    above = x.double().numpy() - [0.5, 1.0, 1.5]
    assert (above == 0).any()
    fired = above > 0 if fires == ">" else above >= 0
    table = mpd.table()
    assert not mpd.left_out
    assert table["count"].tolist() == [15] * 4
    np.testing.assert_allclose(table["firing_rate"], fired.reshape(4, -1).mean(1))
    np.testing.assert_allclose(table["mean"], above.reshape(4, -1).mean(1), atol=1e-9)
    # What nobody told is not measured, and no zero.
    assert table[["reach_ratio", "decay", "predicted_ratio", "available_ratio"]].isna().all(axis=None)


def test_a_decay_that_differs_by_neuron_is_not_one_number(told):
    told(ByHand, **{**WORD, "decay": lambda module: torch.tensor([0.5, 0.75])})
    made = ByHand()
    with mpdviz.record(made) as mpd:
        made(torch.ones(2, 3, 4))
    assert mpd.table()[["decay", "predicted_ratio"]].isna().all(axis=None)
    assert not mpd.left_out


def test_an_installed_package_brings_its_adapter(tmp_path):
    (tmp_path / "foreign-1.0.dist-info").mkdir()
    (tmp_path / "foreign-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n"
    )
    (tmp_path / "foreign-1.0.dist-info" / "entry_points.txt").write_text(
        "[mpdviz.adapters]\nforeign = foreign:Theirs\n"
    )
    (tmp_path / "foreign.py").write_text(
        """
from mpdviz.neurons import LIF
from mpdviz.recording.adapters.native import Native

class Neuron(LIF):
    pass

class Theirs(Native):
    @classmethod
    def adapt(cls, module):
        return cls(module) if isinstance(module, Neuron) else None

    @property
    def decay(self):
        return 0.123
"""
    )
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import torch, foreign, mpdviz
neuron = foreign.Neuron()
with mpdviz.record(neuron) as mpd:
    neuron(torch.ones(2, 3, 4))
print(mpd.table()["decay"].unique().tolist())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0.123]"
