"""MNIST and Fashion-MNIST: small files written as the format is specified, and the real clothes."""

import functools
import gzip
import hashlib
import http.server
import struct
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mpdviz import data
from mpdviz.data.augment import random_flip, random_shift
from mpdviz.data.fashion_mnist import FASHION_MNIST, shifted_and_flipped
from mpdviz.data.formats import idx
from mpdviz.data.formats.idx import File
from mpdviz.data.mnist import MNIST, shifted
from mpdviz.errors import BadInput

COUNTS = (100, 20)
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def contents(counts=COUNTS):
    """What the four files hold, unpacked, and the arrays in them."""
    rng = np.random.default_rng(0)
    files, arrays = {}, {}
    for (images, labels), count in zip((NAMES[:2], NAMES[2:]), counts, strict=True):
        arrays[images] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[labels] = (np.arange(count) % 10).astype(np.uint8)
        files[images] = struct.pack(">4i", 0x803, count, 28, 28) + arrays[images].tobytes()
        files[labels] = struct.pack(">2i", 0x801, count) + arrays[labels].tobytes()
    return files, arrays


def kind_of(files, base=MNIST):
    """A data set of these files."""
    made = [
        File(
            name,
            hashlib.md5(gzip.compress(files[name], mtime=0)).hexdigest(),
            hashlib.md5(files[name]).hexdigest(),
        )
        for name in NAMES
    ]
    return replace(base, train=tuple(made[:2]), test=tuple(made[2:]), counts=COUNTS)


def write(folder, files, *, packed):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return folder


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["", "raw", "MNIST/raw"])
def test_files_are_read_packed_or_not_where_torchvision_leaves_them(tmp_path, packed, place):
    files, arrays = contents()
    write(tmp_path / place, files, packed=packed)
    dataset = idx.load(kind_of(files), tmp_path)
    np.testing.assert_array_equal(dataset.test.x[:, 0].numpy(), arrays[NAMES[2]])
    np.testing.assert_array_equal(dataset.test.y.numpy(), arrays[NAMES[3]])
    found = {
        (int(label), image.tobytes())
        for part in (dataset.train, dataset.val)
        for image, label in zip(part.x[:, 0].numpy(), part.y, strict=True)
    }
    assert found == {(int(y), x.tobytes()) for x, y in zip(arrays[NAMES[0]], arrays[NAMES[1]], strict=True)}
    assert torch.bincount(dataset.train.y).tolist() == [9] * 10
    assert torch.bincount(dataset.val.y).tolist() == [1] * 10
    assert (dataset.classes, dataset.frames) == (10, False)
    assert np.array([dataset.mean, dataset.std]) / 255 == pytest.approx(np.array([[0.1307], [0.3081]]))


def test_packed_anew_is_the_same_content(tmp_path):
    files, _ = contents()
    write(tmp_path, files, packed=False)
    for name, content in files.items():
        (tmp_path / name).unlink()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1, mtime=77))
    assert len(idx.load(kind_of(files), tmp_path).train) == 90


def damage(name, change, *, packed=True):
    """Change the bytes of one file on disk; None removes it."""

    def act(folder):
        path = folder / (f"{name}.gz" if packed else name)
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change(path.read_bytes()))

    return act


def repacked(change):
    return lambda content: gzip.compress(change(gzip.decompress(content)))


def swapped(place, value):
    return lambda content: content[:place] + bytes([value]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (damage(NAMES[0], None), r"no file train-images-idx3-ubyte or .*\.gz in .*; give as data_dir"),
        (damage(NAMES[3], None), r"no file .*t10k-labels-idx1-ubyte or .*\.gz; give as data_dir"),
        (damage(NAMES[0], lambda content: content[:-100]), r"train-images.* cannot be unpacked: .*; give"),
        (damage(NAMES[0], lambda content: b"no gzip"), r"train-images.* cannot be unpacked: Not a gzipped"),
        (damage(NAMES[0], lambda content: b""), r"train-images.*is not an idx file of 100 x 28 x 28 bytes"),
        (damage(NAMES[0], repacked(lambda content: content[:-1])), "expected 78416 bytes, found 78415; give"),
        (
            damage(NAMES[0], repacked(lambda content: content + b"x" * 99)),
            "expected 78416 bytes, found more; give",
        ),
        (
            damage(NAMES[0], repacked(swapped(3, 1))),
            "is not an idx file of 100 x 28 x 28 bytes: it starts with",
        ),
        (damage(NAMES[1], repacked(swapped(7, 99))), "labels.* is not an idx file of 100 bytes"),
        (
            damage(NAMES[0], repacked(swapped(500, 7))),
            "train-images.* is damaged: md5 of its content .*, expected",
        ),
        (
            damage(NAMES[1], repacked(swapped(20, 10))),
            "train-labels.*: label 10 found, expected 0 to 9; give",
        ),
    ],
)
def test_damage_is_named_with_the_remedy(tmp_path, act, said):
    files, _ = contents()
    act(write(tmp_path, files, packed=True))
    with pytest.raises(BadInput, match=said) as caught:
        idx.load(kind_of(files, FASHION_MNIST), tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).endswith("apt install dataset-fashion-mnist")


def test_an_unpacked_file_that_is_cut_is_named(tmp_path):
    files, _ = contents()
    damage(NAMES[2], lambda content: content[:-1], packed=False)(write(tmp_path, files, packed=False))
    with pytest.raises(BadInput, match=r"t10k-images-idx3-ubyte: expected 15696 bytes, found 15695"):
        idx.load(kind_of(files), tmp_path)


def test_little_that_unpacks_to_much_is_not_unpacked(tmp_path):
    files, _ = contents()
    write(tmp_path, files, packed=True)
    bomb = gzip.compress(files[NAMES[0]][:16] + bytes(1 << 28))
    (tmp_path / f"{NAMES[0]}.gz").write_bytes(bomb)
    with pytest.raises(BadInput, match="expected 78416 bytes, found more"):
        idx.load(kind_of(files), tmp_path)


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list = []  # noqa: RUF012

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


def test_files_are_downloaded_once_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files, arrays = contents()
    write(tmp_path / "mnist", files, packed=True)
    Quiet.asked.clear()
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        there = replace(kind_of(files), url=f"http://127.0.0.1:{running.server_port}/mnist/")
        for _ in range(2):
            np.testing.assert_array_equal(idx.load(there, None).test.y, arrays[NAMES[3]])
        assert sorted(Quiet.asked) == sorted(f"/mnist/{name}.gz" for name in NAMES)
        wrong = replace(
            there, name="other", train=tuple(replace(file, packed_md5="0" * 32) for file in there.train)
        )
        with pytest.raises(BadInput, match=r"cannot download .*train-images.*; give as data_dir"):
            idx.load(wrong, None)
        running.shutdown()


def test_what_the_system_has_installed_is_not_downloaded(tmp_path):
    files, _ = contents()
    write(tmp_path, files, packed=True)
    nowhere = replace(kind_of(files), url="http://127.0.0.1:9/", installed=tmp_path)
    assert len(idx.load(nowhere, None).test) == 20


def test_training_images_are_shifted_and_clothes_mirrored():
    x = torch.randint(256, (64, 1, 28, 28), generator=torch.Generator().manual_seed(3)).float()
    expected = random_shift(x, 2, torch.Generator().manual_seed(0))
    assert torch.equal(shifted(x, torch.Generator().manual_seed(0)), expected)
    generator = torch.Generator().manual_seed(0)
    expected = random_flip(random_shift(x, 2, generator), generator)
    assert torch.equal(shifted_and_flipped(x, torch.Generator().manual_seed(0)), expected)


def test_the_real_clothes_are_what_their_publishers_say():
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.exists():
        pytest.skip("no Debian package dataset-fashion-mnist here")
    dataset = data.load("fashion-mnist")
    assert torch.bincount(torch.cat([dataset.train.y, dataset.val.y])).tolist() == [6000] * 10
    assert torch.bincount(dataset.train.y).tolist() == [5400] * 10
    assert torch.bincount(dataset.test.y).tolist() == [1000] * 10
    raw = np.frombuffer(gzip.decompress((folder / f"{NAMES[0]}.gz").read_bytes()), np.uint8, offset=16) / 255
    assert (round(raw.mean(), 4), round(raw.std(), 4)) == (0.2860, 0.3530)
    official = torch.cat([dataset.train.x, dataset.val.x]).double() / 255
    assert (round(official.mean().item(), 4), round(official.std().item(), 4)) == (0.2860, 0.3530)
    assert np.array([dataset.mean, dataset.std]) / 255 == pytest.approx(np.array([[0.2860], [0.3530]]))
    first = np.frombuffer(gzip.decompress((folder / f"{NAMES[2]}.gz").read_bytes()), np.uint8, 784, 16)
    np.testing.assert_array_equal(dataset.test.x[0].flatten().numpy(), first)
    assert torch.equal(data.load("fashion-mnist", data_dir=folder).val.x, dataset.val.x)
