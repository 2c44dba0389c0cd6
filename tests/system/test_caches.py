"""What is compiled lies in the user's own folder, or where the user has said."""

import os
import subprocess
import sys

import pytest

from mpdviz.kernels import backends

COMPILE = """
import torch
from mpdviz import surrogates
from mpdviz.kernels import backends, multistep_lif
with backends.using("compiled"):
    multistep_lif(torch.randn(2, 3, 5), 0.2, 0.5, torch.ones(2), surrogates.Rectangular())
"""


@pytest.mark.thorough
@pytest.mark.skipif("compiled" not in backends.usable(), reason="torch.compile finds no compiler here")
@pytest.mark.parametrize("moved", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_nothing_is_compiled_into_the_shared_temporary_folder(tmp_path, moved):
    folders = {name: tmp_path / name for name in ("home", "cache", "temporary", "moved")}
    for folder in folders.values():
        folder.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("TORCHINDUCTOR_")}
    env |= {
        "HOME": str(folders["home"]),
        "XDG_CACHE_HOME": str(folders["cache"]),
        "TMPDIR": str(folders["temporary"]),
    }
    if moved:
        env["TORCHINDUCTOR_CACHE_DIR"] = str(folders["moved"])
    subprocess.run([sys.executable, "-c", COMPILE], check=True, env=env)
    filled = {name for name, folder in folders.items() if any(path.is_file() for path in folder.rglob("*"))}
    assert ("moved" if moved else "cache") in filled
    assert "temporary" not in filled
