"""Where a recording comes from: told by what made it, kept in its file, joined where recordings merge."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from places import arrays

import mpdviz
from mpdviz.neurons import LIF


@pytest.fixture
def data(tmp_path, monkeypatch):

    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", **arrays())


def test_a_checkpoint_says_what_ran_over_which_data(golden, data, tmp_path):
    path = golden.parents[1] / "sample_checkpoints" / "fixed.pt"
    recording = mpdviz.inspect(path, data="npz:data.npz", split="all", limit=7, device="cpu")
    origin = recording.contents.origin
    assert origin["SHA-256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert origin["strategy"] == "fixed"
    assert (origin["data"], origin["split"], origin["samples"]) == ("npz:data.npz", "all", "7")
    recording.save(tmp_path / "r.npz")
    assert mpdviz.load_recording(tmp_path / "r.npz").contents.origin == origin


def test_a_module_of_ones_own_has_its_class_for_a_name():
    with mpdviz.record(LIF()) as recording:
        pass
    assert recording.contents.origin == {"network": "LIF"}


def test_recordings_that_merge_tell_both_origins():
    neuron, parts = LIF(), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        with mpdviz.record(neuron) as recording:
            neuron(torch.randn(2, 3, 4))
        parts.append(recording)
    assert parts[0].merged(parts[1]).contents.origin == {"network": "LIF"}

    split = [replace(part.contents, origin={"split": name}) for part, name in zip(parts, "ab", strict=True)]
    assert split[0].merged(split[1]).origin == {"split": "a; b"}
