"""Fan-out against brute force: one spike put in at a time, and the outputs counted that it changes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from recording_twin import rng
from torch import nn

import mpdviz
from mpdviz import networks
from mpdviz.neurons import LIF


class Wired(nn.Module):
    """One neuron layer, then `after`; currents come straight from the test."""

    def __init__(self, after):
        super().__init__()
        self.neuron, self.after = LIF(), after
        for parameter in self.parameters():
            nn.init.constant_(parameter, 1.0)

    def forward(self, x):
        return self.after(self.neuron(x.unsqueeze(0)).squeeze(0))


def brute(after, shape):
    """Mean number of outputs that one spike among `shape` `[C, ...]` changes, all weights being 1."""
    for parameter in after.parameters():
        nn.init.constant_(parameter, 1.0)
    size = int(np.prod(shape))
    with torch.no_grad():
        spikes = torch.eye(size).view(size, *shape)
        return float((after(spikes) != after(torch.zeros(1, *shape))).sum()) / size


CASES = {
    "conv": (nn.Conv2d(3, 5, 3, padding=1, bias=False), (3, 6, 7)),
    "no-padding": (nn.Conv2d(3, 5, 3), (3, 6, 7)),
    "stride": (nn.Conv2d(2, 4, 3, stride=2, padding=1), (2, 7, 8)),
    "uneven": (nn.Conv2d(2, 4, (3, 1), stride=(1, 3), padding=(2, 0)), (2, 5, 8)),
    "stride-skips": (nn.Conv2d(2, 4, 1, stride=2), (2, 7, 7)),
    "groups": (nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 5, 5)),
    "depthwise": (nn.Conv2d(4, 4, 5, padding=2, groups=4), (4, 5, 6)),
    "dilation": (nn.Conv2d(2, 3, 3, padding=2, dilation=2), (2, 7, 6)),
    "same": (nn.Conv2d(2, 3, 5, padding="same", dilation=2), (2, 9, 8)),
    "conv1d": (nn.Conv1d(3, 5, 3, padding=1), (3, 9)),
    "conv3d": (nn.Conv3d(2, 3, 3, padding=1), (2, 4, 3, 5)),
    "transposed": (nn.ConvTranspose2d(3, 5, 2, stride=2), (3, 4, 4)),
    "linear": (nn.Linear(7, 11), (7,)),
    "linear-without-bias": (nn.Linear(7, 11, bias=False), (7,)),
    "linear-over-tokens": (nn.Linear(7, 11), (5, 7)),
    "flatten": (nn.Sequential(nn.Flatten(), nn.Linear(24, 6)), (2, 3, 4)),
    "pool": (nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 3, 3, padding=1)), (2, 8, 8)),
    "norm": (nn.Sequential(nn.BatchNorm2d(2).eval(), nn.Conv2d(2, 3, 3, padding=1)), (2, 6, 6)),
    "adaptive": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)), (3, 5, 5)),
    "stops-at-weights": (nn.Sequential(nn.Linear(6, 4, bias=False), nn.Identity()), (6,)),
}


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_one_operation_against_brute_force(name, gradients):
    after, shape = CASES[name]
    model = Wired(after)
    current = torch.rand((3, *shape), generator=rng())
    with torch.set_grad_enabled(gradients), mpdviz.record(model) as mpd:
        model(current)
    assert mpd.layers[1].info.fan_out == pytest.approx(brute(after, shape), rel=1e-12)


def test_weights_end_the_count():
    model = Wired(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5)))
    with mpdviz.record(model) as mpd:
        model(torch.rand(3, 6))
    assert mpd.layers[1].info.fan_out == 4


def test_without_synapses_there_is_nothing_to_drive():
    model = Wired(nn.Flatten())
    with mpdviz.record(model) as mpd:
        model(torch.rand(3, 2, 3))
    assert mpd.layers[1].info.fan_out == 0
    assert mpd.table()["synops"].tolist() == [0]


class Residual(nn.Module):
    """Two neuron layers whose spikes are added and meet one convolution; the first meets another before."""

    def __init__(self):
        super().__init__()
        self.first, self.second = LIF(), LIF()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.last = nn.Conv2d(2, 5, 3, stride=2, padding=1)

    def forward(self, x):
        spikes = self.first(x)[0]
        later = self.second(self.conv(spikes).unsqueeze(0))[0]
        later = later + spikes
        return self.last(later)


def test_a_residual_sum_hands_both_layers_on():
    model = Residual()
    with mpdviz.record(model) as mpd:
        model(torch.rand(1, 3, 2, 6, 6))
    inner, outer = brute(model.conv, (2, 6, 6)), brute(model.last, (2, 6, 6))
    assert [layer.info.fan_out for layer in mpd.layers.values()] == pytest.approx([inner + outer, outer])


def test_an_addition_in_place_hands_on_too():
    class InPlace(Residual):
        def forward(self, x):
            with torch.no_grad():
                spikes = self.first(x)[0]
                later = torch.zeros_like(spikes)
                later += spikes
                return self.last(later)

    model = InPlace()
    with mpdviz.record(model) as mpd:
        model(torch.rand(1, 3, 2, 6, 6))
    assert mpd.layers[1].info.fan_out == pytest.approx(brute(model.last, (2, 6, 6)))


def test_matrix_products_of_spikes_with_spikes():
    # Attention: queries [N, L, D] times keys [N, D, L]; a spike on either side meets L numbers of the other.
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key = LIF(), LIF()

        def forward(self, x):
            return self.query(x)[0] @ self.key(x)[0].transpose(1, 2)

    model = Attention()
    with mpdviz.record(model) as mpd:
        model(torch.rand(1, 3, 5, 4))
    assert [layer.info.fan_out for layer in mpd.layers.values()] == [5, 5]


def conv_fan_out(side, channels, kernel=3, padding=1):
    """Explicit loops over the output positions and the taps of one 'same' convolution."""
    connections = 0
    for row in range(side):
        for column in range(side):
            for i in range(kernel):
                for j in range(kernel):
                    inside = 0 <= row + i - padding < side and 0 <= column + j - padding < side
                    connections += channels * inside
    return connections / side**2


def test_convsnn_and_its_synops():
    network = networks.build(
        "convsnn", timesteps=3, num_classes=10, encode_channels=5, planes=(4, 6), hidden=9
    )
    with mpdviz.record(network) as mpd:
        network(torch.randn(4, 1, 8, 8, generator=rng()))
        network(torch.randn(2, 1, 8, 8, generator=rng()))
    expected = [conv_fan_out(8, 4), conv_fan_out(4, 6), conv_fan_out(4, 6), 9, 10]
    assert [layer.info.fan_out for layer in mpd.layers.values()] == pytest.approx(expected)
    rows = mpd.table()
    spikes = np.concatenate([layer.statistics.spikes for layer in mpd.layers.values()])
    np.testing.assert_allclose(rows["synops"], spikes * np.repeat(expected, 3))
    np.testing.assert_allclose(rows["synops"], rows["firing_rate"] * rows["count"] * np.repeat(expected, 3))
    assert rows["synops"].gt(0).any()


def test_layers_outside_the_selection_are_still_not_mixed_up():
    network = networks.build(
        "convsnn", timesteps=2, num_classes=10, encode_channels=5, planes=(4, 6), hidden=9
    )
    with mpdviz.record(network, layers=[4]) as mpd:
        network(torch.randn(4, 1, 8, 8, generator=rng()))
    assert mpd.layers[4].info.fan_out == 9


def test_autocast_changes_no_wiring():
    model = Wired(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Flatten(), nn.Linear(108, 4)))
    with mpdviz.record(model) as mpd, torch.autocast("cpu", torch.bfloat16):
        model(torch.rand(3, 2, 6, 6))
    assert mpd.layers[1].info.fan_out == pytest.approx(brute(model.after[0], (2, 6, 6)))


def test_functional_calls_count_as_modules_do():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = LIF()
            self.weight = nn.Parameter(torch.ones(4, 6))

        def forward(self, x):
            return F.linear(self.neuron(x), self.weight) + torch.einsum(
                "tnc,oc->tno", self.neuron(x), self.weight
            )

    model = Functional()
    with mpdviz.record(model) as mpd:
        model(torch.rand(2, 3, 6))
    # The neurons at two places are two layers, each of which drives its own four.
    assert [layer.info.fan_out for layer in mpd.layers.values()] == [4, 4]


def test_spikes_that_are_used_twice_drive_both():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = LIF()
            self.weight = nn.Parameter(torch.ones(4, 6))

        def forward(self, x):
            spikes = self.neuron(x)
            return F.linear(spikes, self.weight) + torch.einsum("tnc,oc->tno", spikes, self.weight)

    model = Functional()
    with mpdviz.record(model) as mpd:
        model(torch.rand(2, 3, 6))
    assert mpd.layers[1].info.fan_out == 8
