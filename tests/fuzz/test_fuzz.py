"""A few inputs of every kind, always the same; `python -m fuzz` runs as many as one likes."""

import pytest

from fuzz.case import Case
from fuzz.harness import Fuzzer, execute, judge
from fuzz.kinds import KINDS

INPUTS = 14


@pytest.fixture(scope="session")
def fuzzer(tmp_path_factory):
    return Fuzzer(tmp_path_factory.mktemp("fuzz") / "inputs", seed=0)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_inputs(fuzzer, kind):
    found = [fuzzer.run(kind, number) for number in range(INPUTS)]
    assert not [f"{outcome}: {outcome.faults}" for outcome in found if outcome.faults]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "words",
    [
        "compare run/checkpoints/best.pt run/checkpoints/last.pt --limit 8",
        "compare r.npz twin.npz --format csv",
        "inspect r.npz other.npz",
        "compare --collect cmp",
        "convert released.pth new.pt",
        "inspect released.pth --data npz:frames.npz --format csv",
        "inspect run/checkpoints/best.pt --model net:build --data npz:data.npz --format csv",
        "inspect middle.pt --limit 8",
        "train --resume --out run",
        "watch --once run",
        "rerun run --out new",
    ],
)
def test_the_unharmed_inputs_do_work(fuzzer, tmp_path, words):
    """Else refusals would come for another reason than the damage."""
    place = fuzzer.copy(tmp_path)
    status, _ = execute(Case(tuple(words.split()), ""), place, tmp_path)
    assert status == 0, (tmp_path / "err").read_text()


@pytest.mark.parametrize(
    ("status", "said", "after", "fault"),
    [
        (None, "", {}, "took more than 20 s"),
        (-11, "", {}, "signal 11"),
        (70, "mpdviz: this is a bug of mpdviz: KeyError", {}, "exit code 70"),
        (130, "mpdviz: interrupted", {}, "exit code 130"),
        (0, "Traceback (most recent call last):\nKeyError", {}, "traceback: KeyError"),
        (2, "error: so", {}, "not ours"),
        (2, "", {}, "not ours: none"),
        (2, "mpdviz: one\nmpdviz: two", {}, "several lines"),
        (2, "mpdviz: no", {"new": b""}, "yet wrote new"),
        (1, "", {"input": b"other"}, "changed the input input"),
        (0, "", {"input": None}, "changed the input input"),
        (0, "", {"x/canary": None}, "code in a file was run"),
        (0, "", {"out/new": b"", "out/old": b""}, None),
        (2, "a note\n\x1b[31mmpdviz:\x1b[0m no", {}, None),
    ],
)
def test_what_a_fault_is(tmp_path, status, said, after, fault):
    (tmp_path / "cache").mkdir()
    (tmp_path / "err").write_text(said)
    before = {"input": b"sound", "out/old": b"old"}
    case = Case(("inspect",), "", may_change=("out",))
    found = list(judge(case, status, tmp_path, before, before | after))
    assert len(found) == (fault is not None), found
    assert fault is None or fault in found[0]
