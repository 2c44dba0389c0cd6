"""What every network shares: static images are repeated over time, layers can be asked for widths."""

import hashlib
from collections.abc import Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.networks.blocks import SpikingLayer
from mpdviz.strategies import Fixed, Place


class SpikingNetwork(nn.Module):
    """A network from images or event frames to one logit vector per timestep.

    Subclasses define `run`, time-major in and out.
    """

    def __init__(self, timesteps: int, in_channels: int, image_size: int | None) -> None:
        """Remember T, the number of input channels and the side of the image (None: any).

        Raises:
            BadInput: fewer than one timestep.
        """
        super().__init__()
        if timesteps < 1:
            raise BadInput(f"`timesteps` {timesteps}", "give at least 1")
        self.timesteps, self.in_channels, self.image_size = timesteps, in_channels, image_size
        self._stage = (0, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[T, N, classes]` of static images `[N, C, H, W]` or frames `[T, N, C, H, W]`.

        Raises:
            BadInput: an input of another shape, another number of channels or of timesteps.
        """
        if x.dim() == 4:
            x = x.unsqueeze(0).expand(self.timesteps, *x.shape)
        side = self.image_size
        fits = x.dim() == 5 and x.shape[2] == self.in_channels and len(x) == self.timesteps
        if not fits or (side is not None and x.shape[3:] != (side, side)):
            size = "any size" if side is None else f"{side}x{side}"
            raise BadInput(
                f"network input {list(x.shape)} where T={self.timesteps}, {self.in_channels} channels and "
                f"{size} are expected",
                "give images [N, C, H, W] or frames [T, N, C, H, W]",
            )
        return self.run(x)

    def run(self, x: Tensor) -> Tensor:
        """Logits `[T, N, classes]` of frames `[T, N, C, H, W]`."""
        raise NotImplementedError

    def spiking_layers(self) -> Iterator[tuple[str, SpikingLayer]]:
        """Name and module of every neuron layer, in the order in which they run."""
        for name, module in self.named_modules():
            if isinstance(module, SpikingLayer):
                yield name, module

    def place(self) -> Self:
        """This network, every strategy told which layer it is for.

        Raises:
            BadInput: a strategy that has nothing for its layer.
        """
        layers = dict(self.spiking_layers())
        for number, layer in enumerate(layers.values(), start=1):
            layer.strategy.place(Place(number, tuple(layers), self.timesteps))
        return self

    def channels_last(self) -> Self:
        """This network, its convolution weights laid out with a pixel's channels side by side.

        Maps follow the weights; convolutions and batch norms run faster on them, to the same results but for
        rounding.
        """
        for parameter in self.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return self

    def weights_hash(self) -> str:
        """SHA-256 of weights and buffers, those of the width strategies left out.

        Runs with equal hashes start alike, whatever their strategies.
        """
        digest = hashlib.sha256()
        for name, value in self.state_dict().items():
            if ".strategy." not in name:
                digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def drawn_hash(self) -> str:
        """SHA-256 of the weights that the seed draws, those of convolutions and linear layers.

        Networks that differ in the constants of their batch norms or neurons alone have equal ones.
        """
        digest = hashlib.sha256()
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                for part, value in module.state_dict().items():
                    digest.update(f"{name}.{part}".encode() + value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @torch.no_grad()
    def count_potentials(self, x: Tensor) -> int:
        """Membrane potentials computed for the input `x` at one timestep: samples x neurons.

        Args:
            x: static images `[N, C, H, W]` or frames `[T, N, C, H, W]`.
        """
        counted: list[int] = []
        layers = [layer for _, layer in self.spiking_layers()]
        neurons, strategies = [layer.neuron for layer in layers], [layer.strategy for layer in layers]
        # The other timesteps are as many, and there may be more than there is memory.
        fewest = next((neuron.timesteps for neuron in neurons if neuron.timesteps), 1)

        def count(_: Tensor, v: Tensor, *__: Any) -> None:
            counted.append(v.numel() // len(v))

        training, timesteps = self.training, self.timesteps
        for neuron in neurons:
            neuron.observers.append(count)
        try:
            self.timesteps = fewest
            for layer in layers:  # one that holds something of T timesteps has nothing for fewer
                layer.strategy = Fixed()
            with torch.no_grad():
                self.eval()(x[:fewest] if x.dim() == 5 else x)
        finally:
            self.timesteps = timesteps
            self.train(training)
            for layer, strategy in zip(layers, strategies, strict=True):
                layer.strategy = strategy
                layer.neuron.observers.remove(count)
        return sum(counted)

    @property
    def stage(self) -> tuple[int, float]:
        """Where the training stands: epochs finished, share of all steps done; strategies may ask."""
        return self._stage

    @stage.setter
    def stage(self, stage: tuple[int, float]) -> None:
        self._stage = stage
        for _, layer in self.spiking_layers():
            # A number that a compiled forward has read and that changes would have it compiled anew.
            if layer.strategy.follows_training:
                layer.epoch, layer.progress = stage

    def widths(self) -> list[dict[str, Any]]:
        """The surrogate's width at each layer and timestep (both from 1), and what it is made from."""
        rows = []
        for number, (name, layer) in enumerate(self.spiking_layers(), start=1):
            gamma = layer.norm.weight.detach().cpu()
            for t, kappa in enumerate(layer.widths(self.timesteps).tolist(), start=1):
                rows.append(
                    {
                        "layer": number,
                        "name": name,
                        "timestep": t,
                        "kappa": kappa,
                        "decay": layer.neuron.decay_value,
                        "gamma_mean": float(gamma.mean()),
                        "gamma_min": float(gamma.min()),
                        "gamma_negative": int((gamma < 0).sum()),
                    }
                )
        return rows


def check_image(name: str, image_size: int, halvings: int) -> int:
    """Side length of the maps after `halvings` poolings of an image `image_size` wide.

    Raises:
        BadInput: the image is too small for that many poolings.
    """
    side = image_size >> halvings
    if side < 1:
        raise BadInput(
            f"{name} halves the image {halvings} times, too often for {image_size}x{image_size}",
            f"use images of at least {1 << halvings}x{1 << halvings} or another model",
        )
    return side
