"""What is seen inside networks, against the definitions: completeness, conservation, brute force over images, perturbed pixels."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("captum")
pytest.importorskip("PIL")

import torch.nn.functional as F

import archc
from archc.data import open_data
from archc.inspect.attribution import gradcam, integrated_gradients, lrp
from archc.inspect.examples import seen, strongest
from archc.inspect.layers import LookError, first_convolution, last_maps, outputs, place
from archc.inspect.maximize import maximize, response, visible
from archc.inspect.sheet import filters
from archc.recipe import Data

CHAIN = """
name: chain
input: [3, 17, 17]
layers:
  - conv: {channels: 5, kernel: 3, bias: false}
  - batchnorm
  - relu
  - maxpool: {kernel: 2}
  - conv: {channels: 7, kernel: 3, padding: 1, stride: 2, bias: false}
  - silu
  - global_avgpool
  - flatten
  - linear: {features: 4, bias: false}
"""

ADDED = "input: [3, 9, 9]\nlayers:\n  - add: [[{conv: 3}, relu], []]\n  - global_avgpool\n  - flatten\n  - linear: 4\n"


def network(text: str = CHAIN, seed: int = 0):
    torch.manual_seed(seed)
    graph = archc.loads(text)
    return graph, archc.build(graph).eval()


@pytest.fixture(scope="module")
def lenet():
    torch.manual_seed(1)
    graph = archc.load("lenet5")
    return graph, archc.build(graph).eval()


@pytest.fixture(scope="module")
def digits():
    return open_data(Data(), (1, 28, 28), 0)


def prepare(images):
    return images.float() / 255


def test_relevance_is_conserved():
    graph, module = network()
    image = torch.randn(1, 3, 17, 17)
    found = lrp(graph, module, image, 2)
    assert found.shape == (17, 17)
    assert found.sum().item() == pytest.approx(module(image)[0, 2].item(), rel=1e-4)


def test_integrated_gradients_are_complete(lenet):
    graph, module = lenet
    image = torch.randn(1, 1, 28, 28)
    score, start = module(image)[0, 7].item(), module(torch.zeros_like(image))[0, 7].item()
    assert integrated_gradients(graph, module, image, 7).sum().item() == pytest.approx(score - start, abs=1e-3)


def test_gradcam_is_its_formula(lenet):
    graph, module = lenet
    image = torch.randn(1, 1, 28, 28)
    layer = last_maps(graph, module)
    assert layer.node.name == "conv2"
    with outputs(layer.module) as caught:
        score = module(image)[0, 4]
    maps = caught[0]
    weights = torch.autograd.grad(score, maps)[0].mean((2, 3), keepdim=True)
    expected = F.interpolate((weights * maps).sum(1, keepdim=True).relu(), (28, 28), mode="bilinear")[0, 0]
    assert torch.allclose(gradcam(graph, module, image, 4), expected, atol=1e-6)


def test_relevance_is_refused_where_captum_would_count_it_twice():
    graph, module = network(seed=0, text=ADDED)
    with pytest.raises(LookError, match="use gradcam or integrated"):
        lrp(graph, module, torch.randn(1, 3, 32, 32), 0)


def test_climbing_beats_every_image(lenet, digits):
    """The found input excites its unit more than any image of the set does, and noise."""
    _, module = lenet
    at = place(*lenet, "conv2.3")
    found, reached = maximize(module, at, [3], (1, 28, 28), steps=60)
    images, _ = digits.train.read(range(len(digits.train)))
    shown = prepare(torch.from_numpy(images))
    most = torch.stack([response(module, at, [3], one[None])[0] for one in shown[:200]]).max().item()
    noise = response(module, at, [3], torch.randn(1, 1, 28, 28) * found.std())[0].item()
    assert reached[0].item() > max(most, noise)


def test_climbing_is_repeatable_and_visible(lenet, digits):
    _, module = lenet
    at = place(*lenet, "fc2")
    first, second = (maximize(module, at, [0, 5], (1, 28, 28), seed=3, steps=5)[0] for _ in range(2))
    assert torch.equal(first, second)
    pixels = visible(first, digits.normalization)
    assert pixels.dtype == torch.uint8 and pixels.amin((1, 2, 3)).tolist() == [0, 0] and pixels.amax((1, 2, 3)).tolist() == [255, 255]


@pytest.mark.parametrize("where", ["conv2.5", "fc1.7"])
def test_examples_are_the_strongest_of_all(lenet, digits, where):
    _, module = lenet
    at = place(*lenet, where)
    (found,) = strongest(module, at, [at.unit], digits.validation, prepare, 5)
    every = []
    for index in range(len(digits.validation)):
        images, _ = digits.validation.read([index])
        with outputs(at.module) as caught, torch.no_grad():
            module(prepare(torch.from_numpy(images)))
        every.append((caught[0][0, at.unit].max().item(), index))
    every.sort(key=lambda one: (-one[0], one[1]))
    assert [one.index for one in found] == [index for _, index in every[:5]]
    assert [one.response for one in found] == pytest.approx([value for value, _ in every[:5]], rel=1e-5)


def test_a_unit_sees_what_is_in_its_frame_and_nothing_else(lenet):
    graph, module = lenet
    at = place(graph, module, "conv2.5")
    position = (4, 0)
    left, top, right, bottom = seen(graph, at, position, (28, 28))
    image = torch.rand(1, 1, 28, 28, requires_grad=True)
    with outputs(at.module) as caught:
        module(image)
    (touched,) = torch.autograd.grad(caught[0][0, 5, *position], image)
    rows, columns = (touched[0, 0] != 0).nonzero().T
    assert left <= columns.min() and columns.max() < right and top <= rows.min() and rows.max() < bottom
    assert (bottom - top, right - left) == (14, 14)  # of conv, pool, conv with kernels 5, 2, 5: 5 + 1 + 4 * 2


def test_filters_are_grey_at_zero():
    graph, module = network()
    at = first_convolution(graph, module)
    pixels = filters(at)
    assert pixels.shape == (5, 3, 3, 3) and pixels.dtype == torch.uint8
    signs = torch.sign(at.module.weight.detach())
    assert bool(((pixels.float() - 127.5) * signs >= -0.5).all())


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("conv9", 'no layer is called "conv9"; did you mean "conv1" or "conv2"?'),
        ("conv2.16", "conv2 has 16 units, 0 to 15; there is no 16"),
        ("conv2.99999999999999999999", "no layer is called"),
        ("", "no layer is called"),
    ],
)
def test_names_that_are_not_there(lenet, where, told):
    with pytest.raises(LookError) as caught:
        place(*lenet, where)
    assert told.split("; did")[0] in str(caught.value)


def test_a_line_of_forward_is_no_module():
    graph, module = network(ADDED)
    name = next(node.name for node in graph.nodes if node.kind == "add")
    with pytest.raises(LookError, match="is a line of forward, not a module"):
        place(graph, module, name)


def test_networks_without_convolutions():
    graph, module = network("input: [3, 8, 8]\nlayers: [flatten, linear: 4]\n")
    with pytest.raises(LookError, match="no filters"):
        first_convolution(graph, module)
    with pytest.raises(LookError, match="Grad-CAM"):
        last_maps(graph, module)
