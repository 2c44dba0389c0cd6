"""What is measured by size is of that size, and memory that was in use is seen."""

import mmap

import pytest

from mpdviz import compare
from mpdviz.bench import scaling, studies, timing
from mpdviz.bench.memory import Peak


def test_a_recording_has_the_size_that_was_asked_for(tmp_path):
    size = scaling.Size(timesteps=3, layers=4, neurons=160, samples=10)
    contents = scaling.recording(size, tmp_path)()
    assert len(contents.layers) == 4
    for layer in contents.layers.values():
        assert layer.statistics.count.tolist() == [160 * 10] * 3
        assert layer.census.seen.size == 160


def test_a_made_up_study_is_read_as_a_trained_one(tmp_path):
    studies.write(tmp_path / "study", studies.StudySize(arms=3, seeds=4, epochs=2, layers=2, timesteps=2))
    found = compare.collect(tmp_path / "study")
    assert found.runs["finished"].all()
    assert len(found.runs) == 12
    assert found.accuracy["n"].tolist() == [4, 4, 4]
    assert found.accuracy["mean"].between(0.8, 0.9).all()
    assert "same weights, by hash" in found.weights


@pytest.mark.thorough
@pytest.mark.parametrize("cost", scaling.AXES)
def test_every_cost_can_be_measured(cost):
    seconds, peak = scaling.measure(cost, scaling.AXES[cost][0], 2, 1)
    assert seconds > 0
    assert peak >= 0


def test_the_peak_is_seen_after_it_is_over():
    # Straight from the system: the C library may have as much at hand that others have freed.
    with Peak() as most, mmap.mmap(-1, 200_000_000) as block:
        for page in range(0, len(block), 4096):
            block[page] = 1
    assert 150 < most.above < 400


def test_tables_are_aligned():
    assert timing.aligned(("", "s"), [("one", "1.0"), ("eleven", "11.0")]) == [
        "           s",
        "one      1.0",
        "eleven  11.0",
    ]
