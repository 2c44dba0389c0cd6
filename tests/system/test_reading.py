"""Files of others: regular ones alone, bounded, and every failure one line."""

import os
import zipfile

import numpy as np
import pytest

from mpdviz.errors import BadInput
from mpdviz.system import memory, reading
from mpdviz.system.arrays import read_arrays

DOORS = {
    "bytes": lambda path: reading.read_bytes(path, "file"),
    "text": lambda path: reading.read_text(path, "file"),
    "toml": lambda path: reading.read_toml(path, "file", "mend it"),
    "json": lambda path: reading.read_json(path, "file", "mend it"),
    "arrays": lambda path: read_arrays(path, "file", "mend it"),
}


@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_regular_file_is_told_at_once(tmp_path, door):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", "zero", "loop", ".", "absent", "a" * 300, "nul\0name"):
        with pytest.raises(BadInput, match=r"file .*; "):
            DOORS[door](tmp_path / name)


@pytest.mark.parametrize(
    ("door", "content"),
    [
        ("toml", b"planes = " + b"[" * 5000),
        ("toml", b"seed = " + b"9" * 5000),
        ("toml", b"\xff\xfe"),
        ("json", b"[" * 100_000),
        ("json", b"9" * 5000),
        ("json", b""),
        ("text", b"\xff"),
        ("arrays", b"PK\x05\x06"),
    ],
)
def test_what_no_parser_can_read_is_one_line(tmp_path, door, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(BadInput) as refused:
        DOORS[door](path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_an_archive_may_not_claim_much_more_than_its_size(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros(reading.SMALL // 4))  # 128 MB of zeros
    assert path.stat().st_size < 200_000
    with pytest.raises(BadInput, match=r"claims to unpack to 0\.1 GB"):
        read_arrays(path, "file", "")
    np.savez(path, x=np.zeros(reading.SMALL // 4))  # the same, honestly
    assert not read_arrays(path, "file", "")["x"].any()


def test_a_name_twice_is_damage(tmp_path):
    path = tmp_path / "twice.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", b"")
    with pytest.raises(BadInput, match="twice"):
        read_arrays(path, "file", "")


def test_what_does_not_fit_into_the_memory_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(1000))
    monkeypatch.setattr(reading, "available_memory", lambda: 999)
    with pytest.raises(BadInput, match="holds"):
        reading.read_bytes(tmp_path / "file", "file")


def test_the_memory_there_is():
    assert 10**6 < memory.available_memory() < 10**15
    with pytest.raises(BadInput, match=r"the whole takes at least .* of memory, and .* are free; take less"):
        memory.require_memory(10**18, "the whole", "take less")
    memory.require_memory(10, "little", "")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (True,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': 3, 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (10**30,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000,), }",
        "(" * 5000,
        "",
    ],
)
def test_whatever_numpy_makes_of_a_header_is_damage(tmp_path, header):
    path = tmp_path / "odd.npz"
    text = header.encode() + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0\0")
    with pytest.raises(BadInput, match=r"odd\.npz"):
        read_arrays(path, "file", "")


def test_half_a_character_is_no_text(tmp_path):
    """JSON can spell a lone surrogate, which nothing can print or write again."""
    (tmp_path / "result.json").write_text('{"initial_weights": ["\\ud800"]}', encoding="utf-8")
    with pytest.raises(BadInput, match="is not JSON"):
        reading.read_json(tmp_path / "result.json", "result", "restore it")
