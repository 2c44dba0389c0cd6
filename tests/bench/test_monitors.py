"""What the monitors' benchmark says: watching changes no output, and who keeps how much."""

import numpy as np
import pytest
import torch

pytest.importorskip("spikingjelly")

from mpdviz.bench import monitors

SHAPE = {"timesteps": 3, "batch_size": 2}
NUMBERS = 2 * (50 + 10)  # potentials of a timestep
FORWARDS = [1, 4, 8]


def test_what_is_held_counts_each_storage_once():
    tensor, array = torch.zeros(10), np.zeros(5)
    assert monitors.held([tensor, tensor[2:], {"a": array, "b": array[:2]}]) == 40 + 40
    assert monitors.held(torch.nn.Linear(3, 3)) == 0
    assert monitors.held([lambda: tensor]) == 40


def test_every_way_leaves_the_output_alone():
    rows = monitors.times("tiny", **SHAPE, repeats=1)  # asserts it
    assert [row.contender for row in rows] == list(monitors.usable())
    assert rows[0].ratio == 1


@pytest.mark.parametrize("name", monitors.usable())
def test_nothing_stays_on_the_network(name):
    net, run = monitors.build("tiny", **SHAPE)
    with torch.no_grad(), monitors.usable()[name](net):
        run()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert not any(node.store_v_seq for _, node in monitors.nodes(net))


def test_what_mpdviz_keeps_does_not_grow_and_what_tensor_monitors_keep_does():
    kept = {one.way: one.held for one in monitors.kept("tiny", **SHAPE, forwards=FORWARDS)}
    for count in FORWARDS:
        assert kept["AttributeMonitor v_seq"][count] == count * 3 * NUMBERS * 4
        assert kept["AttributeMonitor v"][count] >= count * NUMBERS * 4
    ours = kept["mpdviz.record"]
    assert 0 < ours[1] <= ours[4] == ours[8] < 1.01 * ours[1]
    assert len(set(kept["torch.histc by hand"].values())) == 1
