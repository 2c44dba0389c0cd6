"""The command line in this process, and a folder to run it in."""

import shutil
import sys
import warnings

import numpy as np
import pytest
from mpdviz.cli.entry import run
from networks import TRAINING
from places import arrays, snapshot

from mpdviz.config import validate
from mpdviz.training.run import fit


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny data set, a run trained on it and a recipe; each test copies what it damages."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "data.npz", **arrays())
    fit(validate({"data": f"npz:{folder / 'data.npz'}", "epochs": 1, **TRAINING}), folder / "run")
    return folder


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A fresh working folder with `data.npz` and `run/` in it."""
    shutil.copytree(trained, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def mpdviz(capsys, monkeypatch):
    """Run the command line; (exit code, stdout, lines of stderr)."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["mpdviz", *map(str, args)])
        capsys.readouterr()
        # The command line sets how warnings are shown, for good.
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            run()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return ended.value.code or 0, out, err.splitlines()  # sys.exit(None) is success too

    return call


@pytest.fixture
def refused(mpdviz, place):
    """Expect a refusal: exit code 2, one line with all of `words`, nothing on stdout, nothing written."""

    def call(*args, words=(), code=2):
        before = snapshot(place)
        status, out, lines = mpdviz(*args)
        assert len(lines) == 1, lines
        assert lines[0].startswith("mpdviz: ")
        for word in words:
            assert word in lines[0]
        assert "; " in lines[0]  # the remedy follows
        assert out == ""
        assert status == code
        assert snapshot(place) == before
        return lines[0]

    return call
