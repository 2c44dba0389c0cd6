"""The public face: what `import mpdviz` costs, and what tab completion finds."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mpdviz

ROOT = Path(__file__).parents[1]


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_it_brings_neither_torch_nor_pandas():
    heavy = "torch pandas numpy matplotlib scipy sklearn pydantic"
    code = f"import mpdviz, sys; print([m for m in '{heavy}'.split() if m in sys.modules])"
    assert run(code) == "[]"


@pytest.mark.thorough
@pytest.mark.parametrize("name", mpdviz.__all__)
def test_every_public_name_is_found_alone_and_documented(name):
    code = f"import mpdviz; thing = mpdviz.{name}; print(bool(thing.__doc__ or isinstance(thing, str)))"
    assert run(code) == "True"


def test_tab_completion_finds_what_there_is():
    wanted = {"record", "inspect", "register", "load_recording", "train", "compare", "networks"}
    assert wanted <= set(dir(mpdviz))
    assert set(dir(mpdviz)) == set(mpdviz.__all__)


def test_the_version_is_the_package_s():
    assert mpdviz.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'recrod'"):
        mpdviz.recrod  # noqa: B018


def test_python_m_mpdviz_is_the_command_line():
    done = subprocess.run([sys.executable, "-m", "mpdviz", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "inspect" in done.stdout


def test_every_package_is_installed():
    """What pyproject.toml does not list is missing from a wheel, though not from an editable install."""
    root = Path(mpdviz.__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["packages"]
    found = {".".join(path.parent.relative_to(root).parts) for path in (root / "mpdviz").rglob("*.py")}
    assert found - set(listed) == set()
