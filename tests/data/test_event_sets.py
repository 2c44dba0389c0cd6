"""N-MNIST, DVS128 Gesture and SHD as small files in their official formats, against loops and tonic."""

import numpy as np
import pytest
import torch
from event_files import frames_of, nmnist, random_events

from mpdviz import data
from mpdviz.data import dvs_gesture, n_mnist, shd
from mpdviz.data.formats.events import in_smallest
from mpdviz.data.n_mnist import NMnist
from mpdviz.data.shd import Shd
from mpdviz.errors import BadInput

pytest.importorskip("tonic")
h5py = pytest.importorskip("h5py")

SMALL = NMnist((("Train", 100), ("Test", 20)))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Ten training and two test recordings a digit; returns their folder and the events by path."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("nmnist")
    written = {}
    for part, count in (("Train", 10), ("Test", 2)):
        for label in range(10):
            (folder / part / str(label)).mkdir(parents=True)
            for i in range(count):
                path = folder / part / str(label) / f"{i:05}.bin"
                events = random_events(rng, int(rng.integers(100, 200)), 34, 34)
                path.write_bytes(nmnist(events))
                written[path.relative_to(folder)] = events
    return folder, written


def samples(dataset):
    """Every training and validation sample with its label."""
    return sorted(
        (int(y), x.numpy().astype(np.int64).tobytes())
        for part in (dataset.train, dataset.val)
        for x, y in zip(part.x, part.y, strict=True)
    )


def test_n_mnist_is_binned_into_frames_of_equal_counts(digits, tmp_path):
    folder, written = digits
    (tmp_path / "NMNIST").symlink_to(folder)
    for place in (folder, tmp_path):
        dataset = n_mnist.load(SMALL, place, 4)
        truth = {path: frames_of(events, 4, 34, 34, 34) for path, events in written.items()}
        train = [(int(path.parts[1]), x.tobytes()) for path, x in truth.items() if path.parts[0] == "Train"]
        assert samples(dataset) == sorted(train)
        test = np.stack([x for path, x in truth.items() if path.parts[0] == "Test"])
        np.testing.assert_array_equal(dataset.test.x.numpy(), test)
        assert dataset.test.y.tolist() == [label for label in range(10) for _ in range(2)]
    assert dataset.test.x.dtype == torch.uint8
    assert torch.bincount(dataset.val.y).tolist() == [1] * 10
    assert (dataset.timesteps, dataset.classes, dataset.augment) == (4, 10, None)


def test_n_mnist_frames_are_those_of_tonic(digits):
    import tonic

    folder, written = digits
    path = next(path for path in written if path.parts[0] == "Test")
    events = tonic.io.read_mnist_file(str(folder / path), dtype=tonic.datasets.NMNIST.dtype)
    theirs = tonic.transforms.ToFrame((34, 34, 2), n_event_bins=3)(events)
    np.testing.assert_array_equal(n_mnist.load(SMALL, folder, 3).test.x[0].numpy(), theirs)


def test_ten_frames_where_nothing_is_asked_for_and_at_least_one(digits):
    folder, _ = digits
    assert n_mnist.load(SMALL, folder, None).timesteps == 10
    assert (folder / "frames-10.npz").exists()
    with pytest.raises(BadInput, match="cannot be binned into 0 frames; ask for at least 1 timestep"):
        n_mnist.load(SMALL, folder, 0)


def copied(folder, place):
    for path in folder.rglob("*.bin"):
        other = place / path.relative_to(folder)
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda whole: whole[:-2], r"00003\.bin is cut short: .* bytes are no events of 5 each; unpack"),
        (lambda whole: whole[:15], r"00003\.bin holds 3 events for 4 frames; unpack"),
        (lambda whole: b"", r"00003\.bin is empty"),
        (lambda whole: bytes([34]) + whole[1:], r"00003\.bin holds events outside 34 x 34 pixels; unpack"),
        (None, r"Train: expected 100 recordings, found 99; give as data_dir"),
    ],
)
def test_a_bad_n_mnist_recording_is_named(digits, tmp_path, content, said):
    folder, _ = digits
    copied(folder, tmp_path)
    bad = tmp_path / "Train" / "4" / "00003.bin"
    bad.unlink() if content is None else bad.write_bytes(content(bad.read_bytes()))
    with pytest.raises(BadInput, match=said):
        n_mnist.load(SMALL, tmp_path, 4)
    assert not list(tmp_path.glob("*.npz"))


@pytest.mark.parametrize("name", ["n-mnist", "dvs-gesture", "shd"])
def test_a_folder_is_needed_and_has_to_hold_the_files(name, tmp_path):
    with pytest.raises(
        BadInput, match=f"{name} is read from files, and no data_dir was given; give as data_dir"
    ):
        data.load(name)
    with pytest.raises(BadInput, match=r"no (Train|ibmGestureTrain|shd_train\.h5) in .*; give as data_dir"):
        data.load(name, data_dir=tmp_path)


def test_counts_are_kept_in_the_smallest_type_that_holds_them():
    for most, kind in ((255, np.uint8), (256, np.float16), (2048, np.float16), (2049, np.float32)):
        counts = np.array([0, 3, most])
        small = in_smallest(counts)
        assert small.dtype == kind
        np.testing.assert_array_equal(small.astype(np.int64), counts)


# ---------------------------------------------------------------- dvs-gesture


@pytest.fixture(scope="module")
def gestures(tmp_path_factory):
    """Eleven people, each with every gesture; columns x, y, polarity, milliseconds, as in tonic's archive."""
    rng, folder = np.random.default_rng(1), tmp_path_factory.mktemp("gesture")
    written = {}
    for part, users in (("ibmGestureTrain", range(1, 11)), ("ibmGestureTest", (24,))):
        for user in users:
            place = folder / part / f"user{user:02}_led"
            place.mkdir(parents=True)
            for label in range(11):
                events = random_events(rng, int(rng.integers(100, 200)))
                if (user, label) == (24, 0):
                    events["x"], events["y"], events["on"] = 7, 9, 1  # a pixel that fires all the time
                    events = np.repeat(events, 10)
                columns = [events["x"], events["y"], events["on"], events["t"] // 1000]
                np.save(place / f"{label}.npy", np.stack(columns, axis=1).astype(np.float64))
                written[part, user, label] = events
    return folder, written


def test_gestures_are_binned_and_two_by_two_pixels_added(gestures):
    folder, written = gestures
    dataset = dvs_gesture.load(folder, 3)
    assert dataset.test.y.tolist() == [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]  # by the names of the files
    for x, y in zip(dataset.test.x, dataset.test.y.tolist(), strict=True):
        expected = frames_of(written["ibmGestureTest", 24, y], 3, 128, 128, 64)
        np.testing.assert_array_equal(x.numpy().astype(int), expected)
    assert dataset.test.x.max() > 255
    train = [
        (label, frames_of(events, 3, 128, 128, 64).tobytes())
        for (part, _, label), events in written.items()
        if part == "ibmGestureTrain"
    ]
    assert samples(dataset) == sorted(train)
    assert torch.bincount(dataset.val.y).tolist() == [1] * 11
    assert (dataset.timesteps, dataset.classes, dataset.augment) == (3, 11, None)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:200]),
            r"cannot read .*5\.npy: .*; unpack it again",
        ),
        (lambda path: path.write_bytes(b"text"), r"cannot read .*5\.npy"),
        (
            lambda path: np.save(path, np.array([None]), allow_pickle=True),
            r"cannot read .*5\.npy: Object arrays",
        ),
        (lambda path: np.save(path, np.zeros((9, 3))), r"5\.npy holds no columns x, y, polarity and time"),
        (lambda path: np.save(path, np.full((9, 4), -1.0)), r"5\.npy holds events that are at no pixel"),
        (lambda path: np.save(path, np.full((9, 4), np.nan)), r"5\.npy holds events that are at no pixel"),
        (lambda path: np.save(path, np.full((9, 4), 128.0)), r"5\.npy holds events outside 128 x 128"),
        (lambda path: path.rename(path.with_name("11.npy")), r"label 11 found, expected 0 to 10; give"),
        (lambda path: path.rename(path.with_name("x.npy")), r"label x found, expected 0 to 10; give"),
    ],
)
def test_a_bad_gesture_is_named(tmp_path, write, said):
    rng = np.random.default_rng(0)
    for part in ("ibmGestureTrain", "ibmGestureTest"):
        (tmp_path / part / "user01_led").mkdir(parents=True)
        for label in range(11):
            np.save(tmp_path / part / "user01_led" / f"{label}.npy", rng.integers(0, 2, (9, 4)))
    write(tmp_path / "ibmGestureTrain" / "user01_led" / "5.npy")
    with pytest.raises(BadInput, match=said):
        dvs_gesture.load(tmp_path, 3)


def test_a_gesture_without_recordings_is_named(tmp_path):
    (tmp_path / "ibmGestureTrain").mkdir()
    with pytest.raises(BadInput, match="ibmGestureTrain holds no recording of gesture 0; give as data_dir"):
        dvs_gesture.load(tmp_path, 3)


# ---------------------------------------------------------------- shd

SPOKEN = Shd((("shd_train.h5", 200), ("shd_test.h5", 40)))


def write_shd(path, count, seed, **changes):
    """Recordings as the official files hold them, times in half precision; returns times and units."""
    rng = np.random.default_rng(seed)
    times = [np.sort(rng.uniform(0, 1.37, rng.integers(5, 60))).astype(np.float16) for _ in range(count)]
    units = [rng.integers(0, 700, len(one)).astype(np.uint16) for one in times]
    labels = (np.arange(count) % 20).astype(np.uint16)
    content = {"times": times, "units": units, "labels": labels} | changes
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            lists = file.create_dataset(f"spikes/{name}", (len(content[name]),), dtype=h5py.vlen_dtype(kind))
            for i, one in enumerate(content[name]):
                lists[i] = one
        file["labels"] = content["labels"]
    return times, units


def counted(times, units, timesteps):
    counts = np.zeros((timesteps, 700), int)
    for time, unit in zip(times, units, strict=True):
        counts[int(float(time) / 1.4 * timesteps + 1e-12), int(unit)] += 1
    return counts


def test_spoken_digits_are_counted_in_equal_parts_of_a_window(tmp_path):
    (tmp_path / "SHD").mkdir()
    truth = {
        name: write_shd(tmp_path / "SHD" / name, count, seed)
        for seed, (name, count) in enumerate(SPOKEN.recordings)
    }
    dataset = shd.load(SPOKEN, tmp_path, 7)
    expected = {name: [counted(*one, 7) for one in zip(*lists, strict=True)] for name, lists in truth.items()}
    np.testing.assert_array_equal(dataset.test.x.numpy(), np.stack(expected["shd_test.h5"]))
    assert dataset.test.y.tolist() == [i % 20 for i in range(40)]
    assert samples(dataset) == sorted((i % 20, x.tobytes()) for i, x in enumerate(expected["shd_train.h5"]))
    assert torch.bincount(dataset.val.y).tolist() == [1] * 20
    assert (dataset.frames, dataset.timesteps, dataset.classes) == (True, 7, 20)
    assert (tmp_path / "SHD" / "frames-7.npz").exists()
    assert int(dataset.test.x.sum()) == sum(map(len, truth["shd_test.h5"][0]))  # no spike is lost
    ((batch, _),) = data.batches(dataset, "test", 40)
    assert batch.shape == (7, 40, 700)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": np.full(200, 20)}, r"shd_train\.h5: label 20 found, expected 0 to 19; give as data_dir"),
        ({"labels": np.zeros(199, int)}, r"shd_train\.h5: expected 200 labels, found int64 \[199\]; give"),
        (
            {"times": [np.float16([1.5])] * 200, "units": [[0]] * 200},
            r"holds spikes outside 0 to 1\.4 s or units",
        ),
        (
            {"times": [np.float16([1.0])] * 200, "units": [[700]] * 200},
            r"holds spikes outside 0 to 1\.4 s or un",
        ),
        (
            {"units": [[0]] * 200, "times": [np.float16([0, 1])] * 200},
            "a recording of 2 times and 1 units; give",
        ),
        ({"units": [[0]] * 199}, "200 labels, 200 lists of times, 199 of units; give"),
    ],
)
def test_other_recordings_of_spoken_digits_are_named(tmp_path, changes, said):
    write_shd(tmp_path / "shd_train.h5", 200, 0, **changes)
    write_shd(tmp_path / "shd_test.h5", 40, 1)
    with pytest.raises(BadInput, match=said):
        shd.load(SPOKEN, tmp_path, 7)


def test_damaged_or_missing_files_of_spoken_digits_are_named(tmp_path):
    write_shd(tmp_path / "shd_train.h5", 200, 0)
    with pytest.raises(BadInput, match=r"shd_test\.h5"):
        shd.load(SPOKEN, tmp_path, 7)
    for content in (b"", b"no HDF5", (tmp_path / "shd_train.h5").read_bytes()[:3000]):
        (tmp_path / "shd_test.h5").write_bytes(content)
        with pytest.raises(BadInput, match=r"cannot read .*shd_test\.h5.*; give as data_dir") as caught:
            shd.load(SPOKEN, tmp_path, 7)
        assert "\n" not in str(caught.value)
    with h5py.File(tmp_path / "shd_test.h5", "w") as file:
        file["labels"] = np.zeros(40, int)
    with pytest.raises(BadInput, match=r"cannot read .*shd_test\.h5"):
        shd.load(SPOKEN, tmp_path, 7)
