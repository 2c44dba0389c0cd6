"""Learning rates, step by step, against their closed forms."""

import math

import pytest

from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.training.rates import Rates


def rates(steps=4, **settings):
    config = RunConfig(**settings)
    made = Rates(config)
    return [made.at(epoch, step, steps) for epoch in range(config.epochs) for step in range(steps)]


def test_a_cosine_is_constant_within_an_epoch():
    expected = [0.2 * (1 + math.cos(math.pi * epoch / 3)) / 2 for epoch in range(3) for _ in range(4)]
    assert rates(lr=0.2, epochs=3) == expected


def test_steps_divide_after_so_many_epochs():
    found = rates(1, lr=0.8, epochs=7, schedule="step:every=3:factor=0.5")
    assert found == pytest.approx([0.8] * 3 + [0.4] * 3 + [0.2])
    assert rates(1, lr=1, epochs=61, schedule="step")[::30] == pytest.approx([1, 0.1, 0.01])


def test_a_constant_stays():
    assert rates(lr=0.3, epochs=5, schedule="constant") == [0.3] * 20


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warming_up_rises_in_equal_steps_to_the_schedule(schedule):
    found = rates(4, lr=1, epochs=4, schedule=schedule, warmup=1.5)
    whole = rates(4, lr=1, epochs=4, schedule=schedule)
    rising = [min(1, (step + 1) / 4 / 1.5) for step in range(16)]
    assert found == pytest.approx([share * rate for share, rate in zip(rising, whole, strict=True)])
    assert found[5:] == whole[5:]


@pytest.mark.parametrize(
    "schedule",
    ["cosine:every=2", "step:every=0", "step:every=1.5", "step:factor=1", "step:factor=nan", "linear", ""],
)
def test_no_such_schedule(schedule):
    with pytest.raises(BadInput, match="schedule"):
        Rates(RunConfig(schedule=schedule))
