"""What every network shares: static samples are repeated over time, layers can be asked for widths."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.networks.blocks import SpikingLayer
from mpdviz.strategies import Fixed, Place


class SpikingNetwork(nn.Module):
    """A network from images, event frames, vectors or sequences to one logit vector per timestep.

    Subclasses define `run`, time-major in and out, and `sizes_for` where they take anything but square images
    and frames.
    """

    def __init__(self, timesteps: int, sample_shape: Sequence[int | None]) -> None:
        """Remember T and the shape of a sample at one timestep, `(C, H, W)` or `(F,)` (None: any size).

        Raises:
            BadInput: fewer than one timestep.
        """
        super().__init__()
        if timesteps < 1:
            raise BadInput(f"`timesteps` {timesteps}", "give at least 1")
        self.timesteps, self.sample_shape = timesteps, tuple(sample_shape)
        self._stage = (0, 0.0)

    @classmethod
    def sizes_for(cls, sample_shape: Sequence[int]) -> dict[str, Any]:
        """The options that fit a network of this class to data.

        Args:
            sample_shape: of a sample at one timestep.

        Raises:
            BadInput: data of a kind that it does not take.
        """
        if len(sample_shape) != 3 or sample_shape[1] != sample_shape[2]:
            name = cls.__name__.lower()
            raise BadInput(
                f"model {name} takes square images, and a sample of the data is {list(sample_shape)}",
                "choose another `model`, e.g. mlp, which takes everything",
            )
        return {"in_channels": sample_shape[0], "image_size": sample_shape[1]}

    def fits(self, sample_shape: Sequence[int]) -> bool:
        """Whether it takes samples of this shape at one timestep."""
        pairs = zip(self.sample_shape, sample_shape, strict=False)
        return len(sample_shape) == len(self.sample_shape) and all(own in (None, size) for own, size in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[T, N, classes]` of static samples `[N, ...]` or time-major ones `[T, N, ...]`.

        Raises:
            BadInput: an input of another shape or number of timesteps.
        """
        if self._is_static(x):
            x = x.unsqueeze(0).expand(self.timesteps, *x.shape)
        if x.dim() < 2 or len(x) != self.timesteps or not self.fits(x.shape[2:]):
            one = ", ".join("any" if size is None else str(size) for size in self.sample_shape)
            raise BadInput(
                f"network input {list(x.shape)} where T={self.timesteps} and samples [{one}] are expected",
                f"give [N, {one}] or [T, N, {one}]",
            )
        return self.run(x)

    def run(self, x: Tensor) -> Tensor:
        """Logits `[T, N, classes]` of time-major samples `[T, N, ...]`."""
        raise NotImplementedError

    def _is_static(self, x: Tensor) -> bool:
        return x.dim() == len(self.sample_shape) + 1

    @property
    def observed(self) -> nn.Module:
        """The module whose paths are the names of the layers."""
        return self

    @property
    def is_stepped(self) -> bool:
        """Whether a forward pass calls `observed` once a timestep."""
        return False

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
            x: static samples `[N, ...]` or time-major ones `[T, N, ...]`.
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
                self.eval()(x if self._is_static(x) else x[:fewest])
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
