"""Which pixels speak for a class: Grad-CAM, integrated gradients and layer-wise relevance, as captum computes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from captum.attr import LRP, IntegratedGradients, LayerAttribution, LayerGradCam
from captum.attr._utils.lrp_rules import EpsilonRule, IdentityRule
from torch import Tensor, nn

from archc.codegen.lowering import lower
from archc.graph import Graph
from archc.inspect.layers import LookError, last_maps, place
from archc.runtime.build.build import after_passes

STEPS = 64  # points on the way from the baseline, in integrated gradients
_KNOWN = (nn.ReLU, nn.Dropout, nn.Tanh)  # captum hands relevance through these by itself
_POINTWISE = (nn.Identity, nn.ReLU6, nn.Sigmoid, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish, nn.Softplus)
_POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.MaxPool2d, nn.AdaptiveMaxPool2d)
_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Flatten, *_POOLS)
_JOINING = ("add", "mul", "average", "attention", "matmul", "layer_scale")


def gradcam(graph: Graph, module: nn.Module, image: Tensor, target: int, layer: str = "") -> Tensor:
    """[H, W], not negative: where the maps of a layer speak for a class (Selvaraju et al., ICCV 2017).

    image: [1, C, H, W] as the network takes it; layer: the last one that gives maps, unless named. Raises LookError.
    """
    at = place(graph, module, layer) if layer else last_maps(graph, module)
    if len(at.node.output.shape) != 3:
        raise LookError(f"{at.node.name} gives no maps, which Grad-CAM needs")
    found = LayerGradCam(module, at.module).attribute(image, target=target, relu_attributions=True)
    shown: Tensor = LayerAttribution.interpolate(found, tuple(image.shape[2:]), "bilinear")
    return shown[0, 0].detach().cpu()


def integrated_gradients(graph: Graph, module: nn.Module, image: Tensor, target: int, layer: str = "") -> Tensor:
    """[H, W], of both signs: gradients along the way from an image of zeros, the mean training pixel (Sundararajan et al., ICML 2017)."""
    found: Tensor = IntegratedGradients(module).attribute(
        image, torch.zeros_like(image), target=target, n_steps=STEPS, internal_batch_size=STEPS
    )
    return found[0].sum(0).detach().cpu()


def lrp(graph: Graph, module: nn.Module, image: Tensor, target: int, layer: str = "") -> Tensor:
    """[H, W], of both signs: the score handed down layer by layer, by the epsilon rule (Bach et al., PLoS ONE 2015).

    Batch normalization is folded first. Raises LookError where layers are added or multiplied: there captum keeps no relevance.
    """
    chain = _chain(graph, module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Tensor = LRP(chain).attribute(image, target=target)
    return found[0].sum(0).detach().cpu()


METHODS: dict[str, Callable[[Graph, nn.Module, Tensor, int, str], Tensor]] = {
    "gradcam": gradcam,
    "integrated": integrated_gradients,
    "lrp": lrp,
}


def _chain(graph: Graph, module: nn.Module) -> nn.Module:
    """The network for LRP: folded, nothing in place, each layer with its rule."""
    lowered = lower(graph.deployed(), "inference")
    _require_chain(lowered.graph)
    chain = after_passes(module, lowered).eval()
    for name, layer in chain.named_modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False
        if isinstance(layer, _LINEAR):
            layer.rule = EpsilonRule()
        elif isinstance(layer, _POINTWISE):
            layer.rule = IdentityRule()
        elif not list(layer.children()) and not isinstance(layer, _KNOWN):
            raise LookError(f"LRP has no rule for {name} ({type(layer).__name__}): use gradcam or integrated")
    return chain


def _require_chain(graph: Graph) -> None:
    """Raises LookError where relevance would meet: captum counts it twice there."""
    for node in graph.nodes:
        joins = node.kind in _JOINING or (len(node.inputs) > 1 and node.kind != "concat")
        if joins or (node.kind == "concat" and any(len(graph.uses[value]) > 1 for value in node.inputs)):
            message = f"{node.name} ({node.kind}) joins what is used twice"
            raise LookError(f"LRP hands relevance down chains and branches; {message}: use gradcam or integrated")
