"""The example notebook runs in a kernel of its own, and shows what the copy in the repository shows."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_look.ipynb"


def alike(text):
    """A text without what another processor's rounding may change: numbers, and what a training came to."""
    if text.startswith("Collected("):
        text = text.partition(";")[0]
    return re.sub(r"\d+(\.\d+)?", "#", text)


def shown(cell):
    """What a cell shows: its text, and of what kinds its richer outputs are."""
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream":
            yield output["name"], alike(output["text"])
        else:
            data = output["data"]
            yield sorted(data), alike(data["text/plain"])


@pytest.mark.thorough
def test_the_notebook_shows_what_it_showed(tmp_path):
    kept = nbformat.read(NOTEBOOK, as_version=4)
    assert all(cell["execution_count"] for cell in kept.cells if cell["cell_type"] == "code")
    again = nbformat.from_dict(kept)
    NotebookClient(again, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for before, after in zip(kept.cells, again.cells, strict=True):
        assert list(shown(after)) == list(shown(before)), after["source"]
    pictures = [
        base64.b64decode(output["data"]["image/png"])
        for cell in again.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert (tmp_path / "digits.html").exists()
