"""Executors by name: their options, and what is refused before anything is written."""

import sys

import pytest
from networks import TRAINING

import mpdviz.compare
from mpdviz.compare.executors import EXECUTORS, get
from mpdviz.compare.executors.local import Local
from mpdviz.errors import BadInput


def test_an_executor_is_made_from_its_string():
    assert list(EXECUTORS) == ["local", "ray", "slurm"]
    assert vars(get("ray:address=auto:cpus=4")) == {"address": "auto", "cpus": 4}
    assert get("ray", "10.0.0.1:6379").address == "10.0.0.1:6379"
    asked = {"partition": "gpu", "time": 600, "gpus": 1, "cpus": 8, "memory": 32}
    words = ":".join(f"{name}={value}" for name, value in asked.items())
    assert vars(get(f"slurm:{words}")) == asked


@pytest.mark.parametrize(
    ("text", "address", "words"),
    [
        ("rays", None, "unknown executor 'rays'; did you mean 'ray'"),
        ("local:jobs=2", None, "executor 'local' has no option 'jobs'; see `mpdviz list executors`"),
        ("ray:cpus=1.5", None, "ray:cpus=1.5; give a whole number"),
        ("ray:cpus=nan", None, "ray:cpus=nan; give a whole number"),
        ("ray:cpus=inf", None, "ray:cpus=inf; give a whole number"),
        ("ray:cpus=all", None, "'cpus=all' is no option"),
        ("slurm:time=0", None, "slurm:time=0; give a whole number from 1"),
        ("slurm:memory=nan", None, "slurm:memory=nan"),
        ("local", "10.0.0.1:6379", "`address` with `executor` local; leave it out"),
        ("slurm", "10.0.0.1:6379", "`address` with `executor` slurm"),
    ],
)
def test_what_makes_no_executor_is_refused(text, address, words):
    with pytest.raises(BadInput, match=words):
        get(text, address)


def study(out, **given):
    return mpdviz.compare.strategies(["fixed"], seeds=[0], out=out, **{**TRAINING, "epochs": 1, **given})


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_is_named(executor, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # as if it could not be imported
    with pytest.raises(BadInput, match=rf"needs the package {package}; pip install 'mpdviz\[{executor}\]'"):
        study(tmp_path / "study", executor=executor)
    assert not list(tmp_path.iterdir())


def test_slurm_is_refused_where_there_is_none(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="needs Slurm's sbatch, which is not here"):
        study(tmp_path / "study", executor="slurm")
    assert not list(tmp_path.iterdir())


def test_a_gpu_by_its_number_is_refused_where_ray_gives_it(tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(BadInput, match="`device` cuda:1 with `executor` ray, which gives each run its GPU"):
        study(tmp_path / "study", executor="ray", device="cuda:1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:9", "nothing answers at `address` 127.0.0.1:9"),
        ("nowhere", "`address` 'nowhere' is none; give HOST:PORT"),
        ("127.0.0.1:0", "is none"),
    ],
)
def test_an_address_where_no_ray_is_gets_one_line_at_once(address, words, tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(BadInput, match=words):
        study(tmp_path / "study", executor=get("ray", address))


@pytest.mark.thorough
def test_an_object_is_an_executor_too(tmp_path):
    said = []
    collected = study(tmp_path / "study", executor=Local(), on_event=said.append)
    assert len(collected.runs) == 1
    assert collected.runs["finished"].all()
    assert said[-1].startswith("[1/1] fixed seed 0: test accuracy")
