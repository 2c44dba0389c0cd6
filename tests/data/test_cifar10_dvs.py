"""CIFAR10-DVS from files in the released layout; flips and rolls against numpy."""

import numpy as np
import pytest
import torch

from mpdviz import data
from mpdviz.config import validate
from mpdviz.data import dvs_frames
from mpdviz.data.cifar10_dvs import flipped_and_rolled
from mpdviz.errors import BadInput
from mpdviz.training.run import fit


def write(folder, counts=(100, 20), frames=3, size=48):
    """Random recordings; returns them by part."""
    rng = np.random.default_rng(0)
    truth = {}
    for part, count in zip(("train", "test"), counts, strict=True):
        (folder / part).mkdir(parents=True)
        x = rng.integers(0, 9, (count, frames, 2, size, size)).astype(np.float32)
        for i in range(count):
            label = i % 10
            torch.save(
                (torch.from_numpy(x[i]), torch.tensor(label) if i % 2 else label), folder / part / f"{i}.pt"
            )
        truth[part] = x
    return truth


def test_recordings_are_read_in_order_and_split_by_class(tmp_path):
    truth = write(tmp_path)
    dataset = data.load("cifar10-dvs", data_dir=tmp_path, timesteps=3)
    np.testing.assert_array_equal(dataset.test.x.float().numpy(), truth["test"])
    assert dataset.test.y.tolist() == [i % 10 for i in range(20)]
    assert torch.bincount(dataset.train.y).tolist() == [9] * 10
    assert torch.bincount(dataset.val.y).tolist() == [1] * 10
    assert (dataset.timesteps, dataset.sample_shape, dataset.classes) == (3, (2, 48, 48), 10)


def test_frames_are_resized_as_they_are(tmp_path):
    write(tmp_path, size=96)
    path = tmp_path / "test" / "0.pt"
    torch.save((torch.full((3, 2, 96, 96), 7.0), 0), path)
    dataset = data.load("cifar10-dvs", data_dir=tmp_path)
    assert dataset.test.x.shape == (20, 3, 2, 48, 48)
    assert bool((dataset.test.x[0] == 7).all())
    # Total counts of a recording stay, a pixel of four becoming one of a quarter of them.
    whole = torch.load(tmp_path / "test" / "1.pt", weights_only=True)[0]
    assert float(dataset.test.x[1].float().mean()) == pytest.approx(float(whole.mean()), rel=0.01)


def test_flips_and_rolls_are_numpy_s():
    x = torch.randn(200, 2, 2, 12, 12)
    out = flipped_and_rolled(x, torch.Generator().manual_seed(0))
    seen = set()
    for given, found in zip(x.numpy(), out.numpy(), strict=True):
        matches = [
            (flip, down, across)
            for flip in (False, True)
            for down in range(-5, 6)
            for across in range(-5, 6)
            if np.array_equal(np.roll(given[..., ::-1] if flip else given, (down, across), (-2, -1)), found)
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert {flip for flip, _, _ in seen} == {False, True}
    assert {down for _, down, _ in seen} == {across for _, _, across in seen} == set(range(-5, 6))


def test_it_trains(tmp_path):
    write(tmp_path / "data", counts=(120, 20), frames=2)
    settings = {"data": "cifar10-dvs", "data_dir": str(tmp_path / "data"), "timesteps": 2, "epochs": 1}
    settings |= {"batch_size": 16, "model": "convsnn:encode_channels=4:planes=4-4", "device": "cpu"}
    assert 0 <= fit(validate(settings), tmp_path / "run").test_accuracy <= 1


ZEROS = torch.zeros(3, 2, 48, 48)


def holding(content):
    """A folder whose third recording holds something else."""
    return lambda folder: torch.save(content, folder / "train" / "3.pt")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "train" / "0.pt").write_bytes(b"x"), r"0\.pt is not a recording archive"),
        (lambda folder: (folder / "train" / "x.pt").write_bytes(b"x"), "no numbered recordings"),
        (holding(ZEROS), r"3\.pt: expected a pair"),
        (holding((ZEROS, 10)), "label from 0 to 9"),
        (holding((torch.zeros(4, 2, 48, 48), 1)), r"3\.pt: frames \[4"),
        (holding((torch.zeros(3, 1, 48, 48), 1)), r"found \[3, 1"),
        (lambda folder: [path.unlink() for path in (folder / "test").iterdir()], "no recordings in .*test"),
    ],
)
def test_damage_is_named(tmp_path, damage, words):
    write(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadInput, match=words):
        data.load("cifar10-dvs", data_dir=tmp_path)


def test_other_timesteps_and_no_folder_are_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(BadInput, match="holds 3 frames a sample, and 4 timesteps"):
        data.load("cifar10-dvs", data_dir=tmp_path, timesteps=4)
    with pytest.raises(BadInput, match="no data_dir was given; give as data_dir"):
        data.load("cifar10-dvs")


def test_flipped_bits_are_refused(tmp_path):
    x = torch.rand(2, 2, 8, 8)
    torch.save((x, 3), tmp_path / "0.pt")
    whole, random = (tmp_path / "0.pt").read_bytes(), torch.Generator().manual_seed(0)
    before = dvs_frames.read(tmp_path).x
    refused = 0
    for _ in range(100):
        damaged = bytearray(whole)
        position = int(torch.randint(len(whole), (), generator=random))
        damaged[position] ^= 1 << int(torch.randint(8, (), generator=random))
        (tmp_path / "0.pt").write_bytes(bytes(damaged))
        try:
            assert torch.equal(dvs_frames.read(tmp_path).x, before)  # a time stamp or the like
        except BadInput:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("label", ["x", None, float("nan"), [1], True, 2.5, torch.zeros(2), torch.tensor(3j)])
def test_a_label_is_a_class_number(tmp_path, label):
    torch.save((torch.rand(2, 2, 8, 8), label), tmp_path / "0.pt")
    with pytest.raises(BadInput, match="a label from 0 to 9"):
        dvs_frames.read(tmp_path)
