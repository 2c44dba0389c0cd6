"""CIFAR10-DVS that has been binned into frames: one file a recording, as the released code leaves them."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mpdviz.data.base import Split
from mpdviz.errors import BadInput
from mpdviz.system.saved import DTYPES, check_tensor, read_saved

SIZE = 48  # pixels, as in the recipes of the field
CLASSES = 10
LAYOUT = "the folder with train/0.pt, train/1.pt, ... and test/0.pt, ..."


def read(folder: Path) -> Split:
    """The recordings `0.pt`, `1.pt`, ... of a folder: pairs of frames `[T, 2, H, W]` and a label.

    Returns:
        Frames `[N, T, 2, 48, 48]` in half precision, and labels `[N]`.

    Raises:
        BadInput: no recordings, or one that cannot be read or is something else than the others.
    """
    try:
        paths = sorted(folder.glob("*.pt"), key=lambda path: int(path.stem))
    except ValueError:
        raise BadInput(
            f"{folder} holds .pt files that are no numbered recordings", f"give as data_dir {LAYOUT}"
        ) from None
    if not paths:
        raise BadInput(f"no recordings in {folder}", f"give as data_dir {LAYOUT}")
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


def resized(x: Tensor) -> Tensor:
    """Frames `[T, 2, H, W]` as `[T, 2, 48, 48]` in half precision: each pixel the mean of those it covers.

    They are resized as the numbers they are: the released transform first turns them into 8-bit pictures
    whose second channel acts as transparency, which erases events.
    """
    if x.shape[2:] != (SIZE, SIZE):
        x = F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)
    return x.half()


def _recording(path: Path) -> tuple[Tensor, int]:
    content = read_saved(path, "recording")
    expected = "expected a pair of frames [T, 2, H, W] and a label from 0 to 9"
    if not (isinstance(content, tuple | list) and len(content) == 2):
        raise BadInput(f"{path}: {expected}", "bin the events again")
    x, y = check_tensor(content[0], f"{path}: frames").float(), _label(content[1])
    if x.dim() != 4 or x.shape[1] != 2 or y is None or not x.numel() or not bool(x.isfinite().all()):
        found = f"{list(x.shape)}, {content[1]!r}"[:200]
        raise BadInput(f"{path}: {expected}; found {found}", "bin the events again")
    return resized(x), y


def _label(label: Any) -> int | None:
    """A class number, None where it is none."""
    if isinstance(label, Tensor) and label.numel() == 1 and label.dtype in DTYPES:
        label = label.item()
    whole = isinstance(label, int | float) and not isinstance(label, bool) and label in range(CLASSES)
    return int(label) if whole else None
