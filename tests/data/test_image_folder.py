"""Folders of pictures that the test writes with Pillow: what is read, how it is divided, what is refused."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from mpdviz import data
from mpdviz.data.augment import random_shift
from mpdviz.errors import BadInput, MpdvizWarning


def picture(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def write(folder, classes=("cat", "ant", "bee"), count=20, size=16, colour=True, suffix="png", seed=0):
    """Random pictures a class; returns them by class."""
    rng = np.random.default_rng(seed)
    truth = {}
    for name in classes:
        shape = (count, size, size, 3) if colour else (count, size, size)
        truth[name] = rng.integers(0, 256, shape, dtype=np.uint8)
        for i, values in enumerate(truth[name]):
            picture(folder / name / f"{i:03}.{suffix}", values)
    return truth


def everything(dataset):
    """Every sample with its label."""
    return sorted(
        (int(y), x.numpy().tobytes())
        for part in (dataset.train, dataset.val, dataset.test)
        for x, y in zip(part.x, part.y, strict=True)
    )


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "PNG"])
def test_every_picture_is_there_once_by_the_alphabet_of_its_class(tmp_path, colour, suffix):
    truth = write(tmp_path, colour=colour, suffix=suffix)
    dataset = data.load(f"folder:{tmp_path}")
    moved = {
        name: values.transpose(0, 3, 1, 2) if colour else values[:, None] for name, values in truth.items()
    }
    expected = [(label, x.tobytes()) for label, name in enumerate(("ant", "bee", "cat")) for x in moved[name]]
    assert everything(dataset) == sorted(expected)
    counts = [torch.bincount(dataset.split(part).y).tolist() for part in ("train", "val", "test")]
    assert counts == [[16] * 3, [2] * 3, [2] * 3]
    assert (dataset.name, dataset.classes, dataset.frames) == (f"folder:{tmp_path}", 3, False)
    assert dataset.train.x.dtype == torch.uint8
    values = dataset.train.x.numpy().astype(np.float64)
    assert dataset.mean == pytest.approx(values.mean((0, 2, 3)), rel=1e-12)
    assert dataset.std == pytest.approx(values.std((0, 2, 3)), rel=1e-12)
    assert torch.equal(data.load(f"folder:{tmp_path}").val.x, dataset.val.x)


def test_lossy_formats_and_other_modes_are_what_pillow_says(tmp_path):
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    made = {"a.jpg": colour, "b.webp": colour, "c.png": colour.convert("P"), "d.png": colour.convert("RGBA")}
    made |= {"e.png": colour.convert("L"), "f.png": colour.convert("1"), "g.jpeg": colour.convert("CMYK")}
    (tmp_path / "things").mkdir()
    for name, image in made.items():
        image.save(tmp_path / "things" / name)
    dataset = data.load(f"folder:{tmp_path}")
    truth = [
        np.asarray(Image.open(tmp_path / "things" / name).convert("RGB")).transpose(2, 0, 1) for name in made
    ]
    assert everything(dataset) == sorted((0, x.tobytes()) for x in truth)


def test_pictures_of_other_sizes_are_fitted_where_a_size_is_given(tmp_path):
    for i, (height, width) in enumerate([(8, 8), (16, 40), (40, 16), (30, 30)]):
        values = np.zeros((height, width, 3), np.uint8)
        # A middle square of one colour, and another beyond it that is cut off.
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        values[...] = (255, 0, 0)
        values[top : top + side, left : left + side] = (10, 20, 30)
        picture(tmp_path / "a" / f"{i}.png", values)
    whole = data.load(f"folder:{tmp_path}:size=8").split("all").x
    assert whole.shape == (4, 3, 8, 8)
    # Pixels at the edge of a middle square see a little of what is cut off, as where the whole is resized.
    assert (whole[..., 1:-1, 1:-1] == torch.tensor([10, 20, 30]).view(1, 3, 1, 1)).all()
    with pytest.raises(BadInput, match=r"differ in size: .*0\.png.*; give the side .*size=8"):
        data.load(f"folder:{tmp_path}")


def test_fitting_halves_a_picture_to_the_means_of_its_pixels(tmp_path):
    rows = np.repeat(np.arange(0, 160, 10, dtype=np.uint8)[:, None], 16, axis=1)
    picture(tmp_path / "a" / "0.png", rows)
    small = data.load(f"folder:{tmp_path}:size=8").train.x[0, 0].numpy()
    # A triangle two pixels wide each way over a line: the middle of each pair, but at the ends.
    assert small[1:-1, 3].tolist() == [10 * (2 * i + 0.5) for i in range(1, 7)]
    assert (small == small[:, :1]).all()


def test_fitting_is_resizing_the_short_side_and_cropping_the_middle(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    picture(tmp_path / "a" / "0.png", values)
    found = data.load(f"folder:{tmp_path}:size=8").train.x[0].numpy()
    whole = Image.fromarray(values).resize((16, 8), Image.Resampling.BILINEAR)
    expected = np.asarray(whole)[:, 4:12].transpose(2, 0, 1)
    np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)


def test_oblong_pictures_of_one_size_need_a_size(tmp_path):
    picture(tmp_path / "a" / "0.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(BadInput, match=r"6 pixels wide and 4 high \(.*0\.png\); give the side .*size=4"):
        data.load(f"folder:{tmp_path}")


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_parts_are_taken_as_they_are(tmp_path, val):
    truth = {part: write(tmp_path / part, count=5, seed=i) for i, part in enumerate(("train", val, "test"))}
    dataset = data.load(f"folder:{tmp_path}")
    for split, part in (("train", "train"), ("val", val), ("test", "test")):
        x = np.concatenate([truth[part][name] for name in ("ant", "bee", "cat")]).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(dataset.split(split).x.numpy(), x)
        assert dataset.split(split).y.tolist() == [0] * 5 + [1] * 5 + [2] * 5


def test_a_part_for_validation_is_a_tenth_of_train_where_there_is_none(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "test", classes=("bee",), count=3)
    dataset = data.load(f"folder:{tmp_path}")
    assert torch.bincount(dataset.train.y).tolist() == [18] * 3
    assert torch.bincount(dataset.val.y).tolist() == [2] * 3
    assert dataset.test.y.tolist() == [1] * 3


def test_without_a_part_for_test_that_for_validation_is_it_and_this_is_said(tmp_path):
    write(tmp_path / "train")
    truth = write(tmp_path / "val", count=4, seed=1)
    with pytest.warns(
        MpdvizWarning, match="no folder test: val is for test, a tenth of train for validation"
    ):
        dataset = data.load(f"folder:{tmp_path}")
    assert [len(dataset.split(part)) for part in ("train", "val", "test")] == [54, 6, 12]
    np.testing.assert_array_equal(dataset.test.x[0].numpy(), truth["ant"][0].transpose(2, 0, 1))


def test_train_alone_is_divided_in_three(tmp_path):
    write(tmp_path / "train")
    dataset = data.load(f"folder:{tmp_path}")
    assert [len(dataset.split(part)) for part in ("train", "val", "test")] == [48, 6, 6]


def test_what_is_left_out_is_said_and_hidden_files_are_not_looked_at(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "extra")
    (tmp_path / "train" / "ant" / "notes.txt").write_text("x")
    (tmp_path / "train" / "ant" / ".DS_Store").write_text("x")
    (tmp_path / ".git").mkdir()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert len(data.load(f"folder:{tmp_path}").split("all")) == 60
    text = [str(one.message) for one in said]
    assert len(text) == 2
    assert text[0].endswith("other folders are left out (extra)")
    assert "1 files that are no pictures" in text[1]


def test_folders_below_a_class_belong_to_it(tmp_path):
    picture(tmp_path / "a" / "images" / "0.png", np.zeros((4, 4), np.uint8))
    assert data.load(f"folder:{tmp_path}").train.x.shape == (1, 1, 4, 4)


def test_training_pictures_are_cropped_and_never_mirrored(tmp_path):
    write(tmp_path)
    dataset = data.load(f"folder:{tmp_path}")
    x = dataset.train.x.float()
    expected = random_shift(x, 2, torch.Generator().manual_seed(0))
    assert torch.equal(dataset.augment(x, torch.Generator().manual_seed(0)), expected)


def png(width, height):
    """A picture that claims to be so large, and holds next to nothing."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def deep(path):
    Image.fromarray(np.zeros((16, 16), np.uint16)).save(path)


def gif(path):
    content = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(content, "GIF")
    path.write_bytes(content.getvalue())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:300]),
            "is damaged: .*; copy it again, or leave it out",
        ),
        (
            lambda path: path.write_bytes(b"no picture"),
            "cannot be read as a picture: not identified; copy it",
        ),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(png(20_000, 20_000)), "cannot be read as a picture: too many pixels"),
        (lambda path: path.write_bytes(png(9_000, 9_000)), "has 9000 x 9000 pixels; make it smaller"),
        (deep, "mode I;16, more than 8 bits a channel; save pictures of 8 bits"),
        (gif, "cannot be read as a picture: not identified"),
    ],
)
def test_one_broken_picture_is_one_line_that_names_it(tmp_path, damage, said):
    write(tmp_path)
    damage(tmp_path / "bee" / "007.png")
    with pytest.raises(BadInput, match=said) as caught:
        data.load(f"folder:{tmp_path}:size=16")
    assert str(tmp_path / "bee" / "007.png") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder:{}/nowhere", "no folder .*nowhere; give a folder that holds one folder of pictures a class"),
        ("folder:{}/a", "holds no folders of classes; give"),
        ("folder:{}", r"empty holds no pictures \(\.png, .*\); give"),
        ("folder:{}:size=0", "'size=0' is no option; write folder:DIR, then a colon and size=PIXELS"),
        ("folder:{}:side=8", "'side=8' is no option"),
        ("folder:~nobody-of-that-name/x", "check the path after folder:"),
    ],
)
def test_names_that_cannot_be_are_one_line(tmp_path, name, said):
    picture(tmp_path / "a" / "0.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=said):
        data.load(name.format(tmp_path))


def test_a_class_that_training_does_not_know_and_two_folders_for_validation(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "test", classes=("ant", "dog"), count=2)
    with pytest.raises(BadInput, match="train has no class dog; give every class a folder in train"):
        data.load(f"folder:{tmp_path}")
    write(tmp_path / "val", count=1)
    write(tmp_path / "valid", count=1)
    with pytest.raises(BadInput, match="holds val and valid; keep one"):
        data.load(f"folder:{tmp_path}")


def test_the_home_folder_may_be_abbreviated(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "mine", count=2)
    assert data.load("folder:~/mine:size=8").train.x.shape == (6, 3, 8, 8)
