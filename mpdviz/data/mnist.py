"""`mnist`: 70,000 handwritten digits (LeCun, Cortes and Burges 1998)."""

import torch
from torch import Tensor

from mpdviz.data.augment import random_shift
from mpdviz.data.base import NamedData
from mpdviz.data.formats.idx import File, Idx, load

SHIFT = 2  # pixels


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each digit moved by up to 2 pixels; a mirrored one would be no digit."""
    return random_shift(x, SHIFT, generator)


MNIST = Idx(
    name="mnist",
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    folders=("raw", "MNIST/raw"),
    train=(
        File(
            "train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"
        ),
        File(
            "train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"
        ),
    ),
    test=(
        File(
            "t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"
        ),
        File(
            "t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"
        ),
    ),
    mean=0.1307,  # those that the field's recipes quote
    std=0.3081,
    augment=shifted,
)

NAMED = NamedData(
    "70,000 handwritten digits, 28x28; 10 classes", lambda timesteps, data_dir: load(MNIST, data_dir)
)
