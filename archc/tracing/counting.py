"""MACs of a step that no operator describes, by torch's own counter."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

# Beside pointwise functions and views: what has no multiply-accumulates, and is not marked as such by torch.
MOVING = frozenset(
    """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _cudnn_init_dropout_state _local_scalar_dense _log_softmax _native_batch_norm_legit
    _native_batch_norm_legit_no_training _reshape_alias _safe_softmax _softmax _softmax_backward_data _to_copy _unsafe_index
    _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa adaptive_max_pool2d alias all amax amin aminmax any arange argmax
    argmin argsort as_strided avg_pool1d avg_pool2d avg_pool3d bernoulli bernoulli_ bincount bucketize cartesian_prod cat
    channel_shuffle clone col2im constant_pad_nd contiguous copy_ cumprod cumsum detach diag_embed diagonal embedding empty
    empty_like empty_strided expand fill_ flip full full_like gather glu grid_sampler_2d histc im2col index index_put index_put_
    index_select is_same_size isin item kthvalue lift_fresh lift_fresh_copy linalg_vector_norm linspace logcumsumexp logsumexp
    masked_fill masked_scatter max max_pool2d_with_indices max_pool3d_with_indices mean median meshgrid min mode nanmean nansum
    native_batch_norm native_channel_shuffle native_dropout native_group_norm native_layer_norm new_empty new_full new_ones
    new_zeros nonzero norm one_hot ones ones_like permute pixel_shuffle pixel_unshuffle prod rand rand_like randn reflection_pad1d
    reflection_pad2d repeat replication_pad1d replication_pad2d replication_pad3d reshape resize_ roll scalar_tensor scatter
    searchsorted select set_ slice sort split squeeze stack std std_mean sum swapaxes sym_numel sym_size sym_storage_offset
    sym_stride t topk transpose tril tril_indices triu triu_indices unbind unfold unique unsqueeze upsample_bicubic2d
    upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_nearest_exact2d
    upsample_trilinear3d var var_mean view where zero_ zeros zeros_like
    """.split()  # noqa: SIM905
)


class _Unknown(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes whether a function was called of whose work the counter knows nothing."""

    def __init__(self, counted: Container[Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counted = counted
        self.found = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = (
            func._overloadpacket in self.counted
            or torch.Tag.pointwise in func.tags
            or func.is_view
            or func._overloadpacket.__name__ in MOVING
        )
        self.found = self.found or not known
        return func(*args, **(kwargs or {}))


def count_macs(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], written: Sequence[Tensor]) -> int | None:
    """The MACs of a call, of all images; None where the counter cannot tell. The call is made once more, on copies of what it writes."""
    from torch.utils.flop_counter import FlopCounterMode, flop_registry  # a second of imports, for opaque steps alone

    if written:
        ids = {id(tensor) for tensor in written}
        args, kwargs = tree_map_only(Tensor, lambda one: one.clone() if id(one) in ids else one, (tuple(args), kwargs))
    counter, unknown = FlopCounterMode(display=False), _Unknown(flop_registry)
    try:
        with counter, unknown:
            func(*args, **kwargs)
    except Exception:  # of a function that cannot be called twice
        return None
    flops = counter.get_total_flops()
    return None if unknown.found or flops % 2 else flops // 2
