"""Averaged weights against the recurrence in NumPy float64."""

import numpy as np
import torch
from networks import small

from mpdviz.training.averaged import Averaged


def test_averages_follow_the_recurrence():
    network = small("convsnn", seed=0)
    averaged, rng = Averaged(network, 0.6), np.random.default_rng(0)
    expected = {name: value.double().numpy().copy() for name, value in network.state_dict().items()}
    for step in range(1, 12):
        with torch.no_grad():
            for value in network.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.from_numpy(rng.standard_normal(tuple(value.shape)).astype(np.float32)))
        averaged.update(step)
        keep = min(0.6, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            own = value.double().numpy()
            expected[name] = keep * expected[name] + (1 - keep) * own if value.is_floating_point() else own
    for name, value in averaged.values.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


def test_applied_averages_leave_with_the_block():
    network = small("convsnn", seed=0)
    averaged = Averaged(network, 0.9)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.head.weight.add_(1)
    own = network.head.weight.clone()
    with averaged.applied():
        assert all(torch.equal(value, first[name]) for name, value in network.state_dict().items())
    assert torch.equal(network.head.weight, own)
    averaged.update(10**9)
    torch.testing.assert_close(averaged.values["head.weight"], first["head.weight"] + 0.1)
