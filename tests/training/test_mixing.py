"""Mixup and CutMix: parts of labels are parts of images, exactly; parts follow their distribution."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install '.[train]'")

from archc.recipe import Recipe
from archc.training.augment import mix


def mixed(recipe: Recipe, count: int = 64, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images whose every value is their class, before and after."""
    labels = torch.arange(count) % 8
    images = labels.float()[:, None, None, None].expand(count, 1, 14, 18).clone()
    found, parts = mix(images, labels, 8, recipe, torch.Generator().manual_seed(seed))
    return images, labels, found, parts


def test_mixup_mixes_labels_as_images() -> None:
    _, labels, found, parts = mixed(Recipe(mixup=0.4))
    assert torch.allclose(parts.sum(1), torch.ones(64), atol=1e-6) and (parts >= 0).all()
    assert torch.allclose(found[:, 0, 3, 3], parts @ torch.arange(8.0), atol=1e-5)
    assert (parts.gather(1, labels[:, None]) > 0).float().mean() > 0.9 and (parts > 0).sum(1).max() == 2


def test_cutmix_labels_are_areas() -> None:
    _, labels, found, parts = mixed(Recipe(cutmix=1.0))
    for n in range(64):
        counted = torch.bincount(found[n].flatten().long(), minlength=8) / (14 * 18)
        assert torch.allclose(parts[n], counted, atol=1e-6)
        other = found[n, 0] != labels[n]
        assert other.sum() == other.any(1).sum() * other.any(0).sum()  # a rectangle
    assert torch.allclose(parts.sum(1), torch.ones(64), atol=1e-6)


def test_mixtures_follow_their_distribution() -> None:
    """Beta(a, a) has the mean 1/2 and the variance 1/(4(2a + 1))."""
    kept = torch.cat([1 - abs(mixed(Recipe(mixup=0.4), 2000, seed)[3].max(1).values - 1) for seed in range(4)]).double()
    exact = np.random.default_rng(0).beta(0.4, 0.4, 200_000)
    differ = kept[kept < 1]  # without pairs of one class
    assert abs(differ.mean().item() - np.maximum(exact, 1 - exact).mean()) < 0.02
    ways = [bool((mixed(Recipe(mixup=0.2, cutmix=1.0), 64, seed)[2] % 1 == 0).all()) for seed in range(60)]
    assert 15 < sum(ways) < 45  # cutmix keeps values whole


def test_mixtures_repeat_with_the_generator_and_are_nothing_without() -> None:
    recipe = Recipe(mixup=0.2, cutmix=1.0)
    assert torch.equal(mixed(recipe, seed=4)[2], mixed(recipe, seed=4)[2])
    assert not torch.equal(mixed(recipe, seed=4)[2], mixed(recipe, seed=5)[2])
    images, labels, found, parts = mixed(Recipe())
    assert torch.equal(images, found) and torch.equal(labels, parts)
