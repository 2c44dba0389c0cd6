"""Weights in the wrappings that people save them in."""

import argparse

import pytest
import torch
from torch import nn

from mpdviz import checkpoint
from mpdviz.errors import BadInput


def network():
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def behind(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def filled(path, content, **where):
    """Whether every weight arrived, and what was said."""
    given, taken = network(), network()
    nn.init.constant_(given[0].weight, 7.0)
    torch.save(content(given.state_dict()), path)
    notes = checkpoint.fill_any(taken, path, **{"key": None, "prefix": None, **where})
    for name, value in given.state_dict().items():
        assert torch.equal(taken.state_dict()[name], value)
    return notes


SILENT = {
    "model.module.": lambda state: {"model": behind("module.", state), "epoch": 3},
    "nested prefixes": lambda state: behind("module._orig_mod.model.net.", state),
    "any prefix": lambda state: {"weights": behind("encoder.backbone.", state)},
    "nested wrappers": lambda state: {"checkpoint": {"model_ema": {"params": state}}},
    "inside": lambda state: {name.replace(".", ".module."): value for name, value in state.items()},
}


@pytest.mark.parametrize("wrapping", SILENT)
def test_weights_are_found(tmp_path, wrapping):
    assert filled(tmp_path / "w.pt", SILENT[wrapping]) == ()


def test_one_of_several_entries_is_taken_and_told(tmp_path):
    def both(state):
        return {"ema": {name: value + 1 for name, value in state.items()}, "model": state}

    (note,) = filled(tmp_path / "w.pt", both)
    assert "took 'model'" in note
    assert "also holds ema (see `key`)" in note
    swapped = filled(tmp_path / "w.pt", lambda state: {"ema": state, "model": both(state)["ema"]}, key="ema")
    assert swapped == ()
    with pytest.raises(BadInput, match=r"`key` best: .* no such entry; give one of: ema, model"):
        filled(tmp_path / "w.pt", both, key="best")


def test_a_prefix_tells_the_student_from_the_teacher(tmp_path):
    def two(state):
        return behind("student.", state) | behind("teacher.", {name: 0 * v for name, v in state.items()})

    (note,) = filled(tmp_path / "w.pt", two, prefix="student")
    assert "left out of" in note
    assert "teacher.0.weight" in note
    with pytest.raises(
        BadInput, match=r"fit behind each of student\., teacher\.; give one of them as `prefix`"
    ):
        filled(tmp_path / "w.pt", two)
    with pytest.raises(BadInput, match=r"`prefix` pupil: no name in .* begins so; there are student"):
        filled(tmp_path / "w.pt", two, prefix="pupil")


def test_what_profilers_leave_is_told_and_skipped(tmp_path):
    profiled = {"total_ops": torch.zeros(1), "0.total_params": torch.zeros(1), "epoch": 3}
    (note,) = filled(tmp_path / "w.pt", lambda state: state | profiled)
    assert "left out of" in note
    assert all(name in note for name in profiled)


def test_weights_of_another_network_are_named(tmp_path):
    path = tmp_path / "w.pt"
    torch.save({"0.weight": torch.zeros(2, 3), "head.weight": torch.zeros(1)}, path)
    with pytest.raises(
        BadInput, match=r"missing \(0\.bias, 1\.weight, 1\.bias, \.\.\.\), 1 unexpected \(head"
    ) as got:
        checkpoint.fill_any(network(), path, key=None, prefix=None)
    assert "`model_args`" in str(got.value)
    torch.save({"epoch": 3}, path)
    with pytest.raises(BadInput, match="missing"):
        checkpoint.fill_any(network(), path, key=None, prefix=None)


def test_a_namespace_in_the_file_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pt"
    torch.save({"state_dict": network().state_dict(), "args": argparse.Namespace(lr=0.1)}, path)
    with pytest.raises(BadInput, match=r"argparse\.Namespace.*nothing in it was run") as caught:
        checkpoint.fill_any(network(), path, key=None, prefix=None)
    assert "\n" not in str(caught.value)
    recipe = str(caught.value).partition("alone: ")[2].partition(", or what")[0]
    with torch.serialization.safe_globals([]):  # what the recipe allows is allowed here alone
        exec(recipe, {"torch": torch, "argparse": argparse})
        torch.serialization.clear_safe_globals()
    assert checkpoint.fill_any(network(), tmp_path / "weights.pt", key=None, prefix=None) == ()
