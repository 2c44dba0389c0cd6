"""Event recordings of the user's own, of every format, against counts event by event; and real ones."""

import subprocess
import sys
import tarfile

import numpy as np
import pytest
import torch
from event_files import aedat4, frames_of, nmnist, random_events

from mpdviz import data
from mpdviz.errors import BadInput

tonic = pytest.importorskip("tonic")
aedat = pytest.importorskip("aedat")

WIDTH, HEIGHT = 24, 16


def structured(path, events):
    made = np.zeros(len(events), [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
    for name, field in (("x", "x"), ("y", "y"), ("t", "t"), ("p", "on")):
        made[name] = events[field]
    np.save(path, made)


WRITERS = {
    "aedat4": lambda path, events: path.write_bytes(aedat4(events, WIDTH, HEIGHT)),
    "bin": lambda path, events: path.write_bytes(nmnist(events)),
    "npy": structured,
}


def write(folder, suffix, count=10):
    """Recordings of two classes; returns the events by class."""
    rng = np.random.default_rng(0)
    written = {}
    for name in ("wave", "clap"):
        (folder / name).mkdir(parents=True)
        written[name] = [random_events(rng, int(rng.integers(60, 90)), WIDTH, HEIGHT) for _ in range(count)]
        for i, events in enumerate(written[name]):
            WRITERS[suffix](folder / name / f"{i:02}.{suffix}", events)
    return written


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("size", [None, 8, 5])
def test_recordings_are_binned_and_pixels_added(tmp_path, suffix, size):
    written = write(tmp_path, suffix)
    name = f"events:{tmp_path}"
    width, height = (WIDTH, HEIGHT) if suffix == "aedat4" else (WIDTH, WIDTH)
    name += "" if suffix == "aedat4" else f":sensor={WIDTH}"
    name += f":size={size}" if size else ""
    dataset = data.load(name, timesteps=4)
    found = sorted(
        (int(y), x.numpy().astype(np.int64).tobytes())
        for part in ("train", "val", "test")
        for x, y in zip(dataset.split(part).x, dataset.split(part).y, strict=True)
    )
    truth = [
        (label, frames_of(events, 4, width, height, size or WIDTH).tobytes())
        for label, one in enumerate(("clap", "wave"))
        for events in written[one]
    ]
    assert found == sorted(truth)
    assert [torch.bincount(dataset.split(part).y).tolist() for part in ("train", "val", "test")] == [
        [8, 8],
        [1, 1],
        [1, 1],
    ]
    assert (dataset.name, dataset.timesteps, dataset.classes) == (name, 4, 2)


def test_frames_of_another_size_are_not_taken_for_these(tmp_path):
    write(tmp_path, "aedat4")
    large = data.load(f"events:{tmp_path}", timesteps=4).train.x
    small = data.load(f"events:{tmp_path}:size=8", timesteps=4).train.x
    assert large.shape[-1] == WIDTH
    assert small.shape[-1] == 8
    assert large.sum() == small.sum()  # no event is lost
    assert torch.equal(data.load(f"events:{tmp_path}:size=8", timesteps=4).train.x, small)


@pytest.mark.parametrize(
    ("change", "option", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "", r"cannot read .*03\.aedat4.*; copy it"),
        (lambda path: path.write_bytes(b"no recording"), "", r"cannot read .*wave.03\.aedat4"),
        (lambda path: path.write_bytes(b""), "", r"cannot read .*wave.03\.aedat4"),
        (lambda path: structured(path.with_suffix(".npy"), random_events(np.random.default_rng(0), 9)), "",
         r"03\.npy does not say how large its sensor is; give its side, e\.g\. events:.*:sensor=128"),
        (lambda path: path.write_bytes(aedat4(random_events(np.random.default_rng(0), 9, 8, 8), 8, 8)), "",
         r"03\.aedat4 is of 8 x 8 pixels, and 24 x 16 of .*; keep recordings of different sensors apart"),
        (lambda path: None, ":sensor=8", r"holds events outside 8 x 8 pixels"),
        (lambda path: None, ":size=25", r"frames are no larger than the sensor; ask for 24"),
    ],
)  # fmt: skip
def test_a_bad_recording_is_named(tmp_path, change, option, said):
    write(tmp_path, "aedat4")
    change(tmp_path / "wave" / "03.aedat4")
    with pytest.raises(BadInput, match=said) as caught:
        data.load(f"events:{tmp_path}{option}", timesteps=4)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_real_recordings_lose_no_event(tmp_path):
    """Two recordings of a real camera, in the source distribution of a package that is never installed."""
    asked = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary",
        ":all:",
    ]
    done = subprocess.run([*asked, "--dest", tmp_path, "aermanager==0.3.0"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"aermanager 0.3.0 cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    (packed,) = tmp_path.glob("aermanager-*.tar.gz")
    with tarfile.open(packed) as archive:
        for member in archive:
            if member.name.endswith(".aedat4"):
                place = tmp_path / "real" / member.name.split("/")[-2]
                place.mkdir(parents=True)
                (place / "recording.aedat4").write_bytes(archive.extractfile(member).read())

    for size in (320, 64):
        whole = data.load(f"events:{tmp_path / 'real'}:size={size}", timesteps=10).split("all")
        assert sorted(whole.y.tolist()) == [0, 1]
        for x, label in zip(whole.x.numpy().astype(np.int64), whole.y.tolist(), strict=True):
            path = tmp_path / "real" / f"class{label + 1}" / "recording.aedat4"
            # Packet by packet, straight from the decoder.
            packets = [packet["events"] for packet in aedat.Decoder(str(path)) if "events" in packet]
            columns = [np.concatenate([packet[field] for packet in packets]) for field in ("x", "y", "on")]
            column, row, on = (values.astype(np.int64) for values in columns)
            each = len(column) // 10
            assert (x.sum((1, 2, 3)) == each).all()
            assert len(column) - x.sum() == len(column) % 10  # what is dropped, from the end
            expected = np.zeros((10, 2, 320, 320), np.int64)
            for t in range(10):
                some = slice(t * each, (t + 1) * each)
                np.add.at(expected[t], (on[some], row[some] + 40, column[some]), 1)
            share = 320 // size
            expected = expected.reshape(10, 2, size, share, size, share).sum((3, 5))
            np.testing.assert_array_equal(x, expected)
