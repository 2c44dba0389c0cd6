"""Data sets against independent truths: scikit-learn's arrays, per-pixel loops, files written by hand."""

import gzip
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from mpdviz import data
from mpdviz.data import cifar, digits_dvs
from mpdviz.data.augment import random_flip, random_shift
from mpdviz.data.base import Dataset, Split, batches
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput

PARTS = ("train", "val", "test")
UNPACKER = Path(__file__).parents[3] / "shared" / "data" / "unpack_cifar10.py"


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def dvs():
    return data.load("digits-dvs")


def small_dataset(samples, *, frames=0, mean=(), std=(), augment=None):
    """A data set whose three splits are the same `samples` random uint8 samples of 2 channels, 4x4."""
    rng = np.random.default_rng(samples)
    shape = (samples, frames, 2, 4, 4) if frames else (samples, 2, 4, 4)
    part = Split(torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8)), torch.arange(samples))
    return Dataset("small", part, part, part, samples, bool(frames), mean, std, augment)


# ---------------------------------------------------------------- registry


def test_every_registered_name_is_described_and_npz_besides():
    names = ["digits", "digits-dvs", "mnist", "fashion-mnist", "cifar10", "cifar100", "tiny-imagenet"]
    names += ["cifar10-dvs", "n-mnist", "dvs-gesture", "shd"]
    assert list(data.DATA) == names
    assert list(data.describe()) == [*names, "npz:FILE", "folder:DIR", "events:DIR"]
    assert all(text and "\n" not in text for text in data.describe().values())


def test_an_unknown_name_suggests_the_closest():
    with pytest.raises(BadInput, match=r"unknown data set 'digit'; did you mean 'digits'\? .*npz:FILE"):
        data.load("digit")


def test_an_installed_package_adds_a_data_set(tmp_path):
    """A module and an entry point of the group `mpdviz.data`; this package is not touched."""
    (tmp_path / "theirs.py").write_text(
        """
from dataclasses import replace
from mpdviz.data import NamedData, load
def mine(timesteps, data_dir):
    return replace(load("digits"), name=f"mine {timesteps}")
MINE = NamedData("digits again", mine)
"""
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mpdviz.data]\nmine = theirs:MINE\nwrong = theirs:load\n")
    code = """
from mpdviz import data
from mpdviz.errors import BadInput
print(data.load("mine", timesteps=3).name, data.DATA["mine"].description)
try:
    data.load("wrong")
except BadInput as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines() == [
        "mine 3 digits again",
        "data set 'wrong' of theirs:load is no NamedData; update that package, or remove it",
    ]


def test_no_data_need_scikit_learn_imported():
    probe = "import sys; from mpdviz import data; data.load('digits'); sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", probe], check=True, cwd=Path(__file__).parents[2])


# ---------------------------------------------------------------- splits


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 2**32 - 1))
def test_a_stratified_split_takes_each_sample_once_and_each_class_by_its_fractions(labels, seed):
    y = torch.tensor(labels)
    parts = stratified(y, val=0.1, test=0.2, seed=seed)
    assert sorted(torch.cat(parts).tolist()) == list(range(len(y)))
    for label in set(labels):
        members = labels.count(label)
        _, val, test = (int((y[part] == label).sum()) for part in parts)
        assert (val, test) == (round(members * 0.1), round(members * 0.2))


def test_another_seed_draws_another_split():
    y = torch.arange(200) % 4
    first, second = (stratified(y, val=0.1, test=0.2, seed=seed)[0].tolist() for seed in (0, 1))
    assert first != second


# ---------------------------------------------------------------- digits


def test_digits_are_those_of_scikit_learn(digits):
    pixels, labels = load_digits(return_X_y=True)
    truth = sorted((int(label), *map(int, row)) for label, row in zip(labels, pixels, strict=True))
    whole = digits.split("all")
    assert whole.x.dtype == torch.uint8
    assert whole.y.dtype == torch.int64
    found = sorted(
        (label, *row) for label, row in zip(whole.y.tolist(), whole.x.flatten(1).tolist(), strict=True)
    )
    assert found == truth  # every sample once, so the splits are disjoint and cover everything


def test_each_split_of_the_digits_is_bit_for_bit_that_of_scikit_learn_s_own_arrays(digits):
    pixels, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(pixels.astype(np.uint8)).reshape(-1, 1, 8, 8)
    y = torch.from_numpy(labels.astype(np.int64))
    for part, index in zip(PARTS, stratified(y, val=0.1, test=0.2, seed=1797), strict=True):
        assert torch.equal(digits.split(part).x, x[index])
        assert torch.equal(digits.split(part).y, y[index])


def test_without_scikit_learn_the_digits_are_said_to_be_its(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(BadInput, match="a file of scikit-learn, which is not installed; install"):
        data.load("digits")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (b"no gzip", "is damaged: Not a gzipped file"),
        (gzip.compress(b"0,1\n" * 9, mtime=0)[:-9], "is damaged: "),
        (gzip.compress(b"0,x\n", mtime=0), "is damaged: "),
        (gzip.compress(b"", mtime=0), "is damaged: it is empty"),
        (gzip.compress(b"0,1\n", mtime=0), "does not hold 1797 rows"),
        (gzip.compress((b"0," * 63 + b"17,0\n") * 1797, mtime=0), "does not hold 1797 rows"),
    ],
)
def test_a_file_of_digits_that_is_damaged_is_named(content, complaint, tmp_path, monkeypatch):
    package = tmp_path / "sklearn"
    path = package / "datasets" / "data" / "digits.csv.gz"
    path.parent.mkdir(parents=True)
    (package / "__init__.py").touch()
    if content is not None:
        path.write_bytes(content)
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInput, match=complaint) as caught:
        data.load("digits")
    assert str(path) in str(caught.value)


def test_digits_describe_themselves(digits):
    assert (digits.name, digits.classes, digits.frames, digits.timesteps) == ("digits", 10, False, None)
    assert digits.sample_shape == (1, 8, 8)
    values = digits.train.x.numpy().astype(np.float64)
    assert digits.mean == (pytest.approx(values.mean(), rel=1e-12),)
    assert digits.std == (pytest.approx(values.std(), rel=1e-12),)


def test_digits_are_split_by_class_70_10_20(digits):
    fractions = [len(digits.split(part)) / 1797 for part in PARTS]
    assert fractions == pytest.approx([0.7, 0.1, 0.2], abs=0.003)
    shares = [torch.bincount(digits.split(part).y) / len(digits.split(part)) for part in PARTS]
    for share in shares[1:]:
        torch.testing.assert_close(share, shares[0], atol=0.006, rtol=0)


def test_digits_do_not_depend_on_the_global_seeds(digits):
    torch.manual_seed(1)
    np.random.seed(1)
    again = data.load("digits", timesteps=7)
    for part in PARTS:
        assert torch.equal(again.split(part).x, digits.split(part).x)
        assert torch.equal(again.split(part).y, digits.split(part).y)


def test_digits_move_by_up_to_a_pixel_in_training(digits):
    x = digits.train.x.float()
    moved = digits.augment(x, torch.Generator().manual_seed(0))
    expected = random_shift(x, 1, torch.Generator().manual_seed(0))
    assert torch.equal(moved, expected)
    assert not torch.equal(moved, x)


# ---------------------------------------------------------------- digits-dvs


def film_of_loops(image, path, frames):
    """The event camera's model in plain loops: 8x8 image, path [(across, down)] -> counts [T, 2, 16, 16]."""
    size, digit, margin = 16, 12, 2
    scene = np.zeros((size, size))
    for row in range(digit):
        for column in range(digit):
            # The enlarged pixel's centre, in the pixels of the small image; beyond its edge, the edge.
            y = min(max((row + 0.5) * 8 / digit - 0.5, 0), 7)
            x = min(max((column + 0.5) * 8 / digit - 0.5, 0), 7)
            scene[margin + row, margin + column] = bilinear(image / 16, y, x)
    logs = [
        [[math.log(bilinear(scene, r - down, c - across) + 0.1) for c in range(size)] for r in range(size)]
        for across, down in path
    ]
    steps = (len(path) - 1) // frames
    counts = np.zeros((frames, 2, size, size), int)
    for r in range(size):
        for c in range(size):
            reference = logs[0][r][c] - 0.15 / 2
            for step in range(1, len(path)):
                departure = logs[step][r][c] - reference
                number = int(abs(departure) / 0.15)
                reference += math.copysign(number * 0.15, departure)
                counts[(step - 1) // steps, 0 if departure > 0 else 1, r, c] += number
    return counts


def bilinear(image, y, x):
    """The value between pixels, 0 beyond the image."""
    value = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                value += image[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


@pytest.mark.parametrize("frames", [1, 10])
def test_event_frames_follow_the_camera_model(digits, frames):
    film = data.load("digits-dvs", timesteps=frames)
    # The training samples are the first to draw their motion, with numbers for all of them at once.
    path = digits_dvs.saccade(len(film.train), frames, np.random.RandomState(digits_dvs.MOTION_SEED))
    for sample in (0, 700):
        image = digits.train.x[sample, 0].numpy().astype(np.float64)
        expected = film_of_loops(image, path[:, sample].tolist(), frames)
        np.testing.assert_array_equal(film.train.x[sample].numpy(), expected)


def test_event_frames_have_the_samples_and_splits_of_the_digits(digits, dvs):
    for part in PARTS:
        assert torch.equal(dvs.split(part).y, digits.split(part).y)
    assert dvs.train.x.shape == (len(digits.train), 10, 2, 16, 16)
    assert dvs.train.x.dtype == torch.uint8
    assert (dvs.frames, dvs.timesteps, dvs.sample_shape, dvs.classes) == (True, 10, (2, 16, 16), 10)
    assert (dvs.mean, dvs.std) == ((), ())


@pytest.mark.thorough
@pytest.mark.parametrize("frames", [1, 4, 31])
def test_every_frame_holds_events_of_both_polarities(frames):
    counts = data.load("digits-dvs", timesteps=frames).split("all").x.sum((3, 4), dtype=torch.int64)
    assert counts.shape == (1797, frames, 2)
    assert counts.min() > 0


def test_event_frames_are_the_same_at_every_call(dvs):
    torch.manual_seed(1)
    np.random.seed(1)
    assert torch.equal(data.load("digits-dvs").split("all").x, dvs.split("all").x)


def test_the_saccade_is_a_closed_isosceles_triangle_a_little_different_for_each_sample():
    path = digits_dvs.saccade(500, 6, np.random.RandomState(0)).numpy()
    start, apex, corner, end = path[:: (len(path) - 1) // 3]
    np.testing.assert_allclose(start, end, atol=1e-12)
    equal_legs = [np.linalg.norm(leg, axis=1) for leg in (apex - start, corner - apex)]
    np.testing.assert_allclose(*equal_legs)
    amplitude = np.linalg.norm(corner - start, axis=1)
    assert 2.55 <= amplitude.min() < 2.6
    assert 3.4 < amplitude.max() <= 3.45
    tilt = np.degrees(np.arctan2(*(corner - start).T[::-1]))
    assert -10 <= tilt.min() < -9 < 9 < tilt.max() <= 10


def test_a_film_has_at_least_one_frame():
    with pytest.raises(BadInput, match="cannot be filmed in 0 frames; ask for at least 1 timestep"):
        data.load("digits-dvs", timesteps=0)


# ---------------------------------------------------------------- cifar10


def write_cifar10(folder, seed=0):
    """Random images in the official layout, classes in rotation; returns pixels and labels by file name."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    truth = {}
    for name in [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]:
        pixels = rng.integers(0, 256, (10_000, 3, 32, 32), dtype=np.uint8)
        labels = (np.arange(10_000) % 10).astype(np.uint8)
        np.concatenate([labels[:, None], pixels.reshape(10_000, -1)], axis=1).tofile(folder / name)
        truth[name] = pixels, labels
    return truth


@pytest.fixture(scope="module")
def cifar10_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar10") / "cifar-10-batches-bin"
    return folder, write_cifar10(folder)


def test_cifar10_reads_every_record_of_the_official_layout(cifar10_files):
    folder, truth = cifar10_files
    dataset = data.load("cifar10", data_dir=folder.parent)
    pixels, labels = truth["test_batch.bin"]
    np.testing.assert_array_equal(dataset.test.x.numpy(), pixels)
    np.testing.assert_array_equal(dataset.test.y.numpy(), labels)

    stored = {image.tobytes() for name in list(truth)[:5] for image in truth[name][0]}
    found = {image.tobytes() for part in ("train", "val") for image in dataset.split(part).x.numpy()}
    assert found == stored
    assert torch.bincount(dataset.train.y).tolist() == [4500] * 10
    assert torch.bincount(dataset.val.y).tolist() == [500] * 10
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (45_000, 5_000, 10_000)
    assert (dataset.sample_shape, dataset.classes, dataset.timesteps) == ((3, 32, 32), 10, None)
    assert np.array(dataset.mean) / 255 == pytest.approx([0.4914, 0.4822, 0.4465])
    assert np.array(dataset.std) / 255 == pytest.approx([0.2023, 0.1994, 0.2010])


def test_cifar10_may_be_pointed_at_its_own_folder(cifar10_files):
    folder, _ = cifar10_files
    first, second = (data.load("cifar10", data_dir=path).val for path in (folder, folder.parent))
    assert torch.equal(first.x, second.x)


def test_cifar10_is_cropped_and_flipped_in_training():
    x = torch.randint(256, (64, 3, 32, 32), generator=torch.Generator().manual_seed(3)).float()
    generator = torch.Generator().manual_seed(0)
    expected = random_flip(random_shift(x, 4, generator), generator)
    assert torch.equal(cifar.cropped_and_flipped(x, torch.Generator().manual_seed(0)), expected)


def test_a_missing_cifar10_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"no file .*data_batch_1\.bin; give as data_dir the folder"):
        data.load("cifar10", data_dir=tmp_path)


def test_a_folder_in_place_of_a_cifar10_file_is_named(tmp_path):
    (tmp_path / "data_batch_1.bin").mkdir()
    with pytest.raises(BadInput, match=r"data_batch_1\.bin is a folder; give the file itself"):
        data.load("cifar10", data_dir=tmp_path)


def beside(folder):
    """The other files of CIFAR-10, empty: the first one is looked at first."""
    for name in (*(f"data_batch_{number}.bin" for number in range(2, 6)), "test_batch.bin"):
        (folder / name).touch()


def test_a_truncated_cifar10_file_says_expected_and_found_bytes(tmp_path):
    beside(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(30_729_999))
    with pytest.raises(
        BadInput, match=r"data_batch_1\.bin: expected 30730000 bytes, found 30729999; give as"
    ):
        data.load("cifar10", data_dir=tmp_path)


def test_a_cifar10_label_above_9_is_refused(tmp_path):
    beside(tmp_path)
    records = np.zeros((10_000, 3073), np.uint8)
    records[77, 0] = 10
    records.tofile(tmp_path / "data_batch_1.bin")
    with pytest.raises(BadInput, match=r"data_batch_1\.bin: label 10 found, expected 0 to 9; give as"):
        data.load("cifar10", data_dir=tmp_path)


@pytest.mark.slow
def test_the_real_cifar10_has_6000_images_of_each_class(tmp_path):
    if not UNPACKER.exists():
        pytest.skip(f"no {UNPACKER} on this machine")
    pytest.importorskip("PIL", reason="unpacking needs Pillow")
    subprocess.run([sys.executable, UNPACKER, tmp_path], check=True, capture_output=True)
    dataset = data.load("cifar10", data_dir=tmp_path)
    counts = [torch.bincount(dataset.split(part).y).tolist() for part in PARTS]
    assert counts == [[4500] * 10, [500] * 10, [1000] * 10]
    # The quoted mean is that of the real training images, so planes and their order are right.
    mean = dataset.train.x.double().mean((0, 2, 3)).tolist()
    assert mean == pytest.approx(dataset.mean, abs=1.0)


# ---------------------------------------------------------------- npz

IMAGES = np.arange(12 * 2 * 4 * 4, dtype=np.float32).reshape(12, 2, 4, 4)
LABELS = np.arange(12) % 3


def saved(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


def with_value(value):
    changed = IMAGES.copy()
    changed[3, 0, 1, :2] = value
    return changed


@pytest.mark.parametrize(
    ("stored", "kept"),
    [("u1", torch.uint8), *((kind, torch.float32) for kind in ("f2", "f4", ">f4", "f8", "i2", ">u2", "?"))],
)
def test_npz_values_are_used_as_they_are(tmp_path, stored, kept):
    x = (IMAGES % 256).astype(stored)
    dataset = data.load(saved(tmp_path / "mine.npz", x=x, y=LABELS, extra=np.zeros(3)))
    whole = dataset.split("all")
    assert whole.x.dtype == kept
    np.testing.assert_array_equal(whole.x.numpy(), x)  # file order
    np.testing.assert_array_equal(whole.y.numpy(), LABELS)
    ((batch, labels),) = batches(dataset, "all", 100, augment=torch.Generator())
    assert batch.dtype == torch.float32
    np.testing.assert_array_equal(batch.numpy(), x)
    np.testing.assert_array_equal(labels.numpy(), LABELS)
    assert dataset.name == f"npz:{tmp_path / 'mine.npz'}"
    assert (dataset.classes, dataset.sample_shape, dataset.frames) == (3, (2, 4, 4), False)


@pytest.mark.parametrize("timesteps", [None, 3])
def test_npz_frames_keep_their_time_axis(tmp_path, timesteps):
    x = np.random.default_rng(0).integers(0, 9, (7, 3, 2, 5, 5), dtype=np.uint8)
    name = saved(tmp_path / "frames.npz", x=x, y=np.arange(7, dtype=np.uint8))
    dataset = data.load(name, timesteps=timesteps)
    assert (dataset.frames, dataset.timesteps, dataset.classes) == (True, 3, 7)
    ((batch, _),) = batches(dataset, "all", 7)
    np.testing.assert_array_equal(batch.numpy(), x.swapaxes(0, 1))


def test_npz_takes_vectors_and_sequences_too(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    dataset = data.load(saved(tmp_path / "vectors.npz", x=vectors, y=np.arange(40) % 4), timesteps=3)
    np.testing.assert_array_equal(dataset.split("all").x.numpy(), vectors)
    assert (dataset.frames, dataset.timesteps, dataset.classes) == (False, None, 4)
    assert [len(dataset.split(part)) for part in PARTS] == [32, 4, 4]
    sequences = np.random.default_rng(0).integers(0, 9, (12, 5, 6), dtype=np.uint8)
    name = saved(tmp_path / "sequences.npz", x=sequences, y=LABELS)
    dataset = data.load(name, timesteps=5)
    assert (dataset.frames, dataset.timesteps, dataset.classes) == (True, 5, 3)
    ((batch, _),) = batches(dataset, "all", 12)
    np.testing.assert_array_equal(batch.numpy(), sequences.swapaxes(0, 1))
    assert_refused(name, r"holds 5 frames a sample, and 4 .*; ask for 5, .* x\[:, None\]", timesteps=4)


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 9, 40])
def test_npz_splits_of_few_samples_still_cover_everything(tmp_path, samples):
    x = np.arange(samples, dtype=np.float32).reshape(-1, 1, 1, 1)
    dataset = data.load(saved(tmp_path / "few.npz", x=x, y=np.arange(samples)))
    sizes = [len(dataset.split(part)) for part in PARTS]
    assert sizes[1:] == [round(samples / 10)] * 2
    assert sizes[0] > 0
    assert sorted(v for part in PARTS for v in dataset.split(part).x.flatten().tolist()) == list(
        range(samples)
    )
    assert dataset.split("all").x.flatten().tolist() == list(range(samples))
    assert len(list(batches(dataset, "val", 4))) == math.ceil(sizes[1] / 4)


def test_npz_splits_are_stratified_where_every_class_has_ten_samples(tmp_path):
    y = np.repeat([0, 1, 4], [60, 30, 10])
    dataset = data.load(saved(tmp_path / "many.npz", x=np.zeros((100, 1, 2, 2)), y=y))
    counts = [torch.bincount(dataset.split(part).y).tolist() for part in PARTS]
    assert counts == [[48, 24, 0, 0, 8], [6, 3, 0, 0, 1], [6, 3, 0, 0, 1]]
    assert dataset.classes == 5


BAD_ARRAYS = {
    "no x": (
        {"y": LABELS, "images": IMAGES},
        r"no array x \(its arrays: y, images\); write it with np.savez",
    ),
    "no y": ({"x": IMAGES}, r"no array y \(its arrays: x\); write it"),
    "nothing": ({}, r"no array x and y \(its arrays: none\); write it"),
    "x objects": ({"x": np.array([None, 1]), "y": LABELS}, "x holds Python objects, .* unpickled; save x as"),
    "y objects": ({"x": IMAGES, "y": np.array([None, 1])}, "y holds Python objects, .* unpickled; save y as"),
    "complex": ({"x": IMAGES * 1j, "y": LABELS}, "x has dtype complex64; save x as real numbers"),
    "text": ({"x": np.array(["a", "b"]), "y": LABELS}, "x has dtype <U1; save x as real numbers"),
    "flat": ({"x": IMAGES.ravel(), "y": LABELS}, r"x has 1 dimensions, shape \[384\]; save x as vectors"),
    "deep": (
        {"x": IMAGES.reshape(12, 2, 2, 2, 2, 2), "y": LABELS},
        "x has 6 dimensions, .*; save x as vectors",
    ),
    "scalar": ({"x": np.float32(1), "y": LABELS}, r"x has 0 dimensions, shape \[\]; save x as vectors"),
    "count": ({"x": IMAGES, "y": LABELS[:7]}, "x has 12 samples and y 7; save one label for each"),
    "empty": ({"x": IMAGES[:0], "y": LABELS[:0]}, r"x has no values, shape \[0, 2, 4, 4\]; save at least"),
    "no channel": ({"x": IMAGES[:, :0], "y": LABELS}, r"x has no values, shape \[12, 0, 4, 4\]; save"),
    "floats": ({"x": IMAGES, "y": LABELS.astype(float)}, r"y has dtype float64.*y\.astype\(np\.int64\)"),
    "bools": ({"x": IMAGES, "y": LABELS > 1}, r"y has dtype bool.*y\.astype\(np\.int64\)"),
    "one-hot": ({"x": IMAGES, "y": np.eye(12, dtype=int)}, r"y has 2 dimensions, .*; save y as \[N\]"),
    "negative": ({"x": IMAGES, "y": LABELS - 1}, "y holds 4 negative labels; number the classes from 0"),
    "nan": ({"x": with_value(np.nan), "y": LABELS}, "x holds 2 of 384 values that are NaN .*; remove"),
    "inf": ({"x": with_value(-np.inf), "y": LABELS}, "x holds 2 of 384 values that are NaN .*; remove"),
    "huge": ({"x": IMAGES.astype(float) + 1e300, "y": LABELS}, "x holds 384 of 384 values .* as float32"),
    "oblong": ({"x": IMAGES[..., :3], "y": LABELS}, r"4 high and 3 wide, shape \[12, 2, 4, 3\]; pad or crop"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_npz_arrays_that_cannot_be_used_are_named_with_the_remedy(tmp_path, case):
    arrays, message = BAD_ARRAYS[case]
    assert_refused(saved(tmp_path / "mine.npz", **arrays), message)


def assert_refused(name, message, **options):
    with pytest.raises(BadInput, match=message) as caught:
        data.load(name, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert name.removeprefix("npz:") in text
    assert "; " in text


def test_frames_are_not_stretched(tmp_path):
    name = saved(tmp_path / "frames.npz", x=np.zeros((4, 6, 1, 2, 2)), y=np.arange(4))
    assert_refused(name, "holds 6 frames a sample, and 4 timesteps were asked for; ask for 6", timesteps=4)
    images = saved(tmp_path / "images.npz", x=np.zeros((4, 1, 2, 2)), y=np.arange(4))
    assert data.load(images, timesteps=4).timesteps is None


def sound_file(path):
    np.savez(path, x=IMAGES, y=LABELS)
    return path.read_bytes()


BAD_FILES = {
    "empty": (lambda path: path.write_bytes(b""), "is empty; write it with np.savez"),
    "folder": (lambda path: path.mkdir(), "is a folder; give the file itself"),
    "text": (lambda path: path.write_text("x, y\n1, 2\n"), "is not an npz file.*; write it with np.savez"),
    "npy": (lambda path: write_npy(path), "is not an npz file.*; write it"),
    "cut": (
        lambda path: path.write_bytes(sound_file(path)[:-40]),
        "is not an npz file, or its end is missing",
    ),
    "bit": (
        lambda path: path.write_bytes(flipped(sound_file(path))),
        "damaged: x.npy fails its checksum; copy",
    ),
    "loop": (lambda path: path.symlink_to(path), "Too many levels of symbolic links; check the path"),
    "header": (
        lambda path: write_member(path, b"\x93NUMPY\x01\x00\x02\x00{}"),
        "is damaged: .*; copy or write",
    ),
    "no array": (lambda path: write_member(path, b"hello"), "x has dtype .S5; save x as real numbers"),
    "vast": (lambda path: write_member(path, vast_array()), "does not fit into memory; save fewer samples"),
}


def write_npy(path):
    with path.open("wb") as file:
        np.save(file, IMAGES)


def flipped(content):
    changed = bytearray(content)
    changed[400] ^= 1  # within the numbers of x
    return bytes(changed)


def write_member(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", b"")


def vast_array():
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 1, 8, 8)}" % 2**50
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize("case", BAD_FILES)
def test_files_that_cannot_be_read_are_named_with_the_remedy(tmp_path, case):
    write, message = BAD_FILES[case]
    write(tmp_path / "mine.npz")
    assert_refused(f"npz:{tmp_path / 'mine.npz'}", message)


def test_a_missing_npz_file_is_named(tmp_path):
    assert_refused(f"npz:{tmp_path / 'none.npz'}", "no file .*; check the path after npz:")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_damage_goes_unnoticed(tmp_path, save):
    """A flipped bit or a cut is refused, or has hit a byte that carries nothing."""
    path = tmp_path / "mine.npz"
    save(path, x=IMAGES, y=LABELS)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    for attempt in range(150):
        broken = bytearray(sound)
        place = rng.integers(len(sound))
        if attempt % 3:
            broken[place] ^= 1 << rng.integers(8)
        else:
            del broken[place:]
        path.write_bytes(broken)
        try:
            whole = data.load(f"npz:{path}").split("all")
        except BadInput:
            continue
        np.testing.assert_array_equal(whole.x.numpy(), IMAGES)
        np.testing.assert_array_equal(whole.y.numpy(), LABELS)


def test_the_home_folder_may_be_abbreviated(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    saved(tmp_path / "mine.npz", x=IMAGES, y=LABELS)
    assert len(data.load("npz:~/mine.npz").split("all")) == 12
    assert_refused("npz:~nobody-of-that-name/mine.npz", "home directory")


# ---------------------------------------------------------------- augmentation


@pytest.mark.parametrize("pad", [0, 1, 3])
def test_random_shift_is_a_crop_of_each_padded_image(pad):
    x = torch.rand(40, 3, 5, 6)
    shifted = random_shift(x, pad, torch.Generator().manual_seed(5))
    offsets = torch.randint(2 * pad + 1, (2, 40, 1), generator=torch.Generator().manual_seed(5))
    for image, result, down, across in zip(x, shifted, *offsets.squeeze(2).tolist(), strict=True):
        canvas = torch.zeros(3, 5 + 2 * pad, 6 + 2 * pad)
        canvas[:, pad : pad + 5, pad : pad + 6] = image
        assert torch.equal(result, canvas[:, down : down + 5, across : across + 6])


def test_random_shift_takes_every_offset_equally_often_for_each_sample_alone():
    x = torch.zeros(18_000, 1, 5, 5)
    x[:, 0, 2, 2] = 1
    places = random_shift(x, 1, torch.Generator().manual_seed(0)).sum((0, 1))
    assert places.sum() == 18_000
    # 2000 expected at each of 9 places, with a standard deviation of 42
    assert (places[1:4, 1:4] - 2000).abs().max() < 4.5 * 42


def test_random_flip_mirrors_half_of_the_images():
    x = torch.rand(4000, 2, 3, 4)
    flipped_images = random_flip(x, torch.Generator().manual_seed(0))
    mirrored = 0
    for image, result in zip(x, flipped_images, strict=True):
        is_mirror = bool((result == torch.from_numpy(image.numpy()[:, :, ::-1].copy())).all())
        assert is_mirror or torch.equal(result, image)
        mirrored += is_mirror
    assert abs(mirrored - 2000) < 4.5 * math.sqrt(1000)


@pytest.mark.parametrize("change", [lambda x, g: random_shift(x, 2, g), random_flip])
def test_augmentation_depends_on_its_generator_alone(change):
    x = torch.randint(256, (9, 3, 6, 6)).to(torch.uint8)
    before, state = x.clone(), torch.get_rng_state()
    first = change(x, torch.Generator().manual_seed(8))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(change(x, torch.Generator().manual_seed(8)), first)
    assert torch.equal(x, before)
    assert first.dtype == torch.uint8


# ---------------------------------------------------------------- batches


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 50), st.sampled_from([0, 3]), st.booleans())
def test_batches_visit_every_sample_once(samples, batch_size, frames, shuffled):
    dataset = small_dataset(samples, frames=frames)
    order = torch.randperm(samples) if shuffled else None
    sizes, seen = [], []
    for x, y in batches(dataset, "train", batch_size, order=order):
        assert x.dtype == torch.float32
        assert x.shape == ((frames, len(y), 2, 4, 4) if frames else (len(y), 2, 4, 4))
        batch_first = x.transpose(0, 1) if frames else x
        assert torch.equal(batch_first, dataset.train.x[y].float())  # the labels are the samples' numbers
        sizes.append(len(y))
        seen += y.tolist()
    assert seen == (order.tolist() if shuffled else list(range(samples)))
    assert sizes == [batch_size] * (samples // batch_size) + [samples % batch_size] * (
        samples % batch_size > 0
    )


@pytest.mark.parametrize("frames", [0, 3])
def test_batches_are_normalised_a_channel(frames):
    mean, std = (100.5, 30.25), (60.0, 7.5)
    dataset = small_dataset(11, frames=frames, mean=mean, std=std)
    ((x, _),) = batches(dataset, "test", 11)
    raw = dataset.test.x.numpy().astype(np.float64)
    expected = (raw - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    np.testing.assert_allclose(
        x.numpy(), expected.swapaxes(0, 1) if frames else expected, rtol=1e-6, atol=1e-6
    )


def test_batches_are_augmented_before_they_are_normalised_and_only_when_asked():
    dataset = small_dataset(8, mean=(10.0, 10.0), std=(2.0, 2.0), augment=lambda x, generator: x * 0 + 30)
    ((plain, _),) = batches(dataset, "train", 8)
    ((changed, _),) = batches(dataset, "train", 8, augment=torch.Generator())
    assert (changed == 10).all()
    assert torch.equal(plain, (dataset.train.x.float() - 10) / 2)


def test_changing_a_batch_leaves_the_data_set_alone(tmp_path):
    dataset = data.load(saved(tmp_path / "mine.npz", x=IMAGES, y=LABELS))
    for x, y in batches(dataset, "train", 4):
        x.zero_()
        y.zero_()
    np.testing.assert_array_equal(dataset.split("all").x.numpy(), IMAGES)


def test_the_whole_is_training_validation_and_test_in_turn(digits):
    expected = torch.cat([digits.split(part).x for part in PARTS])
    assert torch.equal(digits.split("all").x, expected)


def test_bad_requests_are_refused_at_the_call(digits):
    with pytest.raises(BadInput, match=r"unknown split 'tests'; did you mean 'test'\?"):
        batches(digits, "tests", 4)
    with pytest.raises(BadInput, match="batch size 0 holds no samples; choose"):
        batches(digits, "train", 0)


def test_a_data_set_moves_as_a_whole(tmp_path):
    moved = data.load(saved(tmp_path / "mine.npz", x=IMAGES, y=LABELS)).to("meta")
    assert all(
        tensor.is_meta for part in (*PARTS, "all") for tensor in (moved.split(part).x, moved.split(part).y)
    )
