"""CIFAR10-DVS as event files, read through tonic and aedat, against numpy's binning of what was written."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from event_files import EVENT, aedat4, random_events

from mpdviz import data
from mpdviz.data.dvs_events import NAMES
from mpdviz.errors import BadInput

pytest.importorskip("tonic")
pytest.importorskip("aedat")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Twelve recordings a class; returns their folder and the events by (class, number)."""
    rng = np.random.default_rng(0)
    folder, written = tmp_path_factory.mktemp("dvs"), {}
    for name in NAMES:
        (folder / "CIFAR10DVS" / name).mkdir(parents=True)
        for number in range(12):
            events = random_events(rng, int(rng.integers(2000, 3000)))
            path = folder / "CIFAR10DVS" / name / f"cifar10_{name}_{number}.aedat4"
            path.write_bytes(aedat4(events))
            written[name, number] = events
    return folder, written


def binned(events, timesteps):
    """Frames of equally many events, in float64, each resized pixel a weighted mean (a matrix a side)."""
    whole = np.zeros((timesteps, 2, 128, 128))
    each = len(events) // timesteps
    for t in range(timesteps):
        for _, x, y, on, _ in events[t * each : (t + 1) * each]:
            whole[t, on, y, x] += 1
    scale = 128 / 48
    weight = np.zeros((48, 128))
    for i in range(48):
        centre = scale * (i + 0.5)
        low, high = max(int(centre - scale + 0.5), 0), min(int(centre + scale + 0.5), 128)
        triangle = np.maximum(0, 1 - np.abs((np.arange(low, high) - centre + 0.5) / scale))
        weight[i, low:high] = triangle / triangle.sum()
    return weight @ whole @ weight.T


def test_events_are_binned_into_frames_of_equal_counts(recordings):
    folder, written = recordings
    dataset = data.load("cifar10-dvs", data_dir=folder, timesteps=4)
    assert (dataset.timesteps, dataset.sample_shape, dataset.classes) == (4, (2, 48, 48), 10)
    # The first 90 % of each class, in the order of the numbers in the names: 0 to 9, then 10 and 11.
    assert torch.bincount(dataset.train.y).tolist() == [9] * 10
    assert torch.bincount(dataset.val.y).tolist() == [1] * 10
    assert dataset.test.y.tolist() == [label for label in range(10) for _ in range(2)]
    truth = [binned(written[name, number], 4) for name in NAMES for number in (10, 11)]
    np.testing.assert_allclose(dataset.test.x.double().numpy(), np.stack(truth), atol=1e-3)


def test_frames_are_kept_until_the_recordings_change(recordings, tmp_path):
    _, written = recordings
    mine = tmp_path / "mine"
    for name in NAMES:
        (mine / name).mkdir(parents=True)
        for number in range(10):
            (mine / name / f"{number}.aedat4").write_bytes(aedat4(written[name, number]))
    first = data.load("cifar10-dvs", data_dir=mine, timesteps=2)
    kept = mine / "frames-2.npz"
    before = kept.read_bytes()
    assert torch.equal(data.load("cifar10-dvs", data_dir=mine, timesteps=2).train.x, first.train.x)
    kept.write_bytes(before[:1000])  # damaged: binned again
    assert torch.equal(data.load("cifar10-dvs", data_dir=mine, timesteps=2).train.x, first.train.x)
    (mine / "truck" / "9.aedat4").write_bytes(aedat4(written["cat", 11]))
    changed = data.load("cifar10-dvs", data_dir=mine, timesteps=2)
    np.testing.assert_allclose(changed.test.x[-1].double().numpy(), binned(written["cat", 11], 2), atol=1e-3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda whole: whole[:3000], "cannot read"),
        (lambda whole: b"not a recording", "cannot read"),
        (lambda whole: aedat4(np.zeros(3, EVENT)), "3 events for 4 frames"),
        (lambda whole: aedat4(np.array([(0, 200, 5, 1, b"")] * 9, EVENT)), "outside 128 x 128"),
    ],
)
def test_a_bad_recording_is_named(recordings, tmp_path, content, said):
    _, written = recordings
    for name in NAMES:
        (tmp_path / name).mkdir()
        for number in range(10):
            (tmp_path / name / f"{number}.aedat4").write_bytes(aedat4(written[name, number]))
    bad = tmp_path / "cat" / "3.aedat4"
    bad.write_bytes(content(bad.read_bytes()))
    with pytest.raises(BadInput, match=said) as caught:
        data.load("cifar10-dvs", data_dir=tmp_path, timesteps=4)
    assert str(bad) in str(caught.value)
    assert not list(tmp_path.glob("*.npz"))


def test_a_class_that_is_missing_is_named(recordings, tmp_path):
    (tmp_path / "airplane").mkdir()
    with pytest.raises(BadInput, match="airplane holds 0 recordings"):
        data.load("cifar10-dvs", data_dir=tmp_path)


@pytest.mark.thorough
def test_without_tonic_the_extra_is_named(recordings):
    folder, _ = recordings
    code = "import sys; sys.modules['tonic'] = None; from mpdviz.cli.entry import run; run()"
    arguments = [
        "train",
        "--data",
        "cifar10-dvs",
        "--data-dir",
        str(folder),
        "--timesteps",
        "5",
        "--out",
        "o",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("pip install 'mpdviz[events]'")
    assert not (folder / "o").exists()
