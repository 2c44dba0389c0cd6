"""`fashion-mnist`: 70,000 grey pictures of 10 kinds of clothing (Xiao, Rasul and Vollgraf 2017)."""

from pathlib import Path

import torch
from torch import Tensor

from mpdviz.data.augment import random_flip, random_shift
from mpdviz.data.base import NamedData
from mpdviz.data.formats.idx import File, Idx, load

SHIFT = 2  # pixels


def shifted_and_flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each piece of clothing moved by up to 2 pixels, and mirrored with probability 1/2."""
    return random_flip(random_shift(x, SHIFT, generator), generator)


FASHION_MNIST = Idx(
    name="fashion-mnist",
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    folders=("raw", "FashionMNIST/raw"),
    train=(
        File(
            "train-images-idx3-ubyte", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"
        ),
        File(
            "train-labels-idx1-ubyte", "25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"
        ),
    ),
    test=(
        File(
            "t10k-images-idx3-ubyte", "bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"
        ),
        File(
            "t10k-labels-idx1-ubyte", "bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"
        ),
    ),
    mean=0.2860,
    std=0.3530,
    augment=shifted_and_flipped,
    installed=Path("/usr/share/datasets/fashion-mnist"),
    package="apt install dataset-fashion-mnist",
)

NAMED = NamedData(
    "70,000 grey pictures of clothing, 28x28; 10 classes",
    lambda timesteps, data_dir: load(FASHION_MNIST, data_dir),
)
