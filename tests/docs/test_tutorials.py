"""Every tutorial from its first line to its last, in an empty folder, as a reader would."""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import commands
import pytest

DOCS = Path(__file__).parents[2] / "docs"
TUTORIALS = DOCS / "tutorials"
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PAGES = ("your-network", "rescue", "paper", "training-loop", "extend")
FRAMEWORKS = {"snn_net": "snntorch", "jelly_net": "spikingjelly", "norse_net": "norse"}
SHORTER = {
    "mpdviz compare --arms advice.toml": "--seeds 0-1 --epochs 1",
    "mpdviz compare --arms arms.toml": "--seeds 0-1 --epochs 1",
}
"""What is given besides, so that a test takes a minute where a reader waits for ten."""
FAILS = ("mpdviz check",)
"""Commands that end with 1, as their page says."""


def blocks(page):
    """Language and text of every block of code, from top to bottom."""
    for indent, language, text in FENCE.findall((TUTORIALS / f"{page}.md").read_text(encoding="utf-8")):
        yield language, textwrap.dedent(text) if indent else text


def test_every_tutorial_is_tried():
    assert {path.stem for path in TUTORIALS.glob("*.md")} == {*PAGES, "index"}


class Reader:
    """Somebody who does what a page says."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.printed = folder, ""
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "site"), str(folder)]))

    def sh(self, line):
        framework = next((of for name, of in FRAMEWORKS.items() if name in line), None)
        if framework is not None and find_spec(framework) is None:
            return
        words = shlex.split(line)
        if words[0] == "mpdviz":
            more = next((extra for start, extra in SHORTER.items() if line.startswith(start)), "")
            # A process of its own: entry points of a package that was installed meanwhile are to be seen.
            done = subprocess.run(
                [sys.executable, "-m", "mpdviz", *words[1:], *more.split()],
                cwd=self.folder, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == int(line.startswith(FAILS)), f"{line}\n{done.stderr}"
            assert done.stdout
        elif words[0] == "python":
            self.run([sys.executable, *words[1:]])
        else:
            # Into a folder of the test's, not into the environment that runs it.
            assert words[:2] == ["pip", "install"]
            given = [word for word in words[2:] if word not in ("--editable", ".")]
            self.run([sys.executable, "-m", "pip", "install", "-q", *given, "--target", "site", "."])

    def run(self, command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self.printed = done.stdout

    def block(self, language, text):
        if language in ("python", "toml") and (found := re.match(r"# (\S+\.\w+)\n", text)):
            (self.folder / found[1]).write_text(text)
        elif language == "python":
            self.run([sys.executable, "-c", text])
        elif language == "sh":
            for line in text.splitlines():
                self.sh(line)
        elif language == "console":
            line, output = text.removeprefix("$ ").split("\n", 1)
            done = commands.mpdviz(*shlex.split(line)[1:], cwd=self.folder)
            assert (done.returncode, done.stdout.decode()) == (0, output)
        elif language == "":
            assert self.printed == text
        else:
            assert language == "latex"


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_works_as_it_is_written(page, tmp_path, monkeypatch):
    reader = Reader(tmp_path, monkeypatch)
    for language, text in blocks(page):
        reader.block(language, text)
    left = {
        "your-network": ("figures/distribution_layer01.png", "report.html"),
        "rescue": ("figures/differences.png", "report.html"),
        "paper": ("figures/table_accuracy.tex", "figures/differences.pdf", "report.html"),
        "training-loop": ("training.npz", "training.html"),
        "extend": ("inspected/worst.png", "inspected/worst.csv"),
    }
    for name in left[page]:
        assert (tmp_path / name).stat().st_size
