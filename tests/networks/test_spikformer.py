"""The transformer of spikes against NumPy in float64."""

import numpy as np
import pytest
import torch
from networks import small

from mpdviz import networks
from mpdviz.errors import BadInput
from mpdviz.networks.blocks import NeuronSpec
from mpdviz.networks.spikformer import Attention, Block


def lif(current, decay=0.2, v_th=0.5):
    """Spikes of currents `[T, ...]`: hard reset, decay before the charge."""
    v, spikes = np.zeros_like(current[0]), []
    for step in current:
        v = decay * v + step
        spikes.append((v >= v_th).astype(float))
        v = v * (1 - spikes[-1])
    return np.stack(spikes)


def test_attention_sums_coincidences_over_tokens_head_by_head():
    torch.manual_seed(0)
    layer = Attention(8, 2, NeuronSpec(timesteps=3)).double().eval()
    rng = np.random.default_rng(0)
    layer.norm.running_mean.copy_(torch.from_numpy(rng.uniform(0, 3, 8)))
    layer.norm.running_var.copy_(torch.from_numpy(rng.uniform(1, 4, 8)))
    shape = (3, 2, 8, 2, 3)
    q, k, v = ((rng.random(shape) < 0.4).astype(float) for _ in range(3))

    def tokens(x):  # [T, N, heads, tokens, channels of a head], as the paper writes them
        return x.reshape(3, 2, 2, 4, 6).swapaxes(3, 4)

    attention = tokens(q) @ tokens(k).swapaxes(3, 4) @ tokens(v)
    mixed = attention.swapaxes(3, 4).reshape(shape)
    channel = (None, None, slice(None), None, None)
    mean, var = layer.norm.running_mean.numpy()[channel], layer.norm.running_var.numpy()[channel]
    current = 0.5 * (mixed - mean) / np.sqrt(var + layer.norm.eps)  # gamma is 1, in units of v_th
    with torch.no_grad():
        found = layer(*(torch.from_numpy(x) for x in (q, k, v))).numpy()
    np.testing.assert_array_equal(found, lif(current))
    assert 0.05 < found.mean() < 0.95


def test_a_block_adds_whole_numbers():
    torch.manual_seed(0)
    block = Block(8, 2, 2, NeuronSpec(timesteps=3)).eval()
    x = torch.randint(0, 3, (3, 4, 8, 2, 2)).float()
    with torch.no_grad():
        mixed = x + block.project(block.attention(block.query(x), block.key(x), block.value(x)))
        expected = mixed + block.narrow(block.widen(mixed))
        assert torch.equal(block(x), expected)
    assert torch.equal(expected, expected.round())


def test_tokens_are_patches():
    network = networks.build(
        "spikformer:patch=4:dim=16:depth=1", timesteps=2, num_classes=3, in_channels=1, image_size=28
    )
    shapes = []
    network.blocks.register_forward_hook(lambda module, given, out: shapes.append(tuple(out.shape)))
    network(torch.randn(2, 1, 28, 28))
    assert shapes == [(2, 2, 16, 7, 7)]


@pytest.mark.parametrize("options", ["patch=3", "patch=16:dim=8", "dim=10:heads=4", "patch=32"])
def test_sizes_that_do_not_divide(options):
    with pytest.raises(BadInput, match="spikformer"):
        networks.build(f"spikformer:{options}", timesteps=2, num_classes=3, image_size=16)


def test_an_mlp_is_its_recurrence():
    network = small("mlp", seed=0, in_shape=(5,), hidden=(7,), norm="tdbn").double().eval()
    layer, rng = network.features[0], np.random.default_rng(0)
    layer.norm.running_mean.copy_(torch.from_numpy(rng.normal(size=7)))
    layer.norm.running_var.copy_(torch.from_numpy(rng.uniform(0.2, 1, 7)))
    for x in (rng.normal(size=(6, 5)), rng.normal(size=(3, 6, 5))):  # vectors, then sequences of T = 3
        steps = np.broadcast_to(x, (3, 6, 5)) if x.ndim == 2 else x
        synaptic = steps @ layer.linear.weight.detach().numpy().T
        mean, var = layer.norm.running_mean.numpy(), layer.norm.running_var.numpy()
        spikes = lif(0.5 * (synaptic - mean) / np.sqrt(var + layer.norm.eps))
        expected = spikes @ network.head.weight.detach().numpy().T + network.head.bias.detach().numpy()
        with torch.no_grad():
            np.testing.assert_allclose(network(torch.from_numpy(x)).numpy(), expected, atol=1e-12)
