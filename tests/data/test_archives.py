"""Archives on disk and from a real local server; CIFAR-100; what a damaged one gets."""

import functools
import hashlib
import http.server
import io
import os
import pty
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from mpdviz.data import cifar
from mpdviz.data.cifar100 import CIFAR100
from mpdviz.data.formats.archives import Archive, members
from mpdviz.errors import BadInput

FILES = {"one.bin": b"first", "two.bin": b"second"}


def packed(path, contents, folder="things"):
    """A gzipped tar of `contents` by path, and the Archive that describes it."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return Archive(f"http://localhost/{path.name}", digest, folder)


@pytest.fixture
def archive(tmp_path):
    return packed(tmp_path / "things.tar.gz", {f"things/{name}": content for name, content in FILES.items()})


def test_files_come_from_the_archive_or_from_what_was_unpacked(archive, tmp_path):
    assert members(archive, tmp_path, tuple(FILES)) == FILES
    (tmp_path / "unpacked" / "things").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / "unpacked" / "things" / name).write_bytes(content)
    for place in (tmp_path / "unpacked", tmp_path / "unpacked" / "things"):
        assert members(archive, place, tuple(FILES)) == FILES


def test_a_damaged_archive_is_named_and_never_read(archive, tmp_path):
    path = tmp_path / "things.tar.gz"
    whole = path.read_bytes()
    for content in (whole[:-20], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], b""):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"things\.tar\.gz is damaged or incomplete: md5 .* expected"):
            members(archive, tmp_path, tuple(FILES))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "things/../../evil"])
def test_a_path_outside_the_folder_is_refused(tmp_path, name):
    contents = {"things/one.bin": b"first", name: b"x"}
    archive = packed(tmp_path / "things.tar.gz", contents)
    with pytest.raises(BadInput, match="path outside its folder"):
        members(archive, tmp_path, ("one.bin",))
    assert [path.name for path in tmp_path.iterdir()] == ["things.tar.gz"]


def test_a_missing_member_and_no_archive_at_all(tmp_path):
    archive = packed(tmp_path / "things.tar.gz", {"things/one.bin": b"first"})
    with pytest.raises(BadInput, match=r"has no things/two\.bin"):
        members(archive, tmp_path, tuple(FILES))
    (tmp_path / "things.tar.gz").write_bytes(b"no archive")
    right = hashlib.md5(b"no archive").hexdigest()
    with pytest.raises(BadInput, match="cannot be read as an archive"):
        members(replace(archive, md5=right), tmp_path, tuple(FILES))


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Address of a server of `tmp_path`; downloads go to a cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Quiet.asked = 0
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_download_shows_how_far_it_is_on_a_terminal(archive, server):
    code = (
        "from mpdviz.data.formats.archives import Archive, members;"
        f"members(Archive('{server}/things.tar.gz', '{archive.md5}', '{archive.folder}'), None, ())"
    )
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", code], check=True, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "downloading things.tar.gz" in shown
    assert "bytes" in shown


def test_it_is_downloaded_once(archive, server):
    there = replace(archive, url=f"{server}/things.tar.gz")
    assert members(there, None, tuple(FILES)) == FILES
    assert members(there, None, tuple(FILES)) == FILES
    assert Quiet.asked == 1


def test_a_download_that_fails_or_is_another_file_leaves_nothing(archive, server, tmp_path):
    for url, md5 in ((f"{server}/missing.tar.gz", archive.md5), (f"{server}/things.tar.gz", "0" * 32)):
        with pytest.raises(BadInput, match=r"cannot download .*; give as data_dir the folder"):
            members(replace(archive, url=url, md5=md5), None, tuple(FILES))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    with pytest.raises(BadInput, match="cannot download"):
        members(replace(archive, url="http://127.0.0.1:9/things.tar.gz"), None, tuple(FILES))


def test_cifar100_takes_the_fine_label(tmp_path):
    rng = np.random.default_rng(0)
    small = replace(CIFAR100, records=2000)
    for name, records in (("train.bin", 2000), ("test.bin", 10_000)):
        pixels = rng.integers(0, 256, (records, 3072), dtype=np.uint8)
        fine = (np.arange(records) % 100).astype(np.uint8)
        np.column_stack([fine // 5, fine, pixels]).tofile(tmp_path / name)
    dataset = cifar.load(small, tmp_path)
    assert torch.equal(dataset.test.y, torch.arange(10_000) % 100)
    np.testing.assert_array_equal(dataset.test.x.flatten(1).numpy(), pixels)
    assert (len(dataset.train), len(dataset.val), dataset.classes) == (1800, 200, 100)
    assert np.array(dataset.mean) / 255 == pytest.approx([0.5071, 0.4867, 0.4408])
    with pytest.raises(BadInput, match=r"train\.bin: expected 153700000 bytes, found 6148000"):
        cifar.load(CIFAR100, tmp_path)
