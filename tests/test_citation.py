"""CITATION.cff says what pyproject.toml does, and names the paper."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REQUIRED = {"authors", "cff-version", "message", "title"}
"""Of the Citation File Format 1.2.0."""


@pytest.fixture(scope="module")
def citation():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_name_version_and_licence_are_the_package_s(citation):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for ours, theirs in (("title", "name"), ("version", "version"), ("license", "license")):
        assert citation[ours] == project[theirs]


def test_it_has_the_form_and_the_paper(citation):
    assert citation.keys() >= REQUIRED
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "mpdviz contributors"}]
    (paper,) = citation["references"]
    assert paper["authors"][0]["family-names"] == "Jiang"
    assert paper["year"] == 2025
    assert "2505.11863" in paper["url"]
    assert paper["url"] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_version_is_told_without_a_parser():
    """So that it is held even where PyYAML is not installed."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
