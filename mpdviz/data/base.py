"""What a data set is to the rest of the package: three splits in memory, and batches drawn from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from mpdviz.data.splits import limited
from mpdviz.errors import BadInput, unknown_name

SPLITS = ("train", "val", "test", "all")


@dataclass(frozen=True, eq=False)  # eq: tensors do not compare to one truth value
class Split:
    """Samples and their labels, batch-first.

    Attributes:
        x: images `[N, C, H, W]`, event frames `[N, T, C, H, W]`, vectors `[N, F]` or sequences `[N, T, F]`,
            uint8, float16 or float32, in raw units; of a file that was loaded as it is, whatever it holds.
        y: class labels, int64 `[N]`; of a file that was loaded as it is, any targets `[N, ...]`.
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: Tensor) -> "Split":
        """The samples at `index` (int64 `[n]`), in that order, copied."""
        return Split(self.x[index], self.y[index])

    def to(self, device: torch.device | str) -> "Split":
        """The same samples on another device."""
        return Split(self.x.to(device), self.y.to(device))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set, in memory as a whole.

    Attributes:
        name: the name that `mpdviz.data.load` knows it by.
        train: samples to learn from.
        val: samples to choose by; may be empty for a tiny file of the user's.
        test: samples to report on; may be empty for a tiny file of the user's.
        classes: number of classes; labels are `0 .. classes - 1`. 0 where the samples have no such labels.
        frames: whether `x` carries its own time axis, its second.
        mean: what to subtract, one value a channel in raw units; empty means used as they are.
        std: what to divide by, one value a channel in raw units; empty means used as they are.
        augment: random change of a training batch, given its raw values as float32, batch-first, and a CPU
            generator; None means that training sees the samples as they are.
        file_order: int64 `[N]`: where each sample of the source file lies in train, val, test laid end to
            end; None where the source has no order of its own.
        about_labels: what the labels are, where that has to be said; empty where they are the source's own.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: int
    frames: bool
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    file_order: Tensor | None = None
    about_labels: str = ""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample at one timestep: `(C, H, W)` or, of vectors and sequences, `(F,)`."""
        return tuple(self.train.x.shape[2 if self.frames else 1 :])

    @property
    def timesteps(self) -> int | None:
        """Timesteps T of a sample; None for static ones, which the network repeats as often as it likes."""
        return self.train.x.shape[1] if self.frames else None

    def split(self, name: str) -> Split:
        """The samples of `train`, `val`, `test` or `all` (file order where the source has one).

        Raises:
            BadInput: for any other name.
        """
        parts = {"train": self.train, "val": self.val, "test": self.test}
        if name in parts:
            return parts[name]
        if name != "all":
            raise unknown_name("split", name, SPLITS)
        every = Split(
            torch.cat([part.x for part in parts.values()]), torch.cat([part.y for part in parts.values()])
        )
        return every if self.file_order is None else every.take(self.file_order)

    def limited(self, count: int) -> "Dataset":
        """The same with so many of the training samples, of every class alike; validation and test whole.

        Raises:
            BadInput: there are not so many.
        """
        if count > len(self.train):
            raise BadInput(
                f"`train_limit` {count}: {self.name} has {len(self.train)} training samples",
                "lower it, or leave it out",
            )
        return replace(self, train=self.train.take(limited(self.train.y, count)), file_order=None)

    def check_trainable(self, batch_size: int, timesteps: int) -> None:
        """Refuse a training set that gives no batch, and splits that leave nothing to choose or report by.

        Raises:
            BadInput: a batch larger than the training set, or an empty validation or test split.
        """
        if batch_size > len(self.train):
            raise BadInput(
                f"batch size {batch_size} is larger than the {len(self.train)} training samples of "
                f"{self.name}",
                "lower `batch_size`",
            )
        if batch_size * timesteps == 1:
            raise BadInput(
                "batch norm in training gets one single value per channel",
                "raise `batch_size` or `timesteps`",
            )
        for split in ("val", "test"):
            if not len(self.split(split)):
                raise BadInput(f"{self.name} is too small to keep a {split} split", "give more samples")

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data set with its samples on another device."""
        return replace(
            self,
            train=self.train.to(device),
            val=self.val.to(device),
            test=self.test.to(device),
            file_order=None if self.file_order is None else self.file_order.to(device),
        )


@dataclass(frozen=True)
class NamedData:
    """A data set that has a name: what is registered, here or as an entry point of the group `mpdviz.data`.

    Attributes:
        description: what it is, in one line.
        load: given the wanted frames T and the folder of the files, either of which may be None and of no
            concern to it, the data set; the same splits at every call.
    """

    description: str
    load: Callable[[int | None, Path | None], Dataset]


def batches(
    dataset: Dataset,
    split: str,
    batch_size: int,
    *,
    order: Tensor | None = None,
    augment: torch.Generator | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of a split as a network takes them: float32, normalised, on the data set's device.

    Args:
        dataset: where the samples come from.
        split: `train`, `val`, `test` or `all`.
        batch_size: samples a batch; the last one may be shorter.
        order: the samples to visit, int64 indices into the split; None visits each once, as stored.
        augment: CPU generator for the data set's augmentation; None leaves the samples as they are.

    Returns:
        An iterator over `x`, `[n, ...]`, or time-major `[T, n, ...]` where samples have time, and `y`, int64
        `[n]` (see `Split` for files that were loaded as they are).

    Raises:
        BadInput: for an unknown split or a batch size below 1; at the call, before the first batch.
    """
    if batch_size < 1:
        raise BadInput(f"batch size {batch_size} holds no samples", "choose a batch size of at least 1")
    samples = dataset.split(split)
    visits = torch.arange(len(samples)) if order is None else order
    # An empty tensor splits into one empty batch, which a network has no use for.
    indices = torch.split(visits.to(samples.x.device), batch_size) if len(visits) else ()
    return _prepared(dataset, samples, indices, augment)


def _prepared(
    dataset: Dataset, samples: Split, indices: tuple[Tensor, ...], generator: torch.Generator | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Gather, augment, normalise and turn time-major, a batch at a time."""
    mean, std = (
        torch.tensor(values, device=samples.x.device).reshape(-1, 1, 1)
        for values in (dataset.mean, dataset.std)
    )
    for index in indices:
        batch = samples.take(index)
        x = batch.x.float()
        if generator is not None and dataset.augment is not None:
            x = dataset.augment(x, generator)
        if dataset.mean:
            x = (x - mean) / std
        yield (x.transpose(0, 1).contiguous() if dataset.frames else x), batch.y
