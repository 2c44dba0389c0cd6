"""`cifar100`: 60,000 colour photographs of 100 kinds of things (Krizhevsky 2009), by their fine labels."""

from mpdviz.data.base import NamedData
from mpdviz.data.cifar import Cifar, load
from mpdviz.data.formats.archives import Archive

CIFAR100 = Cifar(
    name="cifar100",
    archive=Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
        "cifar-100-binary",
    ),
    train_files=("train.bin",),
    test_file="test.bin",
    records=50_000,
    labels=2,  # coarse, fine
    classes=100,
    mean=(0.5071, 0.4867, 0.4408),
    std=(0.2675, 0.2565, 0.2761),
)

NAMED = NamedData(
    "60,000 colour photographs, 32x32; 100 classes", lambda timesteps, data_dir: load(CIFAR100, data_dir)
)
