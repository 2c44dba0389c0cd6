"""`cifar10-dvs`: 10,000 recordings of an event camera before moving CIFAR-10 pictures (Li et al. 2017)."""

from pathlib import Path

import torch
from torch import Tensor

from mpdviz.data import dvs_events, dvs_frames
from mpdviz.data.base import Dataset, NamedData
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput

ROLL = 5  # pixels
TIMESTEPS = 10
"""Frames that events are binned into where the caller asks for no number, as in the recipe."""
SPLIT_SEED = 10


def load(data_dir: Path | None, timesteps: int | None = None) -> Dataset:
    """CIFAR10-DVS as frames of 48 x 48 pixels in half precision, OFF and ON events apart.

    A tenth of every class of what is for training is for validation. Training batches are flipped and rolled
    by up to 5 pixels.

    Args:
        data_dir: the folder that holds `train` and `test`, already binned (see `dvs_frames`), or the class
            folders with event files (see `dvs_events`), themselves or in CIFAR10DVS.
        timesteps: frames that the caller wants. Events are binned into that many; frames are only checked,
            since they cannot be stretched.

    Raises:
        BadInput: no folder, a file that cannot be read or holds something else, or other frames than wanted.
    """
    if data_dir is None:
        raise BadInput(
            "cifar10-dvs is read from files, and no data_dir was given",
            f"give as data_dir {dvs_frames.LAYOUT}, or the one with airplane/*.aedat4, ...",
        )
    events = dvs_events.folder_of(data_dir)
    if events is not None:
        whole, test = dvs_events.read(events, timesteps or TIMESTEPS)
    else:
        whole, test = (dvs_frames.read(data_dir / part) for part in ("train", "test"))
    if whole.x.shape[1:] != test.x.shape[1:]:
        raise BadInput(f"{data_dir}: frames of train and test differ in shape", "bin all events alike")
    frames = whole.x.shape[1]
    if timesteps not in (None, frames):
        raise BadInput(
            f"{data_dir} holds {frames} frames a sample, and {timesteps} timesteps were asked for",
            f"ask for {frames}, or bin the events again: frames cannot be stretched",
        )
    train, val, _ = stratified(whole.y, val=0.1, test=0.0, seed=SPLIT_SEED)
    return Dataset(
        "cifar10-dvs",
        whole.take(train),
        whole.take(val),
        test,
        classes=dvs_frames.CLASSES,
        frames=True,
        augment=flipped_and_rolled,
    )


NAMED = NamedData(
    "10,000 recordings of an event camera, as frames or event files; needs data_dir",
    lambda timesteps, data_dir: load(data_dir, timesteps),
)


def flipped_and_rolled(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each recording mirrored with probability 1/2 and rolled by up to 5 pixels down and across.

    Args:
        x: frames `[N, T, C, H, W]`.
        generator: CPU generator.

    Returns:
        Frames of the same shape, dtype and device.
    """
    count, _, _, height, width = x.shape
    mirrored = torch.rand(count, generator=generator) < 0.5
    down, across = torch.randint(-ROLL, ROLL + 1, (2, count, 1), generator=generator)
    rows = (torch.arange(height) - down) % height
    columns = (torch.arange(width) - across) % width
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    sample = torch.arange(count, device=x.device).view(-1, 1, 1)
    moved = x.movedim((3, 4), (1, 2))[sample, rows.to(x.device)[:, :, None], columns.to(x.device)[:, None, :]]
    return moved.movedim((1, 2), (3, 4)).contiguous()
