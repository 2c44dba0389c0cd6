"""A part of the training samples: which, how many, and that nothing else changes."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import mpdviz
from mpdviz import data
from mpdviz.data.splits import limited
from mpdviz.errors import BadInput

LABELS = torch.from_numpy(np.random.RandomState(3).permutation(np.repeat([0, 1, 2], [50, 30, 20])))


@pytest.mark.parametrize("count", [1, 3, 10, 37, 99, 100])
def test_every_class_keeps_its_share(count):
    chosen = limited(LABELS, count)
    assert len(chosen) == len(set(chosen.tolist())) == count
    assert chosen.tolist() == sorted(chosen.tolist())
    kept = np.bincount(LABELS[chosen], minlength=3)
    assert (abs(kept - count * np.array([0.5, 0.3, 0.2])) <= 1).all()


def test_a_smaller_part_lies_in_a_larger_one():
    parts = [set(limited(LABELS, count).tolist()) for count in range(1, 101)]
    assert all(small < large for small, large in pairwise(parts))


def test_validation_and_test_stay_whole():
    whole = data.load("digits")
    part = whole.limited(100)
    assert len(part.train) == 100
    assert part.val is whole.val
    assert part.test is whole.test
    rows = {row.tobytes() for row in whole.train.x.numpy()}
    assert all(row.tobytes() in rows for row in part.train.x.numpy())


def test_a_recording_says_of_how_many_samples_a_network_has_learned(tmp_path):
    mpdviz.train(
        train_limit=100, epochs=1, model="convsnn:encode_channels=4:planes=4-4", out=tmp_path / "run"
    )
    recording = mpdviz.inspect(tmp_path / "run", limit=4)
    assert recording.contents.origin["trained on"] == "digits (100 of its training samples), seed 0, 1 epochs"


def test_more_than_there_are_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(BadInput, match="`train_limit` 5000: digits has 1259 training samples"):
        mpdviz.train(train_limit=5000, epochs=1, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())
