"""Spikformer: a small transformer of spikes, after Zhou et al., "Spikformer", ICLR 2023.

As there, queries, keys and values are spikes and their products sums of coincidences, without softmax. Other
than there, the products too go through a norm before they charge neurons, as every current of this package
does, so that widths can be predicted of each layer; the norm takes the place of their constant scale. Tokens
stay pixels of maps `[T, N, C, H, W]`, and what is linear on a token is a 1 x 1 convolution.
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.networks.base import SpikingNetwork
from mpdviz.networks.blocks import ConvSpike, NeuronSpec, SpikingLayer, over_time
from mpdviz.norm import NORMS


class Attention(SpikingLayer):
    """Neurons charged by self-attention: spiking queries, keys and values in, spikes out."""

    def __init__(self, dim: int, heads: int, spec: NeuronSpec) -> None:
        """`heads` parts of the `dim` channels attend each for itself."""
        super().__init__(NORMS.find(spec.norm).maps, dim, spec)
        self.heads = heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Spikes `[T, N, C, H, W]` of three such: `Q (K^T V)` over the pixels, a head at a time."""
        q, k, v = (x.flatten(3).unflatten(2, (self.heads, -1)) for x in (query, key, value))
        # [.., d, d] between: no token meets each other one, and every entry is a whole number.
        mixed = (v @ k.mT) @ q
        return self.fire(mixed.flatten(2, 3).view(query.shape))


class Block(nn.Module):
    """Attention and two layers a token, each added to what it is given (as in SEW-ADD)."""

    def __init__(self, dim: int, heads: int, expansion: int, spec: NeuronSpec) -> None:
        """The wider of the two layers has `expansion * dim` channels."""
        super().__init__()
        self.query, self.key, self.value = (ConvSpike(dim, dim, spec, kernel=1) for _ in range(3))
        self.attention = Attention(dim, heads, spec)
        self.project = ConvSpike(dim, dim, spec, kernel=1)
        self.widen = ConvSpike(dim, expansion * dim, spec, kernel=1)
        self.narrow = ConvSpike(expansion * dim, dim, spec, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Small whole numbers `[T, N, C, H, W]` to the same."""
        x = x + self.project(self.attention(self.query(x), self.key(x), self.value(x)))
        added: Tensor = self.narrow(self.widen(x))
        return x + added


class Spikformer(SpikingNetwork):
    """convolutions and pools to patches - position - blocks - mean over tokens - classes."""

    def __init__(
        self,
        spec: NeuronSpec,
        *,
        timesteps: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        patch: int = 4,
        expansion: int = 4,
    ) -> None:
        """Build with fresh weights.

        Args:
            spec: of every neuron layer.
            timesteps: T.
            num_classes: size of the logits.
            in_channels: of the input.
            image_size: side of the square input.
            dim: channels of a token.
            depth: blocks.
            heads: of each attention.
            patch: side of the square of pixels that a token stands for, a power of 2.
            expansion: how much wider the layers between are.

        Raises:
            BadInput: sizes that do not divide.
        """
        super().__init__(timesteps, (in_channels, image_size, image_size))
        halvings = int(math.log2(patch))
        if 1 << halvings != patch or image_size % patch:
            raise BadInput(
                f"spikformer: `patch` {patch} of {image_size}x{image_size}", "give a power of 2 that divides"
            )
        if dim % heads or dim >> halvings < 1:
            raise BadInput(
                f"spikformer: `dim` {dim} with `heads` {heads} and `patch` {patch}", "give a multiple of both"
            )
        stages: list[nn.Module] = []
        channels = in_channels
        for stage in range(halvings + 1):
            stages.append(ConvSpike(channels, dim >> (halvings - stage), spec))
            channels = dim >> (halvings - stage)
            if stage < halvings:
                stages.append(MaxPool())
        self.patches = nn.Sequential(*stages)
        self.position = ConvSpike(dim, dim, spec)
        self.blocks = nn.Sequential(*(Block(dim, heads, expansion, spec) for _ in range(depth)))
        self.head = nn.Linear(dim, num_classes)

    @override
    def run(self, x: Tensor) -> Tensor:
        """See `SpikingNetwork.run`."""
        x = self.patches(x)
        x = x + self.position(x)
        logits: Tensor = self.head(self.blocks(x).mean((3, 4)))
        return logits


class MaxPool(nn.Module):
    """2 x 2 max pooling of each timestep: of spikes it makes spikes."""

    def forward(self, x: Tensor) -> Tensor:
        """`[T, N, C, H, W]` to `[T, N, C, H // 2, W // 2]`."""
        return over_time(F.max_pool2d, x, 2)
