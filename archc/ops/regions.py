"""Regions of maps that boxes name: pooled, aligned, and boxes that overlap left out.

torchvision's compiled operators run where it is installed, else the same in plain torch. What either keeps for backward differs, so
that is not stated. Boxes are (x1, y1, x2, y2), as many for each image; no gradient goes to them.
"""

from __future__ import annotations

from archc.ops.facts import Between, Facts, Module, Work, given
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.ops.tracked import plain
from archc.ops.window import axes, short
from archc.signature import Fault, Positive, Probability, Size, Sizes


@op
def roi_pool(x: Shape, boxes: Shape, *, size: Sizes, scale: Positive = 1.0) -> Facts:
    """[C, H, W], [K, 4] -> [K, C, *size]. The largest value in each bin of each box: torchvision.ops.roi_pool (Girshick, Fast R-CNN, 2015).

    A box is first rounded to whole positions. A bin outside of the map is 0.

    size: bins an axis
    scale: positions of the map for one unit of the boxes, as 1/16 for pixels of an image 16 times as large
    """
    out, bins = _regions(x, boxes, size, "roi_pool")
    most = out.values * x[1] * x[2]  # a bin may be the whole map
    return Facts(
        out,
        weights=(),
        macs=0,
        work=Between(0, most),
        stops=(1,),
        torch=_form("RoiPool", _ROI_POOL, bins, scale=(float(scale), 1.0)),
        classic="ROIPOOL",
    )


@op
def roi_align(x: Shape, boxes: Shape, *, size: Sizes, scale: Positive = 1.0, sampling: Size = 2, aligned: bool = False) -> Facts:
    """[C, H, W], [K, 4] -> [K, C, *size]. The mean of each bin of each box, interpolated: torchvision.ops.roi_align.

    He et al., Mask R-CNN, 2017. Nothing is rounded: each bin is sampled at `sampling` x `sampling` points.

    size: bins an axis
    scale: positions of the map for one unit of the boxes, as 1/16 for pixels of an image 16 times as large
    sampling: points an axis in each bin
    aligned: whether boxes are moved by half a position, so that pixels are squares and not points
    """
    out, bins = _regions(x, boxes, size, "roi_align")
    points = sampling * sampling
    return Facts(
        out,
        weights=(),
        macs=0,
        work=Work(multiply=4 * points * out.values, add=(4 * points - 1) * out.values, special=out.values),
        stops=(1,),
        torch=_form(
            "RoiAlign", _ROI_ALIGN, bins, scale=(float(scale), 1.0), sampling=(int(sampling), 2), aligned=(aligned, False)
        ),
        classic="ROIALIGN",
    )  # fmt: skip


@op
def nms(boxes: Shape, scores: Shape, *, most: Size | None = None, threshold: Probability = 0.5) -> Facts:
    """[K, 4], [K] -> [most]. Indices of the boxes that no better one overlaps, the best first, then -1: torchvision.ops.nms.

    How many there are depends on the values; the shape is the most there can be, and operations are counted from the least to the
    most, without those of the sort.

    most: how many indices there are; as many as boxes unless given
    threshold: boxes whose intersection is a larger part of their union overlap
    """
    _boxes(boxes, "nms")
    if tuple(scores) != (boxes[0],):
        raise Fault(None, f"nms of {boxes[0]} boxes needs scores of shape [{boxes[0]}]; these have {list(scores)}")
    count = boxes[0] if most is None else most
    if count > boxes[0]:
        raise Fault("most", f"there are {boxes[0]} boxes", f"at most {boxes[0]}")
    n = boxes[0]
    # for a pair: the corners of the intersection 4, its sides 4, its area, the union 2, the division, the comparison
    return Facts(
        Shape((count,)),
        weights=(),
        macs=0,
        work=Between(13 * (n - 1), 13 * n * (n - 1) // 2),
        keeps=(),
        stops=(0, 1),
        torch=Module("Nms", (plain(count), float(threshold)), {}, "{self}({0}, {1})", _NMS),
        dtypes=("int64",),
        classic="NMS",
    )


def _boxes(boxes: Shape, what: str) -> None:
    if len(boxes) != 2 or boxes[1] != 4:
        raise Fault(None, f"{what} needs boxes [K, 4]; these have shape {list(boxes)}", "x1, y1, x2, y2 for each box")


def _regions(x: Shape, boxes: Shape, size: int | tuple[int, ...], what: str) -> tuple[Shape, tuple[int, ...]]:
    """The output's shape, and the bins of each axis."""
    if len(x) != 3:
        raise Fault(None, f"{what} needs a feature map [C, H, W]; this has shape {list(x)}")
    _boxes(boxes, what)
    bins = axes(size, 2, "size")
    return Shape((boxes[0], x.channels, *bins)), bins


def _form(name: str, source: str, bins: tuple[int, ...], **options: tuple[object, object]) -> Module:
    size = short(tuple(map(int, bins)))
    return Module(name, (size,), given(**options), "{self}({0}, {1})", source)


_ROI_POOL = '''
class RoiPool(nn.Module):
    """The largest value in each bin of each box, by torchvision where it is installed."""

    def __init__(self, size, scale=1.0):
        super().__init__()
        self.size = (size, size) if isinstance(size, int) else size
        self.scale = scale
        try:
            from torchvision import ops

            ops.nms(torch.zeros(0, 4, device="cpu"), torch.zeros(0, device="cpu"), 0.5)
            self.kernel = ops.roi_pool
        except (ImportError, RuntimeError, AttributeError):
            self.kernel = None

    def forward(self, x, boxes):
        boxes = boxes.detach()
        if self.kernel is not None and not x.is_meta:
            return self.kernel(x, list(boxes), self.size, self.scale).unflatten(0, boxes.shape[:2])
        corners = boxes * self.scale
        corners = corners.sign() * (corners.abs() + 0.5).floor()  # halves away from zero
        rows = self.bins(corners[..., 1], corners[..., 3], self.size[0], x.shape[2])
        columns = self.bins(corners[..., 0], corners[..., 2], self.size[1], x.shape[3])
        low = torch.full((), float("-inf"), dtype=x.dtype, device=x.device)
        maxima = [torch.where(rows[:, :, None, i, :, None], x[:, None], low).max(3).values for i in range(self.size[0])]
        x = torch.stack(maxima, 3)
        maxima = [torch.where(columns[:, :, None, None, i], x, low).max(4).values for i in range(self.size[1])]
        x = torch.stack(maxima, 4)
        return torch.where(x == low, torch.zeros_like(x), x)

    def bins(self, first, last, count, size):
        """Which positions of an axis lie in each bin: [images, boxes, bins, positions]."""
        width = (last - first + 1).clamp(min=1)[..., None] / count
        at = torch.arange(count, device=first.device)
        start = ((at * width).floor() + first[..., None]).clamp(0, size)
        end = (((at + 1) * width).ceil() + first[..., None]).clamp(0, size)
        place = torch.arange(size, device=first.device)
        return (place >= start[..., None]) & (place < end[..., None])
'''

_ROI_ALIGN = '''
class RoiAlign(nn.Module):
    """The interpolated mean of each bin of each box, by torchvision where it is installed."""

    def __init__(self, size, scale=1.0, sampling=2, aligned=False):
        super().__init__()
        self.size = (size, size) if isinstance(size, int) else size
        self.scale, self.sampling, self.aligned = scale, sampling, aligned
        try:
            from torchvision import ops

            ops.nms(torch.zeros(0, 4, device="cpu"), torch.zeros(0, device="cpu"), 0.5)
            self.kernel = ops.roi_align
        except (ImportError, RuntimeError, AttributeError):
            self.kernel = None

    def forward(self, x, boxes):
        boxes = boxes.detach()
        if self.kernel is not None and not x.is_meta:
            made = self.kernel(x, list(boxes), self.size, self.scale, self.sampling, self.aligned)
            return made.unflatten(0, boxes.shape[:2])
        low, high = (boxes * self.scale - 0.5 * self.aligned).chunk(2, 2)
        sides = high - low if self.aligned else (high - low).clamp(min=1.0)
        rows = self.points(low[..., 1], sides[..., 1], self.size[0], x.shape[2])
        columns = self.points(low[..., 0], sides[..., 0], self.size[1], x.shape[3])
        total = 0
        for row, height in rows:
            for column, width in columns:
                at = row[..., :, None] * x.shape[3] + column[..., None, :]
                index = at.flatten(1)[:, None].expand(-1, x.shape[1], -1)
                found = x.flatten(2).gather(2, index).unflatten(2, at.shape[1:])
                total = total + found * (height[..., :, None] * width[..., None, :])[:, None]
        bins = total.unflatten(4, (self.size[1], self.sampling)).unflatten(3, (self.size[0], self.sampling))
        return bins.mean((4, 6)).transpose(1, 2).contiguous()

    def points(self, low, side, bins, size):
        """The two positions around each point of an axis, and the weight of each."""
        step = torch.arange(bins * self.sampling, device=low.device) + 0.5
        at = low[..., None] + step * (side / (bins * self.sampling))[..., None]
        inside = (at >= -1) & (at <= size)
        at = at.clamp(0, size - 1)
        first = at.floor().clamp(max=max(size - 2, 0))
        part = at - first
        second = (first + 1).clamp(max=size - 1)
        return (first.long(), (1 - part) * inside), (second.long(), part * inside)
'''

_NMS = '''
class Nms(nn.Module):
    """Indices of the boxes that no better one overlaps, then -1, by torchvision where it is installed."""

    def __init__(self, most, threshold):
        super().__init__()
        self.most, self.threshold = most, threshold
        limit = torch.tensor(threshold, dtype=torch.float32, device="cpu")
        below = torch.nextafter(limit, torch.zeros_like(limit))
        self.limit = (limit if limit.item() <= threshold else below).item()  # float32 beyond it is beyond the threshold
        try:
            from torchvision import ops

            ops.nms(torch.zeros(0, 4, device="cpu"), torch.zeros(0, device="cpu"), 0.5)
            self.kernel = ops.nms
        except (ImportError, RuntimeError, AttributeError):
            self.kernel = None

    def forward(self, boxes, scores):
        boxes, scores = boxes.detach(), scores.detach()
        if self.kernel is not None and not boxes.is_meta:
            kept = [self.kernel(*one, self.threshold)[: self.most] for one in zip(boxes, scores)]
            return torch.stack([F.pad(one, (0, self.most - len(one)), value=-1) for one in kept])
        order = scores.argsort(dim=1, descending=True, stable=True)
        boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
        low, high = boxes.chunk(2, 2)
        sides = (torch.minimum(high[:, :, None], high[:, None]) - torch.maximum(low[:, :, None], low[:, None])).clamp(min=0)
        common, area = sides.prod(3), (high - low).prod(2)
        limit = self.threshold if boxes.dtype == torch.float64 else self.limit
        over = (common / (area[:, :, None] + area[:, None] - common) > limit).triu(1)
        kept = torch.ones_like(order, dtype=torch.bool)
        for at in range(order.shape[1]):
            kept = kept & ~(over[:, at] & kept[:, at : at + 1])
        place = kept.cumsum(1) - 1
        place = torch.where(kept & (place < self.most), place, self.most)
        found = torch.full((order.shape[0], self.most + 1), -1, dtype=torch.int64, device=order.device)
        return found.scatter(1, place, order)[:, : self.most].contiguous()
'''
