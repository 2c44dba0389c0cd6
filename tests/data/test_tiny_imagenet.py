"""Tiny ImageNet in its official layout, unpacked and as the zip file, made small by the test."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from mpdviz.data import tiny_imagenet
from mpdviz.data.augment import random_flip, random_shift
from mpdviz.data.formats.archives import Archive
from mpdviz.data.tiny_imagenet import TINY_IMAGENET, TinyImageNet
from mpdviz.errors import BadInput

NUMBERS = ("n02124075", "n01443537", "n04067472")
FOLDER = "tiny-imagenet-200"


def jpeg(rng, size=64, grey=False):
    content = io.BytesIO()
    shape = (size, size) if grey else (size, size, 3)
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(content, "JPEG")
    return content.getvalue()


@pytest.fixture
def files():
    """All files by their path: ten images a class, two of each for validation; the first is grey."""
    rng = np.random.default_rng(0)
    made = {"wnids.txt": "\n".join(NUMBERS).encode(), "words.txt": b"n01443537\tgoldfish\n"}
    for number in NUMBERS:
        for i in range(10):
            made[f"train/{number}/images/{number}_{i}.JPEG"] = jpeg(rng, grey=i == 0)
        made[f"train/{number}/{number}_boxes.txt"] = b"\n"
    lines = []
    for i in range(6):
        made[f"val/images/val_{i}.JPEG"] = jpeg(rng)
        lines.append(f"val_{i}.JPEG\t{NUMBERS[i % 3]}\t0\t0\t10\t10\n")
    made["val/val_annotations.txt"] = "".join(lines).encode()
    made["test/images/test_0.JPEG"] = jpeg(rng)
    return made


def unpacked(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def packed(path, files, base=f"{FOLDER}/"):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{base}{name}", content)
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return TinyImageNet(Archive(f"http://localhost/{path.name}", digest, FOLDER), 3, 10, 6)


ANY = TinyImageNet(Archive("http://localhost/tiny-imagenet-200.zip", "0" * 32, FOLDER), 3, 10, 6)


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).transpose(2, 0, 1)


def check(dataset, files):
    numbers = sorted(NUMBERS)
    found = {
        (int(y), x.numpy().tobytes())
        for part in (dataset.train, dataset.val)
        for x, y in zip(part.x, part.y, strict=True)
    }
    assert found == {
        (label, decoded(files[f"train/{number}/images/{number}_{i}.JPEG"]).tobytes())
        for label, number in enumerate(numbers)
        for i in range(10)
    }
    assert torch.bincount(dataset.train.y).tolist() == [9] * 3
    assert torch.bincount(dataset.val.y).tolist() == [1] * 3
    truth = np.stack([decoded(files[f"val/images/val_{i}.JPEG"]) for i in range(6)])
    np.testing.assert_array_equal(dataset.test.x.numpy(), truth)
    assert dataset.test.y.tolist() == [numbers.index(NUMBERS[i % 3]) for i in range(6)]
    assert (dataset.classes, dataset.frames) == (3, False)


def test_it_is_read_from_its_folder_or_the_one_above(tmp_path, files):
    unpacked(tmp_path / FOLDER, files)
    for place in (tmp_path, tmp_path / FOLDER):
        check(tiny_imagenet.load(ANY, place), files)


def test_it_is_read_from_the_zip_without_unpacking(tmp_path, files):
    kind = packed(tmp_path / f"{FOLDER}.zip", files)
    check(tiny_imagenet.load(kind, tmp_path), files)
    assert [path.name for path in tmp_path.iterdir()] == [f"{FOLDER}.zip"]


def test_the_published_set_is_what_is_expected():
    assert (TINY_IMAGENET.classes, TINY_IMAGENET.images, TINY_IMAGENET.tests) == (200, 500, 10_000)
    assert TINY_IMAGENET.archive.name == "tiny-imagenet-200.zip"


def test_training_images_are_cropped_and_flipped():
    x = torch.randint(256, (32, 3, 64, 64), generator=torch.Generator().manual_seed(3)).float()
    generator = torch.Generator().manual_seed(0)
    expected = random_flip(random_shift(x, 8, generator), generator)
    assert torch.equal(tiny_imagenet.cropped_and_flipped(x, torch.Generator().manual_seed(0)), expected)


FIRST = f"train/{min(NUMBERS)}/images/{min(NUMBERS)}_0.JPEG"
DAMAGE = {
    "no image": ({FIRST: None}, f"no .*{FIRST.rpartition('/')[2]}"),
    "cut": ({FIRST: lambda content: content[:400]}, f"{FIRST} is damaged: .*; give as data_dir"),
    "other": ({FIRST: lambda _: b"text"}, f"{FIRST} cannot be read as a picture: not identified; give"),
    "large": (
        {FIRST: lambda _: jpeg(np.random.default_rng(0), 32)},
        f"{FIRST} is 32 x 32 pixels, not 64 x 64",
    ),
    "no list": ({"wnids.txt": lambda _: b"n01443537\n"}, "wnids.txt: expected 3 classes, found 1; give"),
    "binary": ({"wnids.txt": lambda _: b"\xff\xfe\n"}, "wnids.txt is no text"),
    "short": (
        {"val/val_annotations.txt": lambda text: text[:60]},
        "val_annotations.txt: (expected 6|no image)",
    ),
    "label": (
        {"val/val_annotations.txt": lambda text: text.replace(NUMBERS[0].encode(), b"n99999999", 1)},
        "val_annotations.txt: no image and class in 'val_0.JPEG",
    ),
    "hostile": (
        {"val/val_annotations.txt": lambda text: text.replace(b"val_1.JPEG", b"../../../etc/x", 1)},
        "val_annotations.txt: no image and class in '../../../etc/x",
    ),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_with_the_remedy(tmp_path, files, case, zipped):
    changes, said = DAMAGE[case]
    for name, change in changes.items():
        content = files.pop(name)
        if change is not None:
            files[name] = change(content)
    kind = ANY
    if zipped:
        kind = packed(tmp_path / f"{FOLDER}.zip", files)
    else:
        unpacked(tmp_path / FOLDER, files)
    with pytest.raises(BadInput, match=said) as caught:
        tiny_imagenet.load(kind, tmp_path)
    assert "give as data_dir the folder that holds tiny-imagenet-200" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_zip_is_refused_and_never_read(tmp_path, files):
    path = tmp_path / f"{FOLDER}.zip"
    kind = packed(path, files)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"tiny-imagenet-200\.zip is damaged or incomplete: md5 .*, expected"):
        tiny_imagenet.load(kind, tmp_path)
    path.write_bytes(b"no zip")
    digest = hashlib.md5(b"no zip").hexdigest()
    with pytest.raises(BadInput, match="cannot be read as an archive"):
        tiny_imagenet.load(TinyImageNet(Archive("http://x/tiny-imagenet-200.zip", digest, FOLDER)), tmp_path)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "tiny-imagenet-200/../../evil"])
def test_paths_that_lead_out_of_the_zip_are_refused(tmp_path, files, name):
    path = tmp_path / f"{FOLDER}.zip"
    packed(path, files)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(BadInput, match="path outside its folder"):
        tiny_imagenet.load(TinyImageNet(Archive("http://x/tiny-imagenet-200.zip", digest, FOLDER)), tmp_path)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(
        BadInput, match=r"no tiny-imagenet-200 or tiny-imagenet-200\.zip in .*; give as data_dir"
    ):
        tiny_imagenet.load(ANY, tmp_path)
