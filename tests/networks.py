"""Small networks and settings that tests share."""

import torch

from mpdviz import networks

SIZES = {
    "convsnn": {"encode_channels": 4, "planes": (4, 6), "hidden": 8},
    "mlp": {"in_shape": (1, 8, 8), "hidden": (9, 8)},
    "resnet19": {"encode_channels": 4, "planes": (4, 6, 8), "hidden": 8},
    "spikformer": {"image_size": 8, "dim": 8, "depth": 1, "heads": 2, "patch": 2, "expansion": 2},
    "vggsnn": {"encode_channels": 4, "planes": (4, 6, 8), "image_size": 16},
}
TINY = "convsnn:encode_channels=4:planes=4-4"
"""A network that is trained in a moment."""
TRAINING = {"model": TINY, "timesteps": 2, "batch_size": 16, "device": "cpu"}
"""Settings of a run that takes a moment."""


def small(name="convsnn", *, seed=None, **options):
    """A network of a few channels, T = 3 and 3 classes unless told; weights from `seed` if given."""
    if seed is not None:
        torch.manual_seed(seed)
    return networks.build(name, **({"timesteps": 3, "num_classes": 3} | SIZES[name] | options))
