"""How a network is fed is found out on one sample: sequences, steps or images, state handed on or kept."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import mpdviz
from mpdviz.errors import BadInput
from mpdviz.inspection import Options, prepare
from mpdviz.inspection.feeding import returned_state, takes_state

N, T, F, HIDDEN = 12, 5, 6, 4
RNG = np.random.default_rng(0)
SEQUENCES = RNG.random((N, T, F), dtype=np.float32) * 4
LABELS = np.arange(N) % HIDDEN


def written(path, x=SEQUENCES, **arrays):
    np.savez(path / "data.npz", x=x, **({"y": LABELS} | arrays))
    return f"npz:{path / 'data.npz'}"


def fed(net, data, **options):
    """What was recorded, and what was said; batches of 5, 5 and 2 samples."""
    torch.manual_seed(1)
    inspection = prepare(net, Options(data=data, batch_size=5, **options))
    return inspection.run(), inspection.notes


def assert_counts(recording, net, forward, steps=False):
    """The recording is that of the author's own loop over the same batches."""
    with torch.no_grad(), mpdviz.record(net.eval()) as mpd:
        for batch in torch.from_numpy(SEQUENCES).split(5):
            if steps:
                mpd.new_sequence()
            forward(batch.transpose(0, 1))
    for column in ("available_ratio", "firing_rate", "count", "timestep", "mean"):
        np.testing.assert_allclose(recording.table()[column], mpd.table()[column], rtol=1e-6)


@pytest.fixture
def jelly():
    """Modules of SpikingJelly in a step mode, and its reset."""
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron

    def made(mode):
        torch.manual_seed(0)
        net = nn.Sequential(layer.Linear(F, HIDDEN), neuron.LIFNode(), layer.Linear(HIDDEN, HIDDEN))
        functional.set_step_mode(net, mode)
        return net

    made.reset = functional.reset_net
    return made


class Loop(nn.Module):
    """Loops over time itself, on any axis."""

    def __init__(self, body, axis):
        super().__init__()
        self.body, self.axis = body, axis

    def forward(self, x):
        return torch.stack([self.body(step) for step in x.movedim(self.axis, 0)]).mean(0)


def test_step_mode_m_takes_sequences_and_step_mode_s_steps(tmp_path, jelly):
    for mode, told in (("m", f"fed sequences [5, 5, {F}], time first"), ("s", f"fed 5 steps of [5, {F}]")):
        net, data = jelly(mode), written(tmp_path)
        recording, notes = fed(net, data)
        assert told in notes[0]
        assert len(notes) == 1

        def forward(x, net=net, mode=mode):
            jelly.reset(net)
            return net(x) if mode == "m" else [net(step) for step in x]

        assert_counts(recording, net, forward, steps=mode == "s")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("axis", "told"),
    [(0, "[5, 5, 6], time first"), (1, "[5, 5, 6], time second"), (2, "[5, 6, 5], time last")],
)
def test_a_loop_of_the_networks_own_is_found_on_its_axis(tmp_path, jelly, axis, told):
    net = Loop(jelly("s"), axis)
    recording, notes = fed(net, written(tmp_path))
    assert f"fed sequences {told}" in notes[0]

    def forward(x):
        jelly.reset(net)
        net(x.movedim(0, axis))

    assert_counts(recording, net, forward)
    asked, said = fed(net, written(tmp_path), time_axis=axis)
    assert recording.table().equals(asked.table())
    assert "fed sequences" in said[0]


def test_a_wrong_axis_that_was_asked_for_is_told_by_layer(tmp_path, jelly):
    _, notes = fed(Loop(jelly("s"), 1), written(tmp_path, x=SEQUENCES[:, :3]), time_axis=0)
    assert "note: the data have 3 timesteps, and layer body.1 5" in notes[1]


def test_norse_hands_its_state_on_as_its_caller_does(tmp_path):
    norse = pytest.importorskip("norse.torch")
    torch.manual_seed(0)
    net = norse.SequentialState(nn.Linear(F, HIDDEN), norse.LIFCell(), nn.Linear(HIDDEN, HIDDEN))
    nn.init.constant_(net[0].weight, 8.0)
    recording, notes = fed(net, written(tmp_path))
    assert f"fed 5 steps of [5, {F}], state handed on by the caller" in notes[0]

    def forward(x):
        state = None
        for step in x:
            _, state = net(step, state)

    assert_counts(recording, net, forward, steps=True)
    assert recording.table()["firing_rate"].max() > 0
    whole, notes = fed(norse.SequentialState(nn.Linear(F, HIDDEN), norse.LIF()), written(tmp_path))
    assert "time first" in notes[0]
    assert whole.table()["timestep"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("required", [False, True])
def test_states_of_snntorch_are_handed_on_one_by_one(tmp_path, required):
    snn = pytest.importorskip("snntorch")

    class Explicit(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(F, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
            self.lif1, self.lif2 = snn.Leaky(0.9), snn.Leaky(0.9)

        def step(self, x, mem1, mem2):
            spikes, mem1 = self.lif1(self.one(x), mem1)
            spikes, mem2 = self.lif2(self.two(spikes), mem2)
            return spikes, mem1, mem2

    class Required(Explicit):
        def forward(self, x, mem1, mem2):
            return self.step(x, mem1, mem2)

    class Optional(Explicit):
        def forward(self, x, mem1=None, mem2=None):
            return self.step(x, mem1, mem2)

    net = Required() if required else Optional()
    recording, notes = fed(net, written(tmp_path), gradients=True)
    assert "state handed on by the caller" in notes[0]
    assert "accuracy" in notes[0]
    assert recording.table()["timestep"].tolist() == [1, 2, 3, 4, 5] * 2
    assert recording.table()["count"].tolist() == [N * HIDDEN] * 10


def test_hidden_states_of_nested_neurons_start_anew_with_every_batch(tmp_path):
    snn = pytest.importorskip("snntorch")
    net = nn.Sequential(nn.Linear(F, HIDDEN), nn.Sequential(snn.Leaky(0.9, init_hidden=True)))
    recording, _ = fed(net, written(tmp_path))

    def forward(x):
        net[1][0].reset_mem()
        for step in x:
            net(step)

    assert_counts(recording, net, forward, steps=True)


class Neuron(nn.Module):
    """By hand: the membrane is an attribute."""

    def __init__(self):
        super().__init__()
        self.mem = None

    def forward(self, x):
        self.before = x if self.mem is None else 0.5 * self.mem + x
        spikes = (self.before >= 1).float()
        self.mem = self.before * (1 - spikes)
        return spikes


@pytest.fixture
def by_hand():
    take_back = mpdviz.register(
        Neuron,
        potential=lambda module, _, __: module.before,
        threshold=1.0,
        decay=0.5,
        surrogate=mpdviz.surrogates.get("triangular"),
        stepped=True,
    )
    yield lambda: nn.Sequential(nn.Linear(F, HIDDEN), Neuron())
    take_back()


def test_code_written_by_hand_starts_from_rest(tmp_path, by_hand):
    net = by_hand()
    recording, notes = fed(net, written(tmp_path))
    assert f"fed 5 steps of [5, {F}]" in notes[0]
    assert net[1].mem is None  # left as it was

    def forward(x):
        net[1].mem = None
        for step in x:
            net(step)

    assert_counts(recording, net, forward, steps=True)


def test_trying_leaves_no_trace(tmp_path, jelly):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = jelly("s").train()

        def forward(self, x):
            return self.body(x + torch.rand_like(x) + random.random() + np.random.rand())

    net, data = Noisy(), written(tmp_path)
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    inspection = prepare(net, Options(data=data))
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert (inspection.timesteps, list(inspection.names.values())) == (T, ["body.1"])
    assert all(module.training for module in net.modules())
    assert net.body[1].v == 0.0
    assert not any(module._forward_hooks for module in net.modules())


def test_images_are_repeated_by_the_network_or_asked_about(tmp_path, jelly):
    class Repeats(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = jelly("s")

        def forward(self, x):
            return sum(self.body(x.flatten(1)) for _ in range(3)) / 3

    images = written(tmp_path, x=SEQUENCES[:, 0].reshape(N, 1, 2, 3))
    recording, notes = fed(Repeats(), images)
    assert "fed images [5, 1, 2, 3]; the network repeats them itself" in notes[0]
    assert recording.table()["timestep"].tolist() == [1, 2, 3]
    vectors = written(tmp_path, x=SEQUENCES[:, 0])
    assert "fed vectors [5, 6]" in fed(Repeats(), vectors)[1][0]
    with pytest.raises(BadInput, match=r"takes the samples for timesteps.*give `repeat_input` T"):
        fed(jelly("m"), vectors)
    with pytest.raises(BadInput, match=r"a call of the model is one timestep.*give `repeat_input` T"):
        fed(jelly("s"), vectors)
    recording, notes = fed(jelly("s"), vectors, repeat_input=2)
    assert "fed 2 steps of [5, 6]" in notes[0]
    assert recording.table()["timestep"].tolist() == [1, 2]
    assert fed(jelly("s"), vectors, repeat_input=1)[0].table()["timestep"].tolist() == [1]


@pytest.mark.parametrize(
    ("x", "options", "said"),
    [
        (SEQUENCES, {"time_axis": 3}, r"`time_axis` 3 of an input of 3 axes; give -3 to 2"),
        (SEQUENCES[:, 0], {"time_axis": 0}, "`time_axis` with data that have no time"),
        (SEQUENCES, {"repeat_input": 2}, "`repeat_input` with data that have timesteps of their own"),
        (SEQUENCES[..., :5], {}, r"does not take an input \[5, N, 5\] \(RuntimeError.*nor steps \[N, 5\] \("),
        (SEQUENCES[:, 0, :5], {}, r"does not take an input \[N, 5\] \(RuntimeError"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, jelly, x, options, said):
    with pytest.raises(BadInput, match=said) as caught:
        fed(jelly("s"), written(tmp_path, x=x), **options)
    assert "\n" not in str(caught.value)


def test_steps_without_memory_are_asked_about(tmp_path):
    norse = pytest.importorskip("norse.torch")

    class Forgets(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(F, HIDDEN), norse.LIFCell()

        def forward(self, x):
            return self.lif(self.fc(x))[0]

    with pytest.raises(BadInput, match=r"cannot tell how the model takes sequences.*`time_axis`"):
        fed(Forgets(), written(tmp_path))


def test_what_may_be_a_state_is_told_by_the_signature():
    class Of(nn.Module):
        def __init__(self, forward):
            super().__init__()
            self.forward = forward

    assert takes_state(Of(lambda x, state=None: x))
    assert takes_state(Of(lambda *inputs: inputs))
    assert not takes_state(Of(lambda x: x))
    assert not takes_state(Of(lambda x, steps=25: x))
    assert not takes_state(Of(lambda x, *, state=None: x))
    two = Of(lambda x, a, b=None: x)
    assert returned_state(two, (0, 1, 2)) == (1, 2)
    with pytest.raises(TypeError, match="returns 3 states and takes 2"):
        returned_state(two, (0, 1, 2, 3))
