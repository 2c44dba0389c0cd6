"""Which recordings add up: of one network, of other data each; anything else is refused by name."""

import json

import numpy as np
import pytest
import torch
from networks import small
from torch import nn

import mpdviz
from mpdviz import surrogates
from mpdviz.api import load_recording
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.neurons import LIF, PLIF
from mpdviz.recording.adapters import register


def network(**options):
    return small(seed=3, **({"timesteps": 2} | options))


def recording(made, seed=0, batches=2, **options):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad(), mpdviz.record(made, **options) as mpd:
        for _ in range(batches):
            made(torch.randn(3, 1, 8, 8, generator=generator))
    return mpd


def alone(neuron, seed=0, forwards=2, **given):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad(), mpdviz.record(neuron) as mpd:
        for _ in range(forwards):
            neuron(torch.randn(2, 3, 5, generator=generator), **given)
    return mpd


def counts(mpd):
    return mpd.table()["count"].to_numpy()


def as_older(path):
    """The file as mpdviz wrote it before recordings knew their network."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(str(arrays.pop("header")))
    for name in ("network", "parts", "left_out"):
        del header[name]
    for layer in header["layers"].values():
        del layer["info"]["steady"]
    np.savez(path, header=json.dumps(header), **arrays)
    return path


# Of one network. ------------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "strategy",
    ["mpd-agl", "fixed:kappa=2", "lsg", "observed", "ds-atgo", "asgl", "deeptage", "slope-schedule"],
)
@pytest.mark.parametrize("batches", [1, 2])
def test_recordings_of_one_network_merge_also_where_its_widths_follow_the_data(strategy, training, batches):
    made = network(strategy=strategy).train(training)
    first, second = (recording(made, seed, batches) for seed in (0, 1))
    np.testing.assert_array_equal(counts(first.merged(second)), 2 * counts(first))


def test_widths_that_follow_the_data_are_told_from_those_that_do_not():
    neuron = LIF()
    with torch.no_grad(), mpdviz.record(neuron) as moving:
        for kappa in (1.0, 2.0):
            neuron(torch.randn(2, 3, 5), kappa=kappa)
    assert not moving.layers[1].info.steady
    assert alone(neuron, kappa=3.0).layers[1].info.steady
    np.testing.assert_array_equal(counts(moving.merged(alone(neuron, kappa=3.0))), [60, 60])


def test_widths_of_a_stepped_network_are_compared_by_timestep():
    neuron = LIF(decay=0.0)

    def stepped(widths, seed):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad(), mpdviz.record(neuron) as mpd:
            for _ in range(2):
                mpd.new_sequence()
                for kappa in widths:
                    neuron(torch.randn(1, 3, 5, generator=generator), kappa=kappa)
        return mpd

    first = stepped((1.0, 2.0), 0)
    assert first.layers[1].info.steady
    np.testing.assert_array_equal(counts(first.merged(stepped((1.0, 2.0), 1))), [60, 60])
    with pytest.raises(BadInput, match=r"widths of layer LIF: 1, 2 and 1, 3"):
        first.merged(stepped((1.0, 3.0), 1))


# Of two networks. -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"strategy": "fixed:kappa=3"}, r"strategy of layer encode: fixed\S*1.0 and fixed\S*3.0"),
        ({"decay": 0.7}, "decay of layer encode: 0.2 and 0.7"),
        ({"neuron": "plif", "decay": 0.4}, "decay of layer encode: 0.2 and 0.4"),
        ({"gamma": 1.5}, r"weights \S+norm.weight"),
    ],
)
def test_another_network_is_refused_by_name(options, named, training):
    first = recording(network(strategy="fixed:kappa=1").train(training), 0)
    other = recording(network(**{"strategy": "fixed:kappa=1", **options}).train(training), 1)
    with pytest.raises(BadInput, match=named):
        first.merged(other)


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ((LIF(), {"kappa": 1.0}), (LIF(), {"kappa": 3.0}), "widths of layer LIF: 1, 1 and 3, 3"),
        (
            (LIF(), {"v_th": torch.tensor([0.5, 0.5])}),
            (LIF(), {"v_th": torch.tensor([0.5, 0.75])}),
            "thresholds of layer LIF: 0.5, 0.5 and 0.5, 0.75",
        ),
        ((PLIF(0.2), {}), (PLIF(0.3), {}), "decay of layer PLIF"),
        (
            (LIF(surrogate=surrogates.get("triangular")), {}),
            (LIF(surrogate=surrogates.get("triangular", half_base=2.0)), {}),
            "surrogate of layer LIF: triangular",
        ),
        ((LIF(), {}), (LIF().eval(), {}), "mode: training and evaluation"),
    ],
)
@pytest.mark.parametrize("forwards", [1, 2])
def test_other_neurons_are_refused_by_name(tmp_path, one, other, named, forwards):
    paths = tmp_path / "one.npz", tmp_path / "other.npz"
    for seed, (path, (neuron, given)) in enumerate(zip(paths, (one, other), strict=True)):
        alone(neuron, seed, forwards, **given).save(path)
    with pytest.raises(BadInput, match=named):
        load_recording(paths[0]).merged(load_recording(paths[1]))


def test_running_statistics_count_where_they_decide():
    made = network().eval()
    first = recording(made, 0)
    made.encode.norm.running_mean += 0.5
    with pytest.raises(BadInput, match=r"weights encode\.norm\.running_mean"):
        first.merged(recording(made, 1))


def test_the_network_is_the_one_that_was_recorded_whatever_becomes_of_it():
    made = network().eval()
    first, second = recording(made, 0), recording(made, 1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(1.0)
    np.testing.assert_array_equal(counts(first.merged(second)), 2 * counts(first))
    with pytest.raises(BadInput, match="weights"):
        first.merged(recording(made, 2))


def test_any_state_dict_can_be_told_from_others():
    class Odd(nn.Module):
        def __init__(self, flag):
            super().__init__()
            self.neuron = LIF()
            self.register_buffer("flag", torch.tensor(flag))
            self.register_buffer("sparse", torch.eye(3).to_sparse())
            self.register_buffer("complex", torch.ones((), dtype=torch.complex64))
            self.lazy = nn.LazyLinear(3)

        def forward(self, x):
            return self.neuron(x)

        def get_extra_state(self):
            return {"anything": 1}

    first, second = alone(Odd(True).eval(), 0), alone(Odd(True).eval(), 1)
    np.testing.assert_array_equal(counts(first.merged(second)), 2 * counts(first))
    with pytest.raises(BadInput, match="weights flag"):
        first.merged(alone(Odd(False).eval(), 2))


# The same data, and files that do not say. ----------------------------------------------------------------


def test_the_same_recording_is_refused_however_it_comes(tmp_path):
    made = network().eval()
    one, two, three = (recording(made, seed) for seed in range(3))
    one.save(tmp_path / "one.npz")
    one.merged(two).save(tmp_path / "both.npz")
    again, both = (load_recording(tmp_path / name) for name in ("one.npz", "both.npz"))
    for pair in ((one, one), (one, again), (again, one), (both, two), (two, both), (both, both)):
        with pytest.raises(BadInput, match="given twice"):
            pair[0].merged(pair[1])
    np.testing.assert_array_equal(counts(both.merged(three)), 3 * counts(one))


def test_older_files_still_load_and_merge_but_say_that_nothing_was_checked(tmp_path):
    made = network().eval()
    for seed in range(2):
        recording(made, seed).save(tmp_path / f"{seed}.npz")
    new, old = load_recording(tmp_path / "0.npz"), load_recording(as_older(tmp_path / "1.npz"))
    for one, other in ((old, new), (new, old)):
        with pytest.warns(MpdvizWarning, match="which network") as said:
            both = one.merged(other)
        assert len(said) == 1
        np.testing.assert_array_equal(counts(both), 2 * counts(new))
    with pytest.raises(BadInput, match="given twice"), pytest.warns(MpdvizWarning, match="which network"):
        both.merged(old)


def test_what_was_left_out_is_kept(tmp_path):
    class Lies(LIF):
        def forward(self, current, kappa=None, v_th=None):
            return super().forward(current, kappa, v_th)

    take_back = register(
        Lies,
        potential=lambda module, inputs, output: inputs[0] * 0,
        threshold=0.5,
        decay=0.2,
        surrogate=surrogates.get("atan"),
    )
    try:
        made = nn.Sequential(LIF(), Lies())
        recorded = []
        for seed in range(2):
            with pytest.warns(MpdvizWarning, match="layer 1 is not recorded"):
                recorded.append(alone(made, seed))
    finally:
        take_back()
    recorded[0].save(tmp_path / "one.npz")
    loaded = load_recording(tmp_path / "one.npz")
    for mpd in (recorded[0], loaded, loaded.merged(recorded[1])):
        assert list(mpd.left_out) == ["1"]
        assert "spikes" in mpd.left_out["1"]
        assert set(mpd.table()["name"]) == {"0"}
