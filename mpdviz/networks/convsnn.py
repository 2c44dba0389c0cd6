"""ConvSNN: a small network of five neuron layers, the default for small images."""

from torch import Tensor, nn

from mpdviz.networks.base import SpikingNetwork, check_image
from mpdviz.networks.blocks import AveragePool, ConvSpike, LinearSpike, NeuronSpec


class ConvSNN(SpikingNetwork):
    """encode - c1 - P - c2 - c2 - P - hidden - classes, every stage but the last spiking."""

    def __init__(
        self,
        spec: NeuronSpec,
        *,
        timesteps: int,
        num_classes: int,
        in_channels: int = 1,
        image_size: int = 8,
        encode_channels: int = 32,
        planes: tuple[int, int] = (32, 64),
        hidden: int = 128,
    ) -> None:
        """Build with fresh weights; `image_size` is the side of the square input, at least 4."""
        super().__init__(timesteps, (in_channels, image_size, image_size))
        side = check_image("convsnn", image_size, 2)
        first, second = planes
        self.encode = ConvSpike(in_channels, encode_channels, spec)
        self.features = nn.Sequential(
            ConvSpike(encode_channels, first, spec),
            AveragePool(),
            ConvSpike(first, second, spec),
            ConvSpike(second, second, spec),
            AveragePool(),
        )
        self.hidden = LinearSpike(second * side * side, hidden, spec)
        self.head = nn.Linear(hidden, num_classes)

    def run(self, x: Tensor) -> Tensor:
        """See `SpikingNetwork.run`."""
        x = self.features(self.encode(x))
        logits: Tensor = self.head(self.hidden(x.flatten(2)))
        return logits
