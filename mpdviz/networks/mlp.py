"""MLP: fully connected layers, for vectors and sequences, and for images as the vectors of their pixels."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from mpdviz.networks.base import SpikingNetwork
from mpdviz.networks.blocks import LinearSpike, NeuronSpec


class MLP(SpikingNetwork):
    """hidden - ... - hidden - classes, every stage but the last spiking."""

    def __init__(
        self,
        spec: NeuronSpec,
        *,
        timesteps: int,
        num_classes: int,
        in_shape: tuple[int, ...] = (64,),
        hidden: tuple[int, ...] = (256, 128),
    ) -> None:
        """Build with fresh weights; `in_shape` is that of a sample at one timestep, of any rank."""
        super().__init__(timesteps, in_shape)
        layers: list[nn.Module] = []
        features = math.prod(in_shape)
        for size in hidden:
            layers.append(LinearSpike(features, size, spec))
            features = size
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(features, num_classes)

    @override
    @classmethod
    def sizes_for(cls, sample_shape: Sequence[int]) -> dict[str, Any]:
        """See `SpikingNetwork.sizes_for`; every shape will do."""
        return {"in_shape": tuple(sample_shape)}

    @override
    def run(self, x: Tensor) -> Tensor:
        """See `SpikingNetwork.run`."""
        logits: Tensor = self.head(self.features(x.flatten(2)))
        return logits
