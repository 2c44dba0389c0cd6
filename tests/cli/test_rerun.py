"""`mpdviz rerun`: what is equal, what differs and by how much, what has changed since."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from mpdviz.config import RunConfig
from mpdviz.runs.reading import StoredRun
from mpdviz.training import rerun
from mpdviz.training.again import compare


def stored(losses, epochs=None, **result):
    """A run with these losses."""
    epochs = epochs or list(range(1, len(losses) + 1))
    metrics = pd.DataFrame(
        {"epoch": epochs, "val_loss": losses, "seconds": np.random.default_rng().random(len(losses))}
    )
    result = {"initial_weights": "a", "data_order": "b", "test_accuracy": 0.5} | result
    return StoredRun(Path("run"), Path("best.pt"), RunConfig(), {"metrics": metrics}, result)


def test_equal_to_the_last_digit_or_not():
    one = stored([0.1, 0.2, float("nan")])
    assert compare(one, stored([0.1, 0.2, float("nan")])).equal
    found = compare(one, stored([0.1, np.nextafter(0.2, 1), float("nan")]))
    assert not found.equal
    assert (found.first, found.where) == (2, "val_loss of epoch 2")
    assert found.largest == np.spacing(0.2)
    found = compare(stored([1.0, 2.0, 4.0]), stored([1.5, 2.0, 6.0]))
    assert (found.first, found.largest, found.where) == (1, 2.0, "val_loss of epoch 3")
    found = compare(stored([1.0, 2.0]), stored([float("nan"), 5.0]))
    assert (found.first, found.where) == (1, "val_loss of epoch 1")
    assert np.isnan(found.largest)
    assert compare(stored([float("inf")]), stored([float("inf")])).equal


def test_hashes_epochs_and_results_count_too():
    one = stored([1.0])
    assert not compare(one, stored([1.0], data_order="c")).equal
    assert "same initial weights, other data order" in str(compare(one, stored([1.0], data_order="c")))
    found = compare(stored([1.0], initial_weights=None), one)
    assert found.equal
    assert "unknown initial weights" in str(found)
    found = compare(stored([1.0, 1.0]), one)
    assert not found.equal
    assert "; 2 epochs then, 1 now" in str(found)
    found = compare(one, stored([1.0], test_accuracy=0.25))
    assert not found.equal
    assert "; test accuracy 50.00 % then, 25.00 % now." in str(found)
    one.tables["metrics"]["train_penalty"] = 1.0
    assert "; not compared: train_penalty." in str(compare(one, stored([1.0])))


def test_the_library_does_the_same(place):
    found = rerun("run", out="again")
    assert found.compared.equal
    assert found.result.folder == Path("again")
    command = StoredRun.of_folder(Path("again")).environments[0].command
    assert command == "mpdviz.training.rerun(run='run', out='again')"
    then = StoredRun.of_folder(Path("run")).environments[0].facts()
    now = StoredRun.of_folder(Path("again")).environments[0].facts()
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    assert sorted(found.changes) == sorted(names)


def test_the_same_again_is_equal(place, mpdviz):
    code, out, err = mpdviz("rerun", "run")
    assert code == 0, err
    assert (
        "Equal: same initial weights, same data order, the same metrics to the last digit in 1 epoch."
        in " ".join(out.split())
    )
    again = pd.read_csv("run-rerun/metrics.csv").drop(columns="seconds")
    assert again.equals(pd.read_csv("run/metrics.csv").drop(columns="seconds"))
    code, _, err = mpdviz("rerun", "run")
    assert (code, err) == (2, ["mpdviz: run-rerun already holds a run; choose another --out"])


def test_other_data_are_another_result(place, mpdviz):
    before = np.load("data.npz")
    config = Path("run/config.toml").read_text()
    np.savez("other.npz", x=before["x"][::-1], y=before["y"])
    Path("run/config.toml").write_text(re.sub('data = ".*"', 'data = "npz:other.npz"', config))
    code, out, _ = mpdviz("rerun", "run", "--out", "new")
    assert code == 1
    said = " ".join(out.split())
    assert "Not equal: same initial weights, same data order, metrics that differ from epoch 1 on" in said
    one, other = (pd.read_csv(f"{name}/metrics.csv").drop(columns="seconds") for name in ("run", "new"))
    apart = (one - other).abs().iloc[0]
    assert f"at most by {apart.max():.2g} ({apart.idxmax()} of epoch 1)" in said


def test_what_has_changed_is_said_first(place, mpdviz):
    path = Path("run/environment.json")
    text = path.read_text()
    path.write_text(
        re.sub('"torch": ".*?"', '"torch": "0.1"', re.sub('"threads": .*?,', '"threads": 99,', text))
    )
    code, _, err = mpdviz("rerun", "run", "--out", "new")
    assert code == 0
    said = " ".join(err)
    assert "torch: 0.1 then, " in said
    assert "threads: 99 then, " in said
    assert "OMP_NUM_THREADS=99" in said
    assert said.index("torch: 0.1") < said.index("epoch   1")
    path.unlink()
    code, _, err = mpdviz("rerun", "run", "--out", "new2")
    assert code == 0
    assert "was not noted" in err[0]


def test_data_that_a_program_gave_are_not_to_be_had(place, refused):
    config = Path("run/config.toml")
    config.write_text(re.sub('data = ".*"', 'data = "given:mine"', config.read_text()))
    refused("rerun", "run", words=["run was trained on given:mine", "run that program again"])
    Path("run/metrics.csv").unlink()
    refused("rerun", "run", words=["run has finished no epoch"])
    refused("rerun", "nowhere", words=["nowhere is no run folder"])
