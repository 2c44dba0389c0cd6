"""The AutoAugment operations against Pillow, pixel for pixel, and the policy against its probabilities."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from mpdviz.config import validate
from mpdviz.data import Dataset, Split, autoaugment
from mpdviz.data.augment import random_cutout, with_augmentation
from mpdviz.data.autoaugment import GREY, OPERATIONS, POLICY, STRENGTHS, auto_augment
from mpdviz.errors import BadInput
from mpdviz.training.run import Run

FILL = (int(GREY),) * 3


def affine(matrix):
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=FILL)


PILLOW = {
    "invert": lambda image, _: ImageOps.invert(image),
    "solarize": lambda image, s: ImageOps.solarize(image, s),
    "posterize": lambda image, s: ImageOps.posterize(image, int(s)),
    "brightness": lambda image, s: ImageEnhance.Brightness(image).enhance(s),
    "color": lambda image, s: ImageEnhance.Color(image).enhance(s),
    "contrast": lambda image, s: ImageEnhance.Contrast(image).enhance(s),
    "sharpness": lambda image, s: ImageEnhance.Sharpness(image).enhance(s),
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "shear_x": lambda image, s: affine((1, s, 0, 0, 1, 0))(image),
    "shear_y": lambda image, s: affine((1, 0, 0, s, 1, 0))(image),
    "translate_x": lambda image, s: affine((1, 0, s, 0, 1, 0))(image),
    "translate_y": lambda image, s: affine((1, 0, 0, 0, 1, s))(image),
    "rotate": lambda image, s: image.rotate(s, fillcolor=FILL),
}


def images(size=32):
    """Noise, smooth images of few values, one of a single value, black and white."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(20, 200, size)[None, :, None] + np.linspace(0, 40, size)[:, None, None]
    made = [rng.integers(0, 256, (size, size, 3)) for _ in range(3)]
    made += [np.broadcast_to(ramp, (size, size, 3)) + rng.integers(0, 9, 3) for _ in range(3)]
    made += [rng.integers(100, 104, (size, size, 3)), np.full((size, size, 3), 77)]
    made += [np.zeros((size, size, 3)), np.full((size, size, 3), 255)]
    return [Image.fromarray(array.astype(np.uint8)) for array in made]


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operations_are_pillow_s(name, sign, level):
    given = images()
    batch = torch.stack([tensor(image) for image in given])
    levels = torch.full((len(given),), level)
    strength = STRENGTHS[name](levels, torch.full((len(given),), sign), 32)
    found = OPERATIONS[name](batch.clone(), strength)
    expected = torch.stack([tensor(PILLOW[name](image, float(strength[0]))) for image in given])
    different = (found != expected).flatten(1).sum(1)
    assert different.tolist() == [0] * len(given)


def test_the_ranges_are_the_paper_s():
    nine, plus = torch.tensor([9]), torch.tensor([1.0])
    top = {name: float(strength(nine, plus, 331)) for name, strength in STRENGTHS.items()}
    assert top["shear_x"] == top["shear_y"] == pytest.approx(0.3)
    assert top["translate_x"] == top["translate_y"] == 150
    assert top["rotate"] == pytest.approx(30)
    assert top["solarize"] == pytest.approx(0, abs=1e-4)
    assert top["posterize"] == 4
    assert top["color"] == top["brightness"] == top["contrast"] == top["sharpness"] == pytest.approx(1.9)


def test_every_image_draws_its_own_pair_with_its_probabilities(monkeypatch):
    seen = []

    def noted(name):
        def note(x, strength):
            seen.extend((name, round(float(value), 4)) for value in strength)
            return x

        return note

    monkeypatch.setattr(autoaugment, "OPERATIONS", {name: noted(name) for name in OPERATIONS})
    count = 100_000
    auto_augment(torch.zeros(count, 3, 1, 1), torch.Generator().manual_seed(1))
    for name in OPERATIONS:
        expected = sum(step[1] for pair in POLICY for step in pair if step[0] == name) / len(POLICY)
        share = sum(found == name for found, _ in seen) / count
        assert share == pytest.approx(expected, abs=5 * np.sqrt(max(expected, 1e-9) / count) + 1e-9)
    turned = [value for found, value in seen if found == "rotate"]
    assert {abs(value) for value in turned} == {round(30 / 9 * 2, 4)}
    assert np.mean(np.array(turned) > 0) == pytest.approx(0.5, abs=0.05)


def test_the_generator_alone_decides_and_the_input_stays():
    x = torch.randint(0, 256, (64, 3, 32, 32)).float()
    before = x.clone()
    first, second = (auto_augment(x, torch.Generator().manual_seed(5)) for _ in range(2))
    torch.manual_seed(9)
    assert torch.equal(first, second)
    assert torch.equal(x, before)
    assert not torch.equal(first, x)
    assert first.min() >= 0
    assert first.max() <= 255
    assert torch.equal(first, first.round())


def photographs(count=8):
    x = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)
    part = Split(x, torch.arange(count))
    return Dataset("photographs", part, part, part, classes=count, frames=False, mean=(7.0, 8.0, 9.0))


def test_cutout_hides_one_square_a_picture():
    x = torch.randint(10, 256, (500, 3, 32, 32)).float()
    out = random_cutout(x, 8, (7.0, 8.0, 9.0), torch.Generator().manual_seed(0))
    hidden = (out != x).any(1)
    assert torch.equal(out.permute(0, 2, 3, 1)[hidden], torch.tensor([7.0, 8.0, 9.0]).expand(hidden.sum(), 3))
    sizes = set()
    for mask in hidden:
        rows, columns = mask.any(1).sum().item(), mask.any(0).sum().item()
        assert mask.sum() == rows * columns
        sizes |= {rows, columns}
    assert sizes == {4, 5, 6, 7, 8}
    assert hidden.float().mean() == pytest.approx((8 * 30 / 32 / 32) ** 2, rel=0.05)


def test_a_run_chooses_its_augmentation_step_by_step():
    dataset = photographs()
    x = dataset.train.x.float()

    def made(**options):
        change = with_augmentation(
            dataset, **({"own": True, "auto": False, "cutout": None} | options)
        ).augment
        return None if change is None else change(x, torch.Generator().manual_seed(3))

    assert made() is None
    generator = torch.Generator().manual_seed(3)
    both = random_cutout(auto_augment(x, generator), 8, dataset.mean, generator)
    assert torch.equal(made(auto=True, cutout=8), both)


@pytest.mark.parametrize("options", [{"auto_augment": True}, {"cutout": 4}])
def test_digits_are_no_photographs(options, tmp_path):
    with pytest.raises(BadInput, match=f"`{next(iter(options))}` for digits"):
        Run(validate({"data": "digits", **options}), tmp_path / "run")
    assert not list(tmp_path.iterdir())
