"""VGGSNN of the MPD-AGL reference: eight neuron layers, 9.27 M parameters at full size."""

from torch import Tensor, nn

from mpdviz.networks.base import SpikingNetwork, check_image
from mpdviz.networks.blocks import AveragePool, ConvSpike, NeuronSpec

# Index into `planes` of each stage after the encoder; P pools.
STAGES = (0, "P", 1, 1, "P", 2, 2, "P", 2, 2, "P")


class VGGSNN(SpikingNetwork):
    """64 - 128 - P - 256 - 256 - P - 512 - 512 - P - 512 - 512 - P - classes (P: average pool 2)."""

    def __init__(
        self,
        spec: NeuronSpec,
        *,
        timesteps: int,
        num_classes: int,
        in_channels: int = 2,
        image_size: int = 48,
        encode_channels: int = 64,
        planes: tuple[int, int, int] = (128, 256, 512),
    ) -> None:
        """Build with fresh weights; `image_size` is the side of the square input, at least 16."""
        super().__init__(timesteps, (in_channels, image_size, image_size))
        side = check_image("vggsnn", image_size, STAGES.count("P"))
        self.encode = ConvSpike(in_channels, encode_channels, spec)
        stages: list[nn.Module] = []
        channels = encode_channels
        for stage in STAGES:
            if isinstance(stage, int):
                stages.append(ConvSpike(channels, planes[stage], spec))
                channels = planes[stage]
            else:
                stages.append(AveragePool())
        self.features = nn.Sequential(*stages)
        self.head = nn.Linear(channels * side * side, num_classes)

    def run(self, x: Tensor) -> Tensor:
        """See `SpikingNetwork.run`."""
        logits: Tensor = self.head(self.features(self.encode(x)).flatten(2))
        return logits
