"""Layers of which only a part is known, and sequences that are not equally long: how they add up and keep."""

import json
import math

import numpy as np
import pytest
from handmade import counted, flow, info

from mpdviz.accumulations import storage, stored
from mpdviz.accumulations.contents import Contents
from mpdviz.errors import BadInput


def potentials(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# The unit. ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("v_th", "given", "unit"), [(0.5, 0, 0.5), (0.5, 2, 2), (-0.25, 0, 0.25), (0, 0, 1), (0, 3, 3)]
)
def test_the_threshold_in_force_is_the_edge_at_one_unit(v_th, given, unit):
    described = info(2, v_th=v_th, unit=given, thresholds=(v_th, v_th + 1))
    assert described.unit == unit
    np.testing.assert_array_equal(described.shifts + unit, [v_th, v_th + 1])


def test_recordings_with_other_units_do_not_add_up():
    with pytest.raises(BadInput, match=r"unit of layer neuron: 0\.5 and 1"):
        counted(potentials(2, 3, 4)) + counted(potentials(2, 3, 4), info(unit=1.0))


# What is known of the kind of neuron. ---------------------------------------------------------------------


def test_what_one_recording_knows_both_know():
    one = info(strict=True, nan_below=-3.4, reach_known=False, not_measured={"decay": "no word of it"})
    other = info(not_measured={"fan_out": "no graph"})
    for first, second in ((one, other), (other, one)):
        both = (counted(potentials(2, 3, 4), first) + counted(potentials(2, 3, 4), second)).info
        assert (both.strict, both.nan_below, both.reach_known) == (True, -3.4, False)
        assert both.not_measured == {"decay": "no word of it", "fan_out": "no graph"}
    with pytest.raises(BadInput, match="strict"):
        counted(potentials(2, 3, 4), info(strict=True)) + counted(potentials(2, 3, 4), info(strict=False))


def test_descriptions_can_be_hashed():
    assert len({info(), info(), info(not_measured={"decay": "unknown"}), info(v_th=0.25)}) == 3


def test_unknown_widths_are_no_difference():
    unknown = info(kappa=(math.nan, 1.0), steady=True)
    both = counted(potentials(2, 3, 4), unknown) + counted(potentials(2, 3, 4), unknown)
    assert both.info.steady


# Maps of several sizes. -----------------------------------------------------------------------------------


def test_maps_of_several_sizes_have_no_census_but_all_counts():
    parts = [counted(potentials(2, 3, width)) for width in (4, 5, 4)]
    for order in ((0, 1, 2), (1, 0, 2), (0, 2, 1)):
        a, b, c = (parts[i] for i in order)
        for total in ((a + b) + c, a + (b + c)):
            assert total.census is None
            assert total.statistics.count.tolist() == [3 * 13] * 2
            assert "several sizes" in total.info.not_measured["silent"]
    assert (parts[0] + parts[2]).census is not None


# Sequences that are not equally long. ---------------------------------------------------------------------


def test_each_timestep_keeps_its_own_counts():
    short, long = potentials(2, 3, 4), potentials(5, 2, 4, seed=1)
    for one, other in ((short, long), (long, short)):
        both = (counted(one) + counted(other)).statistics
        for t in range(5):
            v = np.concatenate([part[t] for part in (one, other) if t < len(part)])
            assert both.count[t] == v.size
            assert both.spikes[t] == (v >= 0.5).sum()
            assert both.cells[t].sum() == v.size
            assert both.mean[t] == pytest.approx(v.mean(), abs=1e-12)
            assert both.m2[t] == pytest.approx(v.var() * v.size)
            assert (both.min[t], both.max[t]) == (v.min(), v.max())


def test_what_a_timestep_alone_has_is_described_as_there():
    short = info(2, kappa=(1.0, 2.0), lower=(0.0, -0.5), upper=(1.0, 1.5), steady=True)
    long = info(3, kappa=(1.0, 3.0, 4.0), lower=(0.0, -1.0, -1.5), upper=(1.0, 2.0, 2.5), steady=True)
    moved = info(3, thresholds=(0.5, 0.5, 0.75), steady=True)
    v2, v3 = potentials(2, 3, 4), potentials(3, 3, 4)
    forth, back = counted(v2, short) + counted(v3, long), counted(v3, long) + counted(v2, short)
    assert (forth.info.kappa, forth.info.lower) == ((1, 3, 4), (0, -1, -1.5))
    assert (back.info.kappa, back.info.upper) == ((1, 2, 4), (1, 1.5, 2.5))
    assert not forth.info.steady
    assert not back.info.steady
    same = counted(v2, info(2, steady=True)) + counted(v3, moved)
    assert same.info.thresholds_in_force == (0.5, 0.5, 0.75)
    assert same.info.steady


def test_recordings_merge_whatever_their_lengths(tmp_path):
    network = {"network": "one"}
    two, three = (
        Contents({1: counted(potentials(T, 3, 4), info(T, steady=True))}, {}, network) for T in (2, 3)
    )
    both = two.merged(three).layers[1]
    assert both.statistics.count.tolist() == [24, 24, 12]
    other = counted(potentials(3, 3, 4), info(3, kappa=(1.0, 2.0, 1.0), steady=True))
    with pytest.raises(BadInput, match="widths of layer neuron: 1, 1 and 1, 2, 1"):
        two.merged(Contents({1: other}, {}, network))


# Gradients. -----------------------------------------------------------------------------------------------


def test_flows_of_unequal_length_add_up():
    for one, other in (
        (flow([3, 0], [4, 0]), flow([0, 4], [0, 0], [1, 1])),
        (flow([0, 4], [0, 0], [1, 1]), flow([3, 0], [4, 0])),
    ):
        both = one + other
        assert both.passes.tolist() == [2, 2, 1]
        assert both.count.tolist() == [4, 4, 2]
        assert both.zeros.tolist() == [2, 3, 0]
        np.testing.assert_allclose(both.norm, np.sqrt([25 / 2, 16 / 2, 2]))


def test_a_flow_covers_the_timesteps_of_its_layer():
    both = counted(potentials(2, 1, 2), flow=flow([3, 0], [4, 0])) + counted(potentials(3, 1, 2))
    assert both.flow.passes.tolist() == [1, 1, 0]
    assert np.isnan(both.flow.norm[2])


def test_a_timestep_without_a_backward_pass_has_no_norm():
    np.testing.assert_array_equal(flow([3, 4]).at(1, 3).norm, [np.nan, 5, np.nan])


def test_the_spike_path_is_known_or_not():
    known, unknown = flow([3, 4], spike=[[0, 2]]), flow([3, 4])
    assert np.isnan(unknown.spike_norm).all()
    for both in (known + unknown, unknown + known):
        assert both.spike_norm.tolist() == [2]
        assert (both.spike_count.tolist(), both.spike_zeros.tolist()) == ([2], [1])
    np.testing.assert_allclose((known + flow([1, 1], spike=[[4, 0]])).spike_norm, [math.sqrt(10)])


def test_gradients_that_are_not_finite_are_counted_and_in_no_sum():
    both = flow([math.nan, 3, 0], [1, math.inf, 4]) + flow([1, 1, 1])
    assert both.nonfinite.tolist() == [1, 1]
    assert both.squares.tolist() == [12, 17]
    assert not both.uncounted.any()


# Files. ---------------------------------------------------------------------------------------------------


def test_what_is_partly_known_survives_a_file(tmp_path):
    described = info(
        2, v_th=0.0, decay=math.nan, unit=1.0, strict=True, nan_below=-3.4, reach_known=False,
        not_measured={"decay": "the code that spikes does not say it"},
    )  # fmt: skip
    layer = counted(potentials(2, 3, 4), described, flow([math.nan, 1], [2, 3], spike=[[1, 2], [0, 4]]))
    layer.statistics.gain_nonfinite[1] = 3
    layer.census = None
    storage.save(tmp_path / "run.npz", Contents({1: layer}))
    again = storage.load(tmp_path / "run.npz").layers[1]
    assert again.census is None
    assert repr(again.info) == repr(described)
    for part in ("statistics", "flow"):
        for name, value in vars(getattr(layer, part)).items():
            np.testing.assert_array_equal(getattr(getattr(again, part), name), value)


def test_files_of_older_versions_know_less(tmp_path):
    path = tmp_path / "run.npz"
    storage.save(path, Contents({1: counted(potentials(2, 3, 4), flow=flow([0, 1], [2, 3]))}))
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(str(arrays.pop("header")))
    del header["layers"]["1"]["census"]
    for name in ("unit", "reach_known", "strict", "nan_below", "not_measured"):
        del header["layers"]["1"]["info"][name]
    for name in stored.ADDED_LATER:
        del arrays[f"1.{name}"]
    arrays["1.flow.squares"] = np.array([math.nan, 13])  # of a NaN among them
    np.savez(path, header=json.dumps(header), **arrays)
    layer = storage.load(path).layers[1]
    assert repr(layer.info) == repr(info())
    assert layer.census is not None
    assert layer.statistics.gain_nonfinite.tolist() == [0, 0]
    assert np.isnan(layer.flow.spike_norm).all()
    assert layer.flow.uncounted.tolist() == [True, False]
