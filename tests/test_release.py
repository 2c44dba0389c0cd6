"""The checks of .ci/release that need no network see what could be wrong, and this checkout passes them."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READ = ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", "docs/compatibility.md")
ANY_TIME = ("wrong_versions", "wrong_changelog", "wrong_pythons")
"""What has to hold of every commit; `not_released` only of one that is released."""

URLS = ("Homepage", "Repository", "Issues", "Changelog")

PROJECT = """[project]
name = "mpdviz"
version = "1.2.0"
requires-python = ">=3.11"
classifiers = ["Programming Language :: Python :: 3", "Programming Language :: Python :: 3.11"]
"""
CITATION = "version: 1.2.0\ndate-released: 2026-01-31\n"
CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-01-31

### Added

#### A topic

- A thing.

### Fixed

- Another.

## [1.1.0] - 2025-12-01

### Fixed

- A third.
"""
COMPATIBILITY = "| Python | PyTorch | result |\n|---|---|---|\n| 3.11 | 2.13 | passed: demo, 9 tests |\n"
TEXTS = dict(zip(READ, (PROJECT, CITATION, CHANGELOG, COMPATIBILITY), strict=True))


@pytest.fixture(scope="module")
def release():
    return runpy.run_path(str(ROOT / ".ci" / "release"))


@pytest.fixture
def small(tmp_path):
    """A project that has nothing wrong."""
    (tmp_path / "docs").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def wrong(release, root, names=(*ANY_TIME, "not_released")):
    return [line for name in names for line in release[name](root)]


def test_this_checkout(release):
    assert wrong(release, ROOT, ANY_TIME) == []


def test_nothing_wrong(release, small):
    assert wrong(release, small) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("CITATION.cff", "1.2.0", "1.1.0", "CITATION.cff says version 1.1.0, but pyproject.toml 1.2.0"),
        (
            "CITATION.cff",
            "01-31",
            "01-30",
            "CITATION.cff says date-released 2026-01-30, but CHANGELOG.md 2026-01-31",
        ),
        ("CHANGELOG.md", "## [Unreleased]\n", "", "CHANGELOG.md: the first section is not [Unreleased]"),
        (
            "CHANGELOG.md",
            "## [Unreleased]\n",
            "## [Unreleased]\n\n### Added\n\n- More.\n",
            "CHANGELOG.md: there are entries under [Unreleased]",
        ),
        (
            "CHANGELOG.md",
            "2025-12-01",
            "last year",
            "CHANGELOG.md: [1.1.0] has no date of the form 2026-01-31",
        ),
        ("CHANGELOG.md", "2025-12-01", "9999-12-01", "[1.1.0] is of 9999-12-01, which is yet to come"),
        ("CHANGELOG.md", "### Added", "### New", "CHANGELOG.md: [1.2.0] has a group New"),
        ("CHANGELOG.md", "### Fixed\n\n- Another", "### Added\n\n- Another", "[1.2.0] has 2 groups Added"),
        ("CHANGELOG.md", "- Another.\n", "", "CHANGELOG.md: [1.2.0] has nothing under Fixed"),
        (
            "CHANGELOG.md",
            "## [1.2.0] - 2026-01-31\n",
            "## [1.3.0] - 2026-02-01\n\n### Fixed\n\n- More.\n\n## [1.2.0] - 2026-01-31\n",
            "CHANGELOG.md: the section below [Unreleased] is not [1.2.0] with its entries",
        ),
        ("pyproject.toml", '"1.2.0"', '"1.3.0"', "CHANGELOG.md has no section [1.3.0]"),
        (
            "pyproject.toml",
            ">=3.11",
            ">=3.10",
            "requires-python is >=3.10, which is not the classifiers' first Python",
        ),
        (
            "pyproject.toml",
            'Python :: 3.11"]',
            'Python :: 3.11", "Programming Language :: Python :: 3.13"]',
            "the classifiers of Pythons are not in order, or leave one out",
        ),
        (
            "docs/compatibility.md",
            "passed: demo",
            "**failed**: demo",
            "Python 3.11 is a classifier, but docs/compatibility.md shows no pass with it",
        ),
    ],
)
def test_each_thing_that_is_wrong(release, small, name, old, new, said):
    text = (small / name).read_text(encoding="utf-8")
    assert old in text
    (small / name).write_text(text.replace(old, new), encoding="utf-8")
    assert any(said in line for line in wrong(release, small))


def test_a_wheel_without_a_file_of_the_package_or_with_one_too_many(release):
    tracked = ["cli/entry.py", "mpdviz/py.typed", "mpdviz/recipes/cifar10.toml", "tests/test_release.py"]
    whole = ["mpdviz/cli/entry.py", "mpdviz/py.typed", "mpdviz/recipes/cifar10.toml"]
    metadata = "mpdviz-1.2.0.dist-info/METADATA"
    assert list(release["wrong_wheel"]([*whole, metadata], tracked)) == []
    assert list(release["wrong_wheel"]([*whole[:2], "tests/test_release.py"], tracked)) == [
        "the wheel lacks mpdviz/recipes/cifar10.toml",
        "the wheel has tests/test_release.py",
    ]


def test_a_command_that_fails_or_says_something_else(release, tmp_path):
    failing = release["failing"]
    python = [sys.executable, "-c"]
    assert list(failing([*python, "print('fine')"], tmp_path, "fine")) == []
    (line,) = failing([*python, "print('bad'); raise SystemExit(3)"], tmp_path)
    assert "ended with 3" in line
    assert line.endswith("bad")
    (line,) = failing([*python, "print('fine')"], tmp_path, "better")
    assert "did not say 'better'" in line


def test_commands_know_nothing_of_the_checkout(release, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = "import os; print(os.environ.get('PYTHONPATH'))"
    assert list(release["failing"]([sys.executable, "-c", code], tmp_path, "None")) == []


def test_steps_by_hand_end_with_the_addresses_filled_in(release, small):
    assert any("Homepage, Repository" in step for step in release["by_hand"](small))
    with (small / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("[project.urls]\n" + "".join(f'{n} = "https://example.org"\n' for n in URLS))
    assert not any("Homepage" in step for step in release["by_hand"](small))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_is_not_committed(release, tmp_path, monkeypatch):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    monkeypatch.setitem(release["git"].__globals__, "ROOT", tmp_path)
    assert list(release["wrong_tree"]()) == []
    (tmp_path / "new").touch()
    assert list(release["wrong_tree"]()) == ["not committed: ?? new"]
