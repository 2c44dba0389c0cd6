"""Work divided among torch's threads: every part once, errors handed over, any caller."""

import threading
from pathlib import Path

import pytest
import torch

from mpdviz.system import threads
from mpdviz.system.threads import divided


def test_torchs_own_library_is_told_from_those_of_others():
    pytest.importorskip("sklearn.utils._openmp_helpers")
    if not list((Path(torch.__file__).parent / "lib").glob("libgomp*")):
        pytest.skip("this build of torch brings no OpenMP library of GNU's")
    threads._openmp.cache_clear()
    assert threads._openmp() is not None


@pytest.fixture(params=["torch's threads", "a pool"])
def team(request, monkeypatch):
    if request.param == "a pool":
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    elif threads._openmp() is None:
        pytest.skip("torch's OpenMP library is not GNU's")


@pytest.mark.usefixtures("team")
@pytest.mark.parametrize("parts", [0, 1, 2, 5, 64])
def test_every_part_is_done_once(parts):
    done = []
    divided(done.append, parts)
    assert sorted(done) == list(range(parts))


@pytest.mark.usefixtures("team")
def test_what_a_part_raises_is_raised_when_the_others_are_done():
    done = []

    def work(part):
        if part == 1:
            raise ValueError("part 1")
        done.append(part)

    with pytest.raises(ValueError, match="part 1"):
        divided(work, 4)
    assert sorted(done) == [0, 2, 3]
    divided(done.append, 2)


@pytest.mark.usefixtures("team")
def test_from_several_threads_and_amid_torchs_own_work():
    found = {}

    def caller(name):
        for _ in range(20):
            torch.randn(300, 300) @ torch.randn(300, 300)
            divided(lambda part: found.setdefault((name, part), threading.get_ident()), 3)

    callers = [threading.Thread(target=caller, args=(name,)) for name in range(3)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert sorted(found) == [(name, part) for name in range(3) for part in range(3)]
