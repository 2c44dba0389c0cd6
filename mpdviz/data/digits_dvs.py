"""`digits-dvs`: the digits as a simulated event camera sees them during a saccade.

The camera is the usual model of a dynamic vision sensor: a pixel remembers a log intensity and signals an
event each time the present one departs from it by the contrast threshold (Lichtsteiner et al. 2008). The
motion is that of N-MNIST: three legs along an isosceles triangle (Orchard et al. 2015).
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mpdviz.data import digits
from mpdviz.data.base import Dataset, NamedData, Split
from mpdviz.errors import BadInput

MOTION_SEED = 2015
CANVAS = 16  # pixels of the camera, each way
DIGIT = 12  # pixels the digit is enlarged to; the margin leaves room for the motion
WHITE = 16.0  # raw value of a fully inked pixel
DARK = 0.1  # intensity of the background, in units of a fully inked pixel; keeps the logarithm finite
CONTRAST = 0.15  # departure of the log intensity (natural logarithm) that makes an event
# Corners of the triangle as (across, down), in units of its amplitude and around the resting point.
CORNERS = ((-0.5, -0.5), (0.0, 0.5), (0.5, -0.5), (-0.5, -0.5))
AMPLITUDE = 3.0  # pixels
AMPLITUDE_JITTER = 0.15  # largest relative change of a sample's amplitude
TILT_JITTER = math.radians(10)  # largest turn of a sample's triangle
FRAMES = 10  # when nothing else is asked for
MIN_STEPS_PER_FRAME = 4
MIN_STEPS = 60  # a whole motion in coarser steps would jump over strokes
MAX_FRAMES_PER_SACCADE = 30  # slower, and some frames would see no event; longer films repeat the saccade


def load(timesteps: int | None = None) -> Dataset:
    """The digits filmed in `timesteps` frames of event counts; the same samples in each split as `digits`.

    Args:
        timesteps: frames T a sample; None means 10. All show the same motion, cut into more or fewer pieces
            (beyond 30 frames the saccade repeats).

    Returns:
        Frames, uint8 counts `[N, T, 2, 16, 16]`, channel 0 brighter (ON) and 1 darker (OFF) events, used as
        they are; 10 classes.

    Raises:
        BadInput: for fewer than 1 timestep.
    """
    frames = FRAMES if timesteps is None else timesteps
    if frames < 1:
        raise BadInput(f"digits-dvs cannot be filmed in {frames} frames", "ask for at least 1 timestep")
    still = digits.load()
    random = np.random.RandomState(MOTION_SEED)  # legacy, since its stream never changes
    train, val, test = (_film(part, frames, random) for part in (still.train, still.val, still.test))
    return Dataset("digits-dvs", train, val, test, classes=still.classes, frames=True)


NAMED = NamedData(
    "the same digits as 16x16 ON/OFF event frames of a saccade", lambda timesteps, data_dir: load(timesteps)
)


def _film(still: Split, frames: int, random: np.random.RandomState) -> Split:
    # float64, so that which side of a threshold a pixel falls on does not depend on the processor.
    enlarged = F.interpolate(
        still.x.double() / WHITE, size=(DIGIT, DIGIT), mode="bilinear", align_corners=False
    )
    scene = F.pad(enlarged.squeeze(1), [(CANVAS - DIGIT) // 2] * 4)
    return Split(events(scene, saccade(len(still), frames, random), frames), still.y)


def saccade(count: int, frames: int, random: np.random.RandomState) -> Tensor:
    """Where each sample's digit is at every step of the motion.

    Args:
        count: number of samples N.
        frames: frames T of the film.
        random: source of each sample's amplitude and tilt.

    Returns:
        Offsets (across, down) from the resting point in pixels, float64 `[1 + steps, N, 2]`; steps is a
        multiple of T, and entry 0 is where the motion starts.
    """
    steps = frames * max(MIN_STEPS_PER_FRAME, math.ceil(MIN_STEPS / frames))
    legs = len(CORNERS) - 1
    saccades = math.ceil(frames / MAX_FRAMES_PER_SACCADE)
    progress = np.linspace(0, legs * saccades, steps + 1) % legs
    triangle = np.stack(
        [np.interp(progress, range(legs + 1), axis) for axis in zip(*CORNERS, strict=True)], axis=1
    )

    amplitude = AMPLITUDE * random.uniform(1 - AMPLITUDE_JITTER, 1 + AMPLITUDE_JITTER, count)
    tilt = random.uniform(-TILT_JITTER, TILT_JITTER, count)
    turn = amplitude * np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return torch.from_numpy(np.einsum("ijn,sj->sni", turn, triangle))


def events(scene: Tensor, path: Tensor, frames: int) -> Tensor:
    """Events that an event camera signals while a scene moves in front of it.

    At each step a pixel whose log intensity departs from its reference by d signals `trunc(|d| / CONTRAST)`
    events of the sign of d, and its reference moves by as many thresholds; the rest waits for later steps.

    Args:
        scene: intensities at rest, float64 `[N, S, S]`, 1 for full ink; 0 outside the canvas.
        path: offsets (across, down) in pixels, float64 `[1 + steps, N, 2]`; the references start half a
            threshold below the intensity at entry 0.
        frames: frames T that the steps divide into equally.

    Returns:
        Event counts, uint8 `[N, T, 2, S, S]`, ON then OFF.
    """
    # A motion that ends where it began ends on that first intensity, whole thresholds away from any reference
    # that started there: rounding would decide the last event. Half a threshold lower, it cannot.
    reference = _log_intensity(scene, path[0]) - CONTRAST / 2
    counts = scene.new_zeros(frames, 2, *scene.shape)
    for frame, offsets in zip(counts, torch.unflatten(path[1:], 0, (frames, -1)), strict=True):
        for offset in offsets:
            signed = torch.trunc((_log_intensity(scene, offset) - reference) / CONTRAST)
            reference += signed * CONTRAST
            frame += torch.stack([signed, -signed]).clamp(min=0)
    return counts.to(torch.uint8).permute(2, 0, 1, 3, 4).contiguous()


def _log_intensity(scene: Tensor, offset: Tensor) -> Tensor:
    """Log intensity of `scene [N, S, S]` moved by `offset [N, 2]` pixels, bilinear between pixels."""
    # The content moves by the offset, so each pixel looks back by it; the grid spans the canvas by -1 .. 1.
    look_back = -2 * offset / scene.shape[-1]
    transform = torch.cat([torch.eye(2).to(scene).expand(len(scene), 2, 2), look_back[:, :, None]], dim=2)
    grid = F.affine_grid(transform, [len(scene), 1, *scene.shape[1:]], align_corners=False)
    moved = F.grid_sample(scene[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return torch.log(moved.squeeze(1) + DARK)
