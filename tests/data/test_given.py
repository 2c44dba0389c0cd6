"""Data handed over in Python: real torch and Hugging Face data sets, arrays and parts of them."""

import hashlib
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset, TensorDataset

from mpdviz import data
from mpdviz.data.given import dataset_of
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.system import memory

N = 40
RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(N, 2, 6, 6)).astype(np.float32)
PICTURES = RANDOM.integers(0, 256, (N, 6, 6, 3), dtype=np.uint8)
LABELS = np.arange(N) % 4
PARTS = ("train", "val", "test")


class Items(torch.utils.data.Dataset):
    """A map-style data set of what a function says."""

    def __init__(self, item, count=N):
        self.item, self.count = item, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.item(index)


def check(dataset, x=VALUES, y=LABELS):
    whole = dataset.split("all")
    np.testing.assert_array_equal(whole.x.numpy(), x)
    np.testing.assert_array_equal(whole.y.numpy(), y)
    counts = [torch.bincount(dataset.split(part).y).tolist() for part in PARTS]
    assert counts == [[8] * 4, [1] * 4, [1] * 4]
    assert (dataset.classes, dataset.frames, dataset.augment) == (4, x.ndim in (3, 5), None)


TENSORS = torch.from_numpy(VALUES), torch.from_numpy(LABELS)
NUMBERS = {
    "arrays": (VALUES, LABELS),
    "tensors": TENSORS,
    "a list of both": [torch.from_numpy(VALUES).requires_grad_(), LABELS],
    "TensorDataset": TensorDataset(*TENSORS),
    "Subset": Subset(TensorDataset(*TENSORS), range(N)),
    "ConcatDataset": ConcatDataset([TensorDataset(*(one[:9] for one in TENSORS)),
                                    TensorDataset(*(one[9:] for one in TENSORS))]),
    "arrays and ints": Items(lambda i: (VALUES[i], int(LABELS[i]))),
    "arrays and NumPy ints": Items(lambda i: (VALUES[i], LABELS[i])),
    "lists and tensors": Items(lambda i: [VALUES[i], torch.tensor([LABELS[i]])]),
    "a list of pairs": [(VALUES[i], LABELS[i]) for i in range(N)],
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_are_used_as_they_are(kind):
    dataset = dataset_of(NUMBERS[kind])
    check(dataset)
    assert (dataset.mean, dataset.std) == ((), ())
    assert dataset.name == dataset_of((VALUES, LABELS)).name  # the same samples and labels


@pytest.mark.parametrize("shape", [(7,), (5, 7), (1, 4, 4), (3, 2, 4, 4)])
def test_samples_of_any_rank(shape):
    x = np.random.default_rng(0).integers(0, 9, (N, *shape), dtype=np.uint8)
    dataset = dataset_of((x, LABELS))
    check(dataset, x)
    assert dataset.train.x.dtype == torch.uint8


def test_a_data_set_of_ours_stays_what_it_is():
    digits = data.load("digits")
    assert dataset_of(digits) is digits


def test_the_name_tells_the_data(tmp_path):
    dataset = dataset_of((VALUES, LABELS))
    digest = hashlib.sha256()
    for values in (VALUES, LABELS):
        digest.update(f" {values.dtype.str} {values.shape}\n".encode() + values.tobytes())
    assert dataset.name == f"given:{digest.hexdigest()[:12]}"
    changed = VALUES.copy()
    changed[3, 1, 2, 2] += 1
    others = {dataset_of((changed, LABELS)).name, dataset_of((VALUES, LABELS[::-1].copy())).name}
    others.add(dataset_of({"train": (VALUES, LABELS)}).name)
    assert len(others - {dataset.name}) == 3
    assert dataset_of((VALUES, LABELS), name="mine").name == "mine"


def test_what_was_given_is_not_shared():
    x = VALUES.copy()
    dataset = dataset_of((x, LABELS))
    x[:] = 0
    check(dataset)


def test_timesteps_are_checked():
    frames = np.zeros((N, 3, 2, 4, 4), np.uint8)
    assert dataset_of((frames, LABELS), timesteps=3).timesteps == 3
    with pytest.raises(BadInput, match="the data holds 3 frames a sample, and 4 timesteps were asked for"):
        dataset_of((frames, LABELS), timesteps=4)


@pytest.mark.parametrize("grey", [False, True])
def test_pictures_are_normalised_by_the_training_samples(grey):
    images = [Image.fromarray(one[..., 0] if grey else one) for one in PICTURES]
    dataset = dataset_of(Items(lambda i: (images[i], int(LABELS[i]))))
    x = PICTURES[..., :1] if grey else PICTURES
    check(dataset, x.transpose(0, 3, 1, 2))
    values = dataset.train.x.double().numpy()
    assert dataset.mean == pytest.approx(values.mean((0, 2, 3)), rel=1e-12)
    assert dataset.std == pytest.approx(values.std((0, 2, 3)), rel=1e-12)


def test_parts_are_taken_as_they_are():
    given = {"train": (VALUES[:20], LABELS[:20]), "test": TensorDataset(*(one[20:30] for one in TENSORS))}
    given["validation"] = Items(lambda i: (VALUES[30 + i], LABELS[30 + i]), 10)
    dataset = dataset_of(given)
    for part, some in (("train", slice(0, 20)), ("test", slice(20, 30)), ("val", slice(30, 40))):
        np.testing.assert_array_equal(dataset.split(part).x.numpy(), VALUES[some])
        np.testing.assert_array_equal(dataset.split(part).y.numpy(), LABELS[some])
    assert dataset.classes == 4


def test_parts_that_are_missing_are_made():
    train, test = (VALUES, LABELS), (VALUES[:5], LABELS[:5])
    dataset = dataset_of({"train": train, "test": test})
    assert [torch.bincount(dataset.split(part).y).tolist() for part in PARTS] == [
        [9] * 4,
        [1] * 4,
        [2, 1, 1, 1],
    ]
    np.testing.assert_array_equal(dataset.test.x.numpy(), VALUES[:5])
    assert [len(dataset_of({"train": train}).split(part)) for part in PARTS] == [32, 4, 4]
    with pytest.warns(MpdvizWarning, match="no part test: val is for test, a tenth of train for validation"):
        dataset = dataset_of({"train": train, "val": test})
    assert [len(dataset.split(part)) for part in PARTS] == [36, 4, 5]


class Stream(IterableDataset):
    def __iter__(self):
        yield VALUES[0], 0


BAD = {
    "a stream": (Stream(), "the data is an iterable data set, .*; collect its samples first"),
    "a loader": (DataLoader(TensorDataset(*TENSORS)), "the data is a DataLoader; give its `dataset`"),
    "a number": (3, "the data is of type int; give a pair"),
    "text": ("digits-of-mine", "the data is of type str; give a pair"),
    "None": (None, "the data is of type NoneType; give a pair"),
    "a generator": ((i for i in range(3)), "the data is of type generator; give a pair"),
    "nothing": ([], "the data holds no samples; give at least one"),
    "no pairs": (Items(lambda i: VALUES[i]), "sample 0 of the data is a ndarray of 2, no pair"),
    "triples": (
        Items(lambda i: (VALUES[i], 0, 1)),
        r"sample 0 of the data is a tuple of 3, no pair \(x, y\)",
    ),
    "shapes": (
        Items(lambda i: (VALUES[i, :, : 5 + (i != 7)], 0)),
        r"sample 7 of the data is float32 of shape \[2, 5, 6\], and sample 0 float32 of shape \[2, 6, 6\]",
    ),
    "types": (Items(lambda i: (VALUES[i].astype("f8" if i == 7 else "f4"), 0)), "sample 7 .* is float64 of"),
    "kinds": (
        Items(lambda i: (Image.fromarray(PICTURES[i]).convert("L" if i == 7 else "RGB"), 0)),
        "sample 7 of the data is of another kind than sample 0; make them alike",
    ),
    "16 bits": (
        Items(lambda i: (Image.fromarray(PICTURES[i, ..., 0].astype(np.uint16)), 0)),
        "sample 0 of the data has Pillow's mode I;16, more than 8 bits",
    ),
    "an error": (Items(lambda i: 1 / (i - 7)), "sample 0 of the data is a float, no pair"),
    "a late error": (
        Items(lambda i: (VALUES[i], 1 // (i - 7))),
        "sample 7 .* cannot be had: ZeroDivisionError",
    ),
    "label text": (
        Items(lambda i: (VALUES[i], "cat")),
        "label of sample 0 of the data is 'cat', no class number",
    ),
    "label float": (Items(lambda i: (VALUES[i], 0.5)), "label of sample 0 of the data is '0.5', no class"),
    "one-hot": (Items(lambda i: (VALUES[i], np.eye(4)[0])), "label of sample 0 .*, no class number"),
    "negative": ((VALUES, LABELS - 1), "the data: y holds 10 negative labels; number the classes from 0"),
    "count": ((VALUES, LABELS[:7]), "the data: x has 40 samples and y 7"),
    "nan": ((np.full((4, 2), np.nan), np.zeros(4, int)), "the data: x holds 8 of 8 values that are NaN"),
    "objects": (Items(lambda i: (object(), 0)), "the data: x has dtype object; save x as real"),
    "oblong": ((VALUES[..., :3], LABELS), "the data: images of x are 6 high and 3 wide"),
    "no train": ({"test": (VALUES, LABELS)}, "the data have no part train, but test; give"),
    "a part": (
        {"train": (VALUES, LABELS), "dev": (VALUES, LABELS)},
        r"'dev' is no part; name the parts train",
    ),
    "twice": (
        {"train": (VALUES, LABELS), "val": (VALUES, LABELS), "valid": (VALUES, LABELS)},
        "'valid' is there",
    ),
    "a bad part": ({"train": (VALUES, LABELS), "test": 3}, "test is of type int; give"),
    "other parts": (
        {"train": (VALUES, LABELS), "test": (VALUES[:, :1], LABELS)},
        r"samples of test are float32 \[1, 6, 6\], and float32 \[2, 6, 6\] of train; make them alike",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_one_line_with_the_remedy(case):
    given, said = BAD[case]
    with pytest.raises(BadInput, match=said) as caught:
        dataset_of(given)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read():
    asked = []

    def item(i):
        asked.append(i)
        return np.zeros((3, 64, 64), np.uint8), 0

    count = memory.available_memory() // 12_000
    with pytest.raises(
        BadInput, match=r"samples of shape \[3, 64, 64\] \(uint8\) takes at least .* of memory"
    ):
        dataset_of(Items(item, count))
    assert asked == [0]


# ---------------------------------------------------------------- Hugging Face


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory):
    """The package, its cache in a folder of this test's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("datasets")


def table(hf, count=N, image="image", label="label"):
    features = hf.Features(
        {image: hf.Image(), label: hf.ClassLabel(names=list("abcd")), "id": hf.Value("int64")}
    )
    images = [Image.fromarray(one) for one in PICTURES[:count]]
    content = {image: images, label: LABELS[:count].tolist(), "id": list(range(count))}
    return hf.Dataset.from_dict(content, features=features)


@pytest.mark.parametrize(("image", "label"), [("image", "label"), ("photo", "species")])
def test_columns_are_found_by_their_features(hugging_face, image, label):
    dataset = dataset_of(table(hugging_face, image=image, label=label))
    check(dataset, PICTURES.transpose(0, 3, 1, 2))
    assert len(dataset.mean) == 3


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("pixel_values", "labels"), ("img", "label")])
@pytest.mark.parametrize("form", [None, "torch", "numpy"])
def test_columns_are_found_by_their_names(hugging_face, x, y, form):
    values = VALUES.reshape(N, -1)
    plain = hugging_face.Dataset.from_dict({x: values.tolist(), y: LABELS.tolist()}).with_format(form)
    dataset = dataset_of(plain)
    check(dataset, values)


def test_arrays_of_several_axes_and_a_transform(hugging_face):
    features = hugging_face.Features({"x": hugging_face.Array3D((2, 6, 6), "float32")})
    features["y"] = hugging_face.Value("int64")
    rows = {"x": VALUES, "y": LABELS}
    check(dataset_of(hugging_face.Dataset.from_dict(rows, features=features).with_format("numpy")))

    def changed(batch):
        images = [
            torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1) / 255 for image in batch["image"]
        ]
        return {"pixel_values": images, "label": batch["label"]}

    transformed = table(hugging_face).with_transform(changed)
    check(dataset_of(transformed), (PICTURES.transpose(0, 3, 1, 2) / np.float32(255)))


def test_the_splits_of_a_dict_of_data_sets_are_used(hugging_face):
    whole = table(hugging_face)
    parts = {"train": whole.select(range(30)), "validation": whole.select(range(30, 35))}
    parts["test"] = whole.select(range(35, 40))
    dataset = dataset_of(hugging_face.DatasetDict(parts))
    assert [len(dataset.split(part)) for part in PARTS] == [30, 5, 5]
    np.testing.assert_array_equal(dataset.test.x.numpy(), PICTURES[35:].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(dataset.val.y.numpy(), LABELS[30:35])
    alone = dataset_of(hugging_face.DatasetDict({"train": whole}))
    assert [len(alone.split(part)) for part in PARTS] == [32, 4, 4]


def test_columns_that_are_missing_or_too_many_are_said(hugging_face):
    plain = hugging_face.Dataset.from_dict({"a": [[1.0]], "b": [0]})
    with pytest.raises(
        BadInput, match=r"has no columns of samples \(its columns: a, b\); rename one to image"
    ):
        dataset_of(plain)
    with pytest.raises(
        BadInput, match=r"has no columns of labels \(its columns: x, b\); rename one to label"
    ):
        dataset_of(plain.rename_column("a", "x"))
    twice = hugging_face.Dataset.from_dict({"x": [[1.0]], "img": [[1.0]], "y": [0]})
    with pytest.raises(BadInput, match="has 2 columns of samples"):
        dataset_of(twice)
    with pytest.raises(BadInput, match="the data is an iterable data set"):
        dataset_of(plain.to_iterable_dataset())
    named = hugging_face.Dataset.from_dict({"x": [[1.0]], "label": ["cat"]})
    with pytest.raises(BadInput, match="'cat', no class number"):
        dataset_of(named)
