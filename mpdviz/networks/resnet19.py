"""ResNet-19 of the MPD-AGL reference: SEW-ADD blocks, 20 neuron layers, 12.70 M parameters at full size."""

from torch import Tensor, nn

from mpdviz.networks.base import SpikingNetwork
from mpdviz.networks.blocks import ConvSpike, LinearSpike, NeuronSpec

# (index into `planes`, stride of the first block, number of blocks)
GROUPS = ((0, 1, 3), (1, 2, 3), (2, 2, 2))


class SEWBlock(nn.Module):
    """Two spiking convolutions whose spikes are added to the shortcut's (SEW-ADD, Fang et al. 2021).

    The output holds small integers, not only 0 and 1. Where the shape changes the shortcut is a 1 x 1
    convolution with tdBN and neurons of its own, which run after the other two.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, spec: NeuronSpec) -> None:
        """`stride` divides the side of the maps."""
        super().__init__()
        self.conv1 = ConvSpike(in_channels, channels, spec, stride=stride)
        self.conv2 = ConvSpike(channels, channels, spec)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.downsample = ConvSpike(in_channels, channels, spec, kernel=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """`[T, N, in_channels, H, W]` to `[T, N, channels, H / stride, W / stride]`."""
        out: Tensor = self.conv2(self.conv1(x))
        shortcut: Tensor = self.downsample(x)
        return out + shortcut


class ResNet19(SpikingNetwork):
    """conv3 - 3 x 128 - 3 x 256 - 2 x 512 - global average pool - hidden 256 - classes."""

    def __init__(
        self,
        spec: NeuronSpec,
        *,
        timesteps: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int | None = None,
        encode_channels: int = 128,
        planes: tuple[int, int, int] = (128, 256, 512),
        hidden: int = 256,
    ) -> None:
        """Build with fresh weights; the global pool takes any `image_size` (None: not checked)."""
        super().__init__(timesteps, (in_channels, image_size, image_size))
        self.encode = ConvSpike(in_channels, encode_channels, spec)
        blocks: list[nn.Module] = []
        channels = encode_channels
        for plane, stride, count in GROUPS:
            for i in range(count):
                blocks.append(SEWBlock(channels, planes[plane], stride if i == 0 else 1, spec))
                channels = planes[plane]
        self.blocks = nn.Sequential(*blocks)
        self.hidden = LinearSpike(channels, hidden, spec)
        self.head = nn.Linear(hidden, num_classes, bias=False)

    def run(self, x: Tensor) -> Tensor:
        """See `SpikingNetwork.run`."""
        maps: Tensor = self.blocks(self.encode(x))
        logits: Tensor = self.head(self.hidden(maps.mean((3, 4))))
        return logits
