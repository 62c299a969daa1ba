"""Augmentation: each change against pillow's, numpy's or torch's own, draws against their distribution, labels and areas exactly."""

from __future__ import annotations

import colorsys
import sys
from collections import Counter
from math import log
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install '.[train]'")
from PIL import Image, ImageEnhance, ImageOps
from torch.nn import functional as F

from archc.data import Normalization
from archc.recipe import Part
from archc.recipe.tables import AUGMENTATIONS
from archc.training.augment import Augmentation, color, geometry
from archc.training.augment.augmentation import KINDS
from archc.training.augment.randaugment import CHANGES, randaugment
from archc.training.augment.random_draws import Draws

PLAIN = Normalization((0.0,) * 3, (1.0,) * 3)
OPTIONS = {name: choice.defaults() for name, choice in AUGMENTATIONS.items()}
OPTIONS["color_jitter"] = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def photos(count: int = 6, height: int = 20, width: int = 26, channels: int = 3) -> np.ndarray:
    """Smooth color with noise, uint8 [N, C, H, W]."""
    generator = np.random.default_rng(5)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x * a + y * b + c) for a, b, c in generator.uniform(0.05, 0.4, (count * channels, 3))]
    values = 128 + 90 * np.stack(waves) + generator.normal(0, 6, (count * channels, height, width))
    return np.clip(values, 0, 255).astype(np.uint8).reshape(count, channels, height, width)


def unit(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).float() / 255


def pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def array(image: Image.Image) -> np.ndarray:
    found = np.asarray(image)
    return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)


def off(found: torch.Tensor, wanted: list[Image.Image]) -> np.ndarray:
    """By how many of 255 levels values differ."""
    return np.abs(found.numpy() * 255 - np.stack([array(one) for one in wanted]).astype(float))


# what pillow gives is rounded to whole levels, once or twice
ENHANCED = [(color.brightness, ImageEnhance.Brightness, 1), (color.saturation, ImageEnhance.Color, 2),
            (color.contrast, ImageEnhance.Contrast, 2), (color.sharpness, ImageEnhance.Sharpness, 2)]  # fmt: skip


@pytest.mark.parametrize(("change", "theirs", "most"), ENHANCED)
@pytest.mark.parametrize("channels", [1, 3])
def test_enhancements_are_pillows(change, theirs, most: float, channels: int) -> None:
    images = photos(channels=channels)
    factors = np.array([0.0, 0.1, 0.7, 1.0, 1.4, 1.9])
    wanted = [theirs(pillow(image)).enhance(factor) for image, factor in zip(images, factors, strict=True)]
    assert off(change(unit(images), factors), wanted).max() <= most


def test_posterize_solarize_and_equalize_are_pillows_exactly() -> None:
    images = photos()
    images[0] = images[0] // 40 * 40  # few levels
    images[1] = 77
    bits, thresholds = np.array([1, 2, 3, 4, 7, 8]), np.array([0.0, 50, 128, 200.5, 255, 256])
    pairs = list(zip(images, bits, thresholds, strict=True))
    assert off(color.posterize(unit(images), bits), [ImageOps.posterize(pillow(one), int(b)) for one, b, _ in pairs]).max() < 1e-3
    assert off(color.solarize(unit(images), thresholds), [ImageOps.solarize(pillow(one), t) for one, _, t in pairs]).max() < 1e-3
    assert off(color.equalize(unit(images)), [ImageOps.equalize(pillow(one)) for one in images]).max() < 1e-3
    assert off(color.autocontrast(unit(images)), [ImageOps.autocontrast(pillow(one)) for one in images]).max() < 1.001  # it cuts off


def test_hue_is_that_of_the_standard_library() -> None:
    images, turns = photos(4, 5, 5), np.array([-0.5, -0.1, 0.0, 0.3])
    images[0, :, 0, 0] = 40  # grey stays
    found = color.hue(unit(images), turns)
    for n, i, j in np.ndindex(4, 5, 5):
        h, s, v = colorsys.rgb_to_hsv(*(images[n, :, i, j] / 255))
        assert np.allclose(found[n, :, i, j], colorsys.hsv_to_rgb((h + turns[n]) % 1, s, v), atol=1e-5)


def test_rotation_is_pillows() -> None:
    images, degrees = photos(5, 31, 24), np.array([-30.0, -7.5, 0.0, 12.0, 90.0])
    found = geometry.rotate(unit(images), degrees)
    wanted = [pillow(image).rotate(d, Image.Resampling.BILINEAR) for image, d in zip(images, degrees, strict=True)]
    differ = off(found, wanted)
    differ[np.stack([array(one) for one in wanted]) == 0] = 0  # pillow ends at half a pixel, where this fades into black
    assert np.median(differ) < 0.6 and (differ > 2).mean() < 0.09
    inner = differ[:, :, 8:-8, 8:-8]
    assert inner.max() <= 1.01
    assert off(found[2:3], [pillow(images[2])]).max() < 1e-3


def test_quarter_turns_are_exact() -> None:
    images = photos(4, 16, 16)
    found = geometry.rotate(unit(images), np.array([0.0, 90.0, 180.0, -90.0]))
    for n, turns in enumerate((0, 1, 2, 3)):
        assert np.allclose(found[n], np.rot90(images[n] / 255, turns, axes=(1, 2)), atol=1e-4)


def test_shear_is_pillows() -> None:
    images = photos(2, 21, 21)
    found = geometry.shear(unit(images), np.array([0.3, 0.0]), np.array([0.0, -0.2]))
    forms = [(1, 0.3, -0.3 * 10.5, 0, 1, 0), (1, 0, 0, -0.2, 1, 0.2 * 10.5)]
    pairs = zip(images, forms, strict=True)
    wanted = [pillow(image).transform((21, 21), Image.Transform.AFFINE, form, Image.Resampling.BILINEAR) for image, form in pairs]
    assert off(found, wanted)[:, :, 5:-5, 5:-5].max() <= 1.01


def test_flips_crops_and_moves_are_numpys() -> None:
    images = photos(40)
    for change, axis in ((geometry.flip, 2), (geometry.vertical_flip, 1)):
        found = change(unit(images), Draws(0, 0, 40), 0.5)
        turned = [bool(np.allclose(one, np.flip(image, axis) / 255)) for one, image in zip(found, images, strict=True)]
        same = [bool(np.allclose(one, image / 255)) for one, image in zip(found, images, strict=True)]
        assert [a != b for a, b in zip(turned, same, strict=True)] == [True] * 40 and 8 < sum(turned) < 32
    padded = np.pad(images, ((0, 0), (0, 0), (3, 3), (3, 3)))
    draws = Draws(1, 0, 40)
    tops, lefts = draws.below(7), draws.below(7)
    found = geometry.crop(unit(images), Draws(1, 0, 40), 3, (20, 26))
    wanted = [one[:, top : top + 20, left : left + 26] for one, top, left in zip(padded, tops, lefts, strict=True)]
    assert torch.equal(found, unit(np.stack(wanted)))
    down, right = np.arange(40) % 9 - 4, np.arange(40) % 11 - 5
    found = geometry.shift_pixels(unit(images), down, right)
    for one, image, y, x in zip(found, images, down, right, strict=True):
        wide = np.pad(image, ((0, 0), (9, 9), (9, 9)))
        assert torch.equal(one, unit(wide[:, 9 - y : 29 - y, 9 - x : 35 - x]))


@pytest.mark.parametrize(("of", "size"), [((20, 26), (20, 26)), ((40, 44), (16, 24)), ((16, 16), (33, 31))])
def test_resized_crops_are_torchs(of: tuple[int, int], size: tuple[int, int]) -> None:
    images = unit(photos(30, *of))
    found = geometry.random_resized_crop(images, Draws(3, 1, 30), (0.08, 1.0), (0.75, 4 / 3), size)
    top, left, high, wide, drawn = geometry.boxes(Draws(3, 1, 30), *of, (0.08, 1.0), (0.75, 4 / 3))
    assert drawn.all()
    for n in range(30):
        piece = images[n : n + 1, :, top[n] : top[n] + high[n], left[n] : left[n] + wide[n]]
        wanted = F.interpolate(piece, size, mode="bilinear", align_corners=False, antialias=True)
        assert torch.allclose(found[n : n + 1], wanted, atol=1e-5)


def test_boxes_have_the_areas_and_ratios_that_were_asked_for() -> None:
    top, left, high, wide, drawn = geometry.boxes(Draws(0, 0, 20_000), 200, 300, (0.1, 0.6), (0.5, 2.0))
    assert drawn.all() and (top >= 0).all() and (left >= 0).all() and (top + high <= 200).all() and (left + wide <= 300).all()
    areas, ratios = high * wide / 60_000, np.log(wide / high)
    assert 0.098 < areas.min() < 0.11 and 0.55 < areas.max() < 0.605
    assert abs(ratios).max() < log(2) + 0.03 and abs(ratios.mean()) < 0.1
    for start, room in ((top, 201 - high), (left, 301 - wide)):
        fifths = ((start[room > 50] + 0.5) * 5 / room[room > 50]).astype(int)
        assert abs(np.bincount(fifths) / len(fifths) - 0.2).max() < 0.02
    _, _, _, _, none = geometry.boxes(Draws(0, 0, 50), 10, 1000, (0.9, 1.0), (1.0, 1.1))
    assert not none.any()
    thin = unit(photos(3, 10, 60))
    found = geometry.random_resized_crop(thin, Draws(0, 0, 3), (0.9, 1.0), (1.0, 1.1), (10, 11))
    assert torch.allclose(found, thin[:, :, :, 24:35], atol=1e-6)  # the largest in the middle


def test_erased_rectangles() -> None:
    images = torch.ones(4000, 1, 30, 30)
    found = geometry.random_erasing(images, Draws(0, 0, 4000), 0.25, (0.02, 0.33), (0.3, 3.3), torch.tensor([[[0.5]]]))
    gone = (found == 0.5)[:, 0]
    assert set(found.unique().tolist()) == {0.5, 1.0} and abs(gone.any((1, 2)).float().mean().item() - 0.25) < 0.03
    for one in gone[gone.any((1, 2))]:
        rows, columns = one.any(1), one.any(0)
        assert one.sum() == rows.sum() * columns.sum()  # a rectangle
        assert 0.015 * 900 < one.sum() < 0.36 * 900


def test_jitter_within_its_strengths() -> None:
    """Brightness alone multiplies; each strength of 0 does nothing; the orders of two changes both come."""
    images = torch.full((3000, 3, 2, 2), 0.5)
    found = jittered(images, brightness=0.4)[:, 0, 0, 0] / 0.5
    assert 0.6 <= found.min() < 0.605 and 1.395 < found.max() <= 1.4 and abs(found.mean() - 1) < 0.02
    colored = unit(photos(60))
    both = jittered(colored, contrast=0.9, brightness=0.9)
    draws = Draws(0, 0, 60)
    bright, contrasted = draws.uniform(0.1, 1.9), draws.uniform(0.1, 1.9)
    ways = [
        color.contrast(color.brightness(colored, bright), contrasted),
        color.brightness(color.contrast(colored, contrasted), bright),
    ]
    which = [[torch.allclose(one, way[n], atol=1e-6) for way in ways] for n, one in enumerate(both)]
    assert all(map(any, which)) and min(sum(column) for column in zip(*which, strict=True)) > 15


def jittered(images: torch.Tensor, **strengths: float) -> torch.Tensor:
    return color.color_jitter(
        images, Draws(0, 0, len(images)), **dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0) | strengths
    )


def test_randaugment_draws_each_change_as_often() -> None:
    """One change of each image, told apart by what it makes of it."""
    one = unit(photos(1, 24, 24))
    images = one.expand(2800, 3, 24, 24)
    found = randaugment(images, Draws(0, 0, 2800), 1, 15.0)
    known = {}
    for name, change in CHANGES.items():
        for sign in (-1.0, 1.0):
            known.setdefault(change(one, np.array([sign * 0.5])).numpy().tobytes(), name)
    counts = Counter(known[image[None].numpy().tobytes()] for image in found)
    assert set(counts) == set(CHANGES) and all(140 < count < 265 for count in counts.values()), counts


def test_the_strongest_changes_are_torchvisions() -> None:
    """Its documented ranges: 30 degrees, shears of 0.3, moves of 150/331, factors 0.1 and 1.9, 4 bits, threshold 0."""
    image = photos(1, 33, 33)
    one, most = unit(image), np.array([1.0])
    assert torch.equal(CHANGES["rotate"](one, most), geometry.rotate(one, np.array([30.0])))
    assert torch.equal(CHANGES["translate_x"](one, most), geometry.shift_pixels(one, np.array([0]), np.array([14])))
    assert off(CHANGES["posterize"](one, most), [ImageOps.posterize(pillow(image[0]), 4)]).max() < 1e-3
    assert off(CHANGES["solarize"](one, most), [ImageOps.solarize(pillow(image[0]), 0)]).max() < 1e-3
    assert off(CHANGES["color"](one, -most), [ImageEnhance.Color(pillow(image[0])).enhance(0.1)]).max() <= 2


# Draws


def test_draws_are_uniform_and_independent() -> None:
    draws = Draws(0, 0, 200_000)
    first, second = draws.uniform(), draws.uniform()
    for one in (first, second, Draws(0, 1, 200_000).uniform(), Draws(1, 0, 200_000).uniform()):
        counts = np.bincount((one * 100).astype(int), minlength=100)
        assert ((counts - 2000) ** 2 / 2000).sum() < 160  # chi-squared, 99 degrees of freedom: beyond 160 one in 10,000
        assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01 and abs(np.corrcoef(first, Draws(0, 1, 200_000).uniform())[0, 1]) < 0.01
    assert np.bincount(Draws(0, 0, 60_000).below(6)).min() > 9600
    assert set(map(tuple, Draws(0, 0, 500).order(3).T)) == {(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)}


def test_splitmix_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first outputs for seed 0 of the reference implementation (Vigna, prng.di.unimi.it): with the key 0 a draw is the next."""
    monkeypatch.setattr(sys.modules[Draws.__module__], "sha256", lambda _: SimpleNamespace(digest=lambda: bytes(32)))
    reference = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC)
    assert Draws(0, 0, 4).uniform().tolist() == [(one >> 11) * 2.0**-53 for one in reference]


@pytest.mark.parametrize("name", KINDS)
def test_a_step_is_repeated_and_no_two_are_alike(name: str) -> None:
    assert set(KINDS) == set(AUGMENTATIONS)
    images = torch.from_numpy(photos(16))
    augment = Augmentation((Part(name, OPTIONS[name]),), PLAIN, 3)
    first = augment(images, 5, True)
    torch.manual_seed(9)
    assert torch.equal(first, Augmentation((Part(name, OPTIONS[name]),), PLAIN, 3)(images, 5, True))
    assert not torch.equal(first, augment(images, 6, True))
    assert not torch.equal(first, Augmentation((Part(name, OPTIONS[name]),), PLAIN, 4)(images, 5, True))
    assert torch.equal(augment(images, 5, False), images.float() / 255)
    assert first.min() >= -1e-6 and first.max() <= 1 + 1e-6 and first.shape == images.shape


@pytest.mark.parametrize("name", KINDS)
def test_processes_draw_what_one_would(name: str) -> None:
    images = torch.from_numpy(photos(12))
    parts = (Part(name, OPTIONS[name]), Part("flip", {"p": 0.5}))
    alone = Augmentation(parts, PLAIN, 0)(images, 2, True)
    for rank in range(3):
        assert torch.allclose(Augmentation(parts, PLAIN, 0, rank, 3)(images[rank::3], 2, True), alone[rank::3], atol=1e-6)


def test_each_image_has_its_own_draw() -> None:
    images = torch.from_numpy(photos(1)).expand(24, 3, 20, 26)
    for name, options in OPTIONS.items():
        found = Augmentation((Part(name, options),), PLAIN, 0)(images, 0, True)
        assert len({one.numpy().tobytes() for one in found}) >= 2 + 6 * (name not in ("flip", "vertical_flip")), name


def test_normalization_and_size() -> None:
    images = torch.from_numpy(photos(4, 24, 24))
    normal = Normalization((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    found = Augmentation((), normal, 0)(images, 0, True)
    wanted = (images.numpy() / 255 - np.array(normal.mean)[:, None, None]) / np.array(normal.std)[:, None, None]
    assert np.allclose(found, wanted, atol=1e-5)
    assert torch.equal(Augmentation((), PLAIN, 0, size=(20, 16))(images, 0, False), images[:, :, 2:22, 4:20].float() / 255)
    for part in (Part("crop", {"padding": 2}), Part("random_resized_crop", OPTIONS["random_resized_crop"]), Part("flip", {"p": 1.0})):
        assert Augmentation((part,), PLAIN, 0, size=(20, 16))(images, 0, True).shape == (4, 3, 20, 16)
    assert Augmentation((), PLAIN, 0, size=(30, 48))(images, 0, False).shape == (4, 3, 30, 48)
    assert torch.equal(Augmentation((), PLAIN, 0)(images.float() / 255, 0, False), images.float() / 255)
