"""`cifar10-dvs`: 10,000 recordings of an event camera before moving CIFAR-10 pictures (Li et al. 2017)."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mpdviz.data.base import Dataset, Split
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput

SIZE = 48  # pixels, as in the recipes of the field
ROLL = 5  # pixels
CLASSES = 10
SPLIT_SEED = 10
LAYOUT = "give as data_dir the folder with train/0.pt, train/1.pt, ... and test/0.pt, ..."


def load(data_dir: Path | None, timesteps: int | None = None) -> Dataset:
    """CIFAR10-DVS binned into frames, in the layout of the released code.

    Every file of `train` and `test` holds one recording: frames `[T, 2, H, W]` and its label. The frames are
    resized to 48 x 48 as they are (the released transform first turns them into 8-bit pictures whose second
    channel acts as transparency, which erases events) and kept in half precision. A tenth of every class of
    `train` is for validation. Training batches are flipped and rolled by up to 5 pixels.

    Args:
        data_dir: the folder that holds `train` and `test`.
        timesteps: frames that the caller wants; only checked, since frames cannot be stretched.

    Raises:
        BadInput: no folder, a file that cannot be read or holds something else, or other frames than wanted.
    """
    if data_dir is None:
        raise BadInput("cifar10-dvs is read from files, and no data_dir was given", LAYOUT)
    whole, test = (_read(data_dir / part) for part in ("train", "test"))
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
        classes=CLASSES,
        frames=True,
        augment=flipped_and_rolled,
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


def _read(folder: Path) -> Split:
    try:
        paths = sorted(folder.glob("*.pt"), key=lambda path: int(path.stem))
    except ValueError:
        raise BadInput(f"{folder} holds .pt files that are no numbered recordings", LAYOUT) from None
    if not paths:
        raise BadInput(f"no recordings in {folder}", LAYOUT)
    frames: list[Tensor] = []
    labels: list[int] = []
    for path in paths:
        x, y = _recording(path)
        if frames and x.shape != frames[0].shape:
            raise BadInput(
                f"{path}: frames {list(x.shape)}, and {list(frames[0].shape)} in {paths[0].name}",
                "bin all events alike",
            )
        frames.append(x)
        labels.append(y)
    return Split(torch.stack(frames), torch.tensor(labels))


def _recording(path: Path) -> tuple[Tensor, int]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch answers damage, and code in place of tensors, in many ways
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"cannot read {path}: {reason}", "bin the events again") from None
    expected = "expected a pair of frames [T, 2, H, W] and a label from 0 to 9"
    if not (isinstance(content, tuple | list) and len(content) == 2 and isinstance(content[0], Tensor)):
        raise BadInput(f"{path}: {expected}", "bin the events again")
    x, y = content[0].float(), int(content[1])
    if x.dim() != 4 or x.shape[1] != 2 or not 0 <= y < CLASSES or not bool(x.isfinite().all()):
        raise BadInput(f"{path}: {expected}; found {list(x.shape)}, {y}", "bin the events again")
    if x.shape[2:] != (SIZE, SIZE):
        x = F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)
    return x.half(), y
