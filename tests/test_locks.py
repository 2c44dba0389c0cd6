"""`make lint` sees a lock without a hash, at another version, and what is missing from it."""

import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def locks():
    return runpy.run_path(str(ROOT / ".ci" / "locks" / "__main__.py"))


@pytest.fixture
def copy(tmp_path):
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    shutil.copytree(ROOT / ".ci" / "locks", tmp_path / ".ci" / "locks")
    return tmp_path


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_locks_of_this_checkout_are_whole(locks):
    assert list(locks["wrong_locks"](ROOT)) == []


def test_every_lock_is_read_to_its_last_hash(locks):
    for path in (ROOT / ".ci" / "locks").glob("*.txt"):
        read = list(locks["entries"](path))
        text = path.read_text(encoding="utf-8")
        assert sum(len(hashes) for _, hashes in read) == text.count("--hash=sha256:")
        assert len(read) == sum(
            "==" in line.split(";")[0] for line in text.splitlines() if line[:1].isalnum()
        )


def test_a_version_of_its_own_in_a_lock(locks, copy):
    change(copy / "constraints.txt", "\nnumpy==2.4.6\n", "\nnumpy==2.4.5\n")
    assert list(locks["wrong_locks"](copy)) == [
        ".ci/locks/required.txt: numpy is 2.4.6, but constraints.txt says 2.4.5"
    ]


def test_what_no_lock_has(locks, copy):
    change(copy / "constraints.txt", "\nnumpy==2.4.6\n", "\nnumpy==2.4.6\nrequests-mock==1.12.1\n")
    assert list(locks["wrong_locks"](copy)) == [
        "constraints.txt: requests-mock is in none of .ci/locks/*.txt"
    ]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("some>=1 --hash=sha256:" + "0" * 64, "some is not pinned to one version"),
        ("some==1.* --hash=sha256:" + "0" * 64, "some is not pinned to one version"),
        ("some==1", "some has no hash, or one that is no SHA-256"),
        ("some==1 --hash=md5:" + "0" * 32, "some has no hash, or one that is no SHA-256"),
        (
            "some==1 --hash=sha256:" + "0" * 64 + " --hash=sha256:00",
            "some has no hash, or one that is no SHA-256",
        ),
    ],
)
def test_a_requirement_that_verifies_nothing(locks, copy, line, wrong):
    with (copy / ".ci" / "locks" / "required.txt").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    assert list(locks["wrong_locks"](copy)) == [f".ci/locks/required.txt: {wrong}"]


def test_what_is_installed_at_another_version(locks, copy):
    change(copy / ".ci" / "locks" / "required.txt", "\nnumpy==", "\nnumpy==0.")
    change(copy / ".ci" / "locks" / "required.txt", "\ntabulate==", "\nnot-tabulate==")
    found = "\n".join(locks["wrong_installed"](copy))
    assert "numpy 2" in found
    assert ".ci/locks/ say 0.2" in found
    assert ".ci/locks/ say nothing of it" in found
    assert "mpdviz" not in found


def test_what_is_needed_and_missing_or_too_old(locks):
    class Installed:
        def __init__(self, version, requires):
            self.version, self.requires = version, requires

    here = {
        "mpdviz": Installed("1", ["low>=2", 'gone; extra == "test"', 'never; extra == "ray"', "rich[more]"]),
        "low": Installed("1.9", []),
        "rich": Installed("1", ['deep; extra == "more"']),
    }
    assert set(locks["unmet"](here)) == {
        "mpdviz needs low>=2, but low 1.9 is installed",
        "gone is needed and not installed",
        "deep is needed and not installed",
    }
