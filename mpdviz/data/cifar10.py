"""`cifar10`: 60,000 colour photographs of 10 kinds of things (Krizhevsky 2009)."""

from mpdviz.data.base import NamedData
from mpdviz.data.cifar import Cifar, load
from mpdviz.data.formats.archives import Archive

CIFAR10 = Cifar(
    name="cifar10",
    archive=Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d13530",
        "cifar-10-batches-bin",
    ),
    train_files=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test_file="test_batch.bin",
    records=10_000,
    labels=1,
    classes=10,
    mean=(0.4914, 0.4822, 0.4465),  # those that the field's recipes quote
    std=(0.2023, 0.1994, 0.2010),
)

NAMED = NamedData(
    "60,000 colour photographs, 32x32; 10 classes", lambda timesteps, data_dir: load(CIFAR10, data_dir)
)
