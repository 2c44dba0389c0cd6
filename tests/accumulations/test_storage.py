"""Recordings on disk and their sums: exact round trips, halves that make the whole, and clear refusals."""

import io
import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import small
from recording_twin import INTEGERS, rng
from torch import nn

import mpdviz
from mpdviz.api import load_recording
from mpdviz.errors import BadInput
from mpdviz.neurons import LIF


def seeded(**options):
    return small(seed=3, **({"timesteps": 2} | options))


def recording(made=None, sizes=(3, 2), **options):
    made = seeded() if made is None else made
    with mpdviz.record(made, **options) as mpd:
        for size in sizes:
            logits = made(torch.randn(size, 1, 8, 8, generator=rng()))
            if options.get("gradients"):
                logits.square().sum().backward()
    return mpd


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings") / "run.npz"
    recording().save(path)
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"gradients": True, "what_if": (1.0, 0.3)}, {"layers": [2, "hidden"], "epsilon": 0.3}],
    ids=["plain", "all", "some"],
)
def test_round_trip_is_exact(tmp_path, options):
    network = seeded(surrogate="sigmoid", neuron="plif") if options else seeded()
    before = recording(network, **options)
    before.save(tmp_path / "run.npz")
    after = load_recording(str(tmp_path / "run.npz"))
    pd.testing.assert_frame_equal(after.table(), before.table(), check_exact=True)
    pd.testing.assert_frame_equal(after.layer_table(), before.layer_table(), check_exact=True)
    pd.testing.assert_frame_equal(after.what_if(), before.what_if(), check_exact=True)
    assert list(after.layers) == list(before.layers)
    assert json.dumps([vars(verdict) for verdict in after.verdicts()]) == json.dumps(
        [vars(verdict) for verdict in before.verdicts()]
    )
    for number, layer in before.layers.items():
        twin = after.layers[number]
        assert repr(twin.info) == repr(layer.info)
        for name in vars(layer.statistics):
            ours, theirs = getattr(twin.statistics, name), getattr(layer.statistics, name)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(twin.census.seen, layer.census.seen)
        assert twin.currents.count == layer.currents.count
        np.testing.assert_array_equal(twin.currents.sums, layer.currents.sums)
        np.testing.assert_array_equal(twin.currents.products, layer.currents.products)
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_a_loaded_recording_merges_with_a_fresh_one(saved):
    other = recording(sizes=(4,))
    both = load_recording(saved).merged(other)
    assert (both.table()["count"] == recording().table()["count"] + other.table()["count"]).all()


def test_two_halves_are_the_whole(tmp_path):
    network = seeded().eval()
    x = torch.randn(12, 1, 8, 8, generator=rng()).split(3)

    def run(parts):
        with mpdviz.record(network, what_if=(1.0,), gradients=True) as mpd:
            for part in parts:
                network(part).square().sum().backward()
        mpd.save(tmp_path / f"{len(parts)}.npz")
        return load_recording(tmp_path / f"{len(parts)}.npz")

    whole, first, second = run(x), run(x[:1]), run(x[1:])
    for merged in (first.merged(second), second.merged(first)):
        for number, layer in whole.layers.items():
            same(merged.layers[number], layer)
            np.testing.assert_array_equal(merged.layers[number].flow.zeros, layer.flow.zeros)
            np.testing.assert_allclose(merged.layers[number].flow.norm, layer.flow.norm, rtol=1e-9)
            assert merged.layers[number].flow.weight_norm == pytest.approx(layer.flow.weight_norm, rel=1e-9)


def same(one, other):
    for name in INTEGERS:
        np.testing.assert_array_equal(getattr(one.statistics, name), getattr(other.statistics, name))
    np.testing.assert_array_equal(one.statistics.min, other.statistics.min)
    np.testing.assert_array_equal(one.statistics.max, other.statistics.max)
    np.testing.assert_allclose(one.statistics.mean, other.statistics.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(one.statistics.m2, other.statistics.m2, rtol=1e-10)
    np.testing.assert_allclose(one.statistics.gain, other.statistics.gain, rtol=1e-10)
    np.testing.assert_array_equal(one.census.seen, other.census.seen)


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 5), min_size=3, max_size=5), st.randoms())
def test_merging_is_associative_and_knows_no_order(seed, sizes, random):
    generator = torch.Generator().manual_seed(seed)
    neuron = LIF(decay=0.5, v_th=0.3)
    parts = [torch.randn(2, size, 3, 4, generator=generator) * 3 for size in sizes]
    parts[0][0, 0, 0, 0] = float("inf")
    parts[-1][:] = 0

    def of(*currents):
        with mpdviz.record(neuron, what_if=(0.7,)) as mpd:
            for current in currents:
                neuron(current)
        return mpd

    whole, single = of(*parts), [of(part) for part in parts]
    left = single[0]
    for other in single[1:]:
        left = left.merged(other)
    right = single[-1]
    for other in reversed(single[:-1]):
        right = other.merged(right)
    random.shuffle(single)
    shuffled = single[0]
    for other in single[1:]:
        shuffled = shuffled.merged(other)
    for merged in (left, right, shuffled):
        same(merged.layers[1], whole.layers[1])


# Refusals. ------------------------------------------------------------------------------------------------


class Bomb:
    """Says so if anything ever unpickles it."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def rewritten(saved, path, **changes):
    with np.load(saved) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, value in changes.items():
        if value is None:
            del arrays[name]
        else:
            arrays[name] = value
    np.savez(path, **arrays)
    return path


def header(saved, **changes):
    with np.load(saved) as archive:
        return np.array(json.dumps(json.loads(str(archive["header"])) | changes))


def test_damage_is_refused(saved, tmp_path, golden):
    whole = saved.read_bytes()
    files = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"hello",
        "pickle": pickle.dumps(Bomb()),
        "foreign": (golden / "neurons.npz").read_bytes(),
    }
    flipped = bytearray(whole)
    with zipfile.ZipFile(saved) as archive:  # in the middle of what a member holds: headers have idle bytes
        largest = max(archive.infolist(), key=lambda info: info.compress_size)
    flipped[largest.header_offset + 30 + len(largest.filename) + largest.compress_size // 2] ^= 0xFF
    files["flipped"] = bytes(flipped)
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    files["npy"] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("header.npy", b"\x93NUMPY nothing")
    files["zip"] = buffer.getvalue()
    for name, content in files.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(BadInput) as refusal:
            load_recording(path)
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_every_flipped_byte_is_refused_or_harmless(saved, tmp_path):
    whole, table = saved.read_bytes(), load_recording(saved).table()
    path = tmp_path / "flipped.npz"
    for position in np.random.default_rng(0).integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(bytes(damaged))
        try:
            again = load_recording(path).table()
        except BadInput:
            continue
        pd.testing.assert_frame_equal(again, table)  # a time stamp or the like


def test_pickled_arrays_are_not_unpickled(saved, tmp_path):
    bomb = np.array([Bomb(), Bomb()], dtype=object)
    for name in ("header", "1.statistics.count"):
        with pytest.raises(BadInput):
            load_recording(rewritten(saved, tmp_path / "bomb.npz", **{name: bomb}))


def test_other_formats_and_missing_parts(saved, tmp_path):
    path = tmp_path / "other.npz"
    for changes, said in (
        ({"header": header(saved, version=99)}, "version"),
        ({"header": header(saved, format="something")}, "format|no recording"),
        ({"header": header(saved, edges=[4, 64])}, "edges"),
        ({"header": header(saved, layers=3)}, "is damaged"),
        ({"header": np.array("{")}, "is damaged"),
        ({"2.census.seen": None}, "is damaged"),
        ({"3.statistics.cells": None}, "is damaged"),
    ):
        with pytest.raises(BadInput, match=said):
            load_recording(rewritten(saved, path, **changes))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("1.statistics.count", np.zeros(5, np.int64)),
        ("1.statistics.cells", np.zeros((2, 7), np.int64)),
        ("1.statistics.mean", np.array(["a", "b"])),
        ("1.statistics.available", np.float64(3)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(saved, tmp_path, name, wrong):
    with pytest.raises(BadInput):
        load_recording(rewritten(saved, tmp_path / "wrong.npz", **{name: wrong}))


def test_paths_that_cannot_be_read_or_written(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(BadInput):
            load_recording(path)
    with pytest.raises(BadInput):
        recording(sizes=(2,)).save(tmp_path / "no" / "such" / "folder.npz")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: recording(seeded(v_th=0.7)), "v_th"),
        (lambda: recording(seeded(surrogate="atan")), "surrogate"),
        (lambda: recording(what_if=(1.0,)), "what_if"),
        (lambda: recording(layers=[1]), "layers"),
        (lambda: recording(seeded(planes=(5, 6))), r"weights features\.0"),
        (lambda: bare_recording(), "layer"),
    ],
)
def test_recordings_of_other_networks_refuse_to_merge(other, said):
    with pytest.raises(BadInput, match=said):
        recording().merged(other())


def bare_recording():
    with mpdviz.record(nn.Sequential(LIF())) as mpd:
        mpd_input = torch.ones(2, 1, 3)
        mpd._recorder._model(mpd_input)
    return mpd


def described(saved, **info):
    content = json.loads(str(header(saved)))
    content["layers"]["1"]["info"].update(info)
    return {"header": np.array(json.dumps(content))}


WRONG = {
    "no layers": lambda saved: {"header": header(saved, layers={}, left_out={})},
    "layer 0": lambda saved: {"header": header(saved, layers={"0": {}})},
    "header of lists": lambda saved: {"header": np.array("[]")},
    "deep header": lambda saved: {"header": np.array("[" * 10**5)},
    "v_th text": lambda saved: described(saved, v_th="x"),
    "v_th infinite": lambda saved: described(saved, v_th=float("inf")),
    "lower a number": lambda saved: described(saved, lower=0),
    "kappa short": lambda saved: described(saved, kappa=[1.0]),
    "kappa empty": lambda saved: described(saved, kappa=[], lower=[], upper=[]),
    "gamma texts": lambda saved: described(saved, gamma=["a"]),
    "unit negative": lambda saved: described(saved, unit=-1.0),
    "name a list": lambda saved: described(saved, name=[]),
    "epsilon 2": lambda saved: described(saved, epsilon=2.0),
    "what-if NaN": lambda saved: described(saved, what_if=[float("nan")]),
    "count long": lambda saved: {"1.statistics.count": np.zeros(9, np.int64)},
    "count negative": lambda saved: {"1.statistics.count": np.full(2, -1)},
    "count huge": lambda saved: {"1.statistics.count": np.full(2, 2**62)},
    "count floats": lambda saved: {"1.statistics.count": np.zeros(2)},
    "cells flat": lambda saved: {"1.statistics.cells": np.zeros(2, np.int64)},
    "more available than counted": lambda saved: {"1.statistics.available": np.full(2, 10**9)},
    "census of floats": lambda saved: {"1.census.seen": np.zeros(3)},
    "census of one": lambda saved: {"1.census.seen": np.array(1, np.uint8)},
    "currents of other timesteps": lambda saved: {"1.currents.sums": np.zeros((4, 3))},
    "currents of nothing": lambda saved: {"1.currents.count": np.array(0)},
    "currents a number": lambda saved: {"1.currents.sums": np.array(1.0)},
    "products flat": lambda saved: {"1.currents.products": np.zeros((4, 2))},
    "products of integers": lambda saved: {"1.currents.products": np.zeros((4, 2, 2), np.int64)},
    "census of other bits": lambda saved: {"1.census.seen": np.full(3, 255, np.uint8)},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_parts_of_the_wrong_kind_are_refused(saved, tmp_path, wrong):
    with pytest.raises(BadInput, match=r"wrong\.npz") as refused:
        load_recording(rewritten(saved, tmp_path / "wrong.npz", **WRONG[wrong](saved)))
    assert "\n" not in str(refused.value)


def test_a_flow_of_the_wrong_kind_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    recording(gradients=True).save(path)
    for name, value in (
        ("count", np.zeros(9, np.int64)),
        ("weight_passes", np.zeros(2, np.int64)),
        ("squares", np.zeros(2, np.int64)),
    ):
        with pytest.raises(BadInput, match="is damaged"):
            load_recording(rewritten(path, tmp_path / "wrong.npz", **{f"1.flow.{name}": value}))


def test_a_recording_without_sums_of_currents_loads_and_says_so(saved, tmp_path):
    content = json.loads(str(header(saved)))
    for part in content["layers"].values():
        del part["currents"]
    sums = ("sums", "products", "count")
    without = {f"{number}.currents.{name}": None for number in content["layers"] for name in sums}
    path = rewritten(saved, tmp_path / "old.npz", header=np.array(json.dumps(content)), **without)
    old, new = load_recording(path), load_recording(saved)
    assert old.table()["predicted_std_correlated"].isna().all()
    assert "older mpdviz" in old.not_measured[1]["predicted_ratio_correlated"]
    others = [name for name in new.table() if "correlated" not in name and name != "best_prediction"]
    pd.testing.assert_frame_equal(old.table()[others], new.table()[others])
    assert (old.table()["best_prediction"] != "").all()
    for one, other in ((old, recording(sizes=(4,))), (recording(sizes=(4,)), old)):
        both = one.merged(other)
        assert both.table()["predicted_std_correlated"].isna().all()
        assert "older mpdviz" in both.not_measured[1]["predicted_ratio_correlated"]
