"""Prototxts of networks that Caffe's users know, written from the papers."""

from __future__ import annotations


class Net:
    """A prototxt in the making. `top` is the newest blob."""

    def __init__(self, name: str, *sizes: int) -> None:
        shape = " ".join(f"dim: {size}" for size in (1, *sizes))
        self.lines = [f'name: "{name}"', f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {shape} }} }} }}']
        self.top = "data"

    def layer(self, name: str, kind: str, params: str = "", bottoms: list[str] | None = None, top: str = "") -> str:
        taken = " ".join(f'bottom: "{one}"' for one in bottoms or [self.top])
        self.top = top or name
        self.lines.append(f'layer {{ name: "{name}" type: "{kind}" {taken} top: "{self.top}" {params} }}')
        return self.top

    def conv(self, name: str, channels: int, kernel: int, more: str = "", relu: str = "", bottoms: list[str] | None = None) -> str:
        params = f"convolution_param {{ num_output: {channels} kernel_size: {kernel} {more} }}"
        out = self.layer(name, "Convolution", params, bottoms)
        return self.layer(relu, "ReLU", top=out) if relu else out

    def dense(self, name: str, features: int, relu: str = "", drop: str = "") -> None:
        out = self.layer(name, "InnerProduct", f"inner_product_param {{ num_output: {features} }}")
        if relu:
            self.layer(relu, "ReLU", top=out)
        if drop:
            self.layer(drop, "Dropout", "dropout_param { dropout_ratio: 0.5 }", top=out)

    def pool(self, name: str, kernel: int, stride: int, more: str = "pool: MAX", bottoms: list[str] | None = None) -> str:
        return self.layer(name, "Pooling", f"pooling_param {{ {more} kernel_size: {kernel} stride: {stride} }}", bottoms)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def alexnet(pool_first: bool) -> str:
    """As in the paper; with `pool_first`, Caffe's own variant, CaffeNet."""
    net = Net("alexnet", 3, 227, 227)
    lrn = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
    for at, (channels, kernel, more) in enumerate(((96, 11, "stride: 4"), (256, 5, "pad: 2 group: 2")), 1):
        net.conv(f"conv{at}", channels, kernel, more, relu=f"relu{at}")
        if pool_first:
            net.pool(f"pool{at}", 3, 2)
        net.layer(f"norm{at}", "LRN", lrn)
        if not pool_first:
            net.pool(f"pool{at}", 3, 2)
    for at, (channels, more) in enumerate(((384, ""), (384, "group: 2"), (256, "group: 2")), 3):
        net.conv(f"conv{at}", channels, 3, f"pad: 1 {more}", relu=f"relu{at}")
    net.pool("pool5", 3, 2)
    net.dense("fc6", 4096, "relu6", "drop6")
    net.dense("fc7", 4096, "relu7", "drop7")
    net.dense("fc8", 1000)
    net.layer("prob", "Softmax")
    return net.text


def vgg16() -> str:
    net = Net("VGG_ILSVRC_16_layers", 3, 224, 224)
    for stage, (channels, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for at in range(1, count + 1):
            net.conv(f"conv{stage}_{at}", channels, 3, "pad: 1", relu=f"relu{stage}_{at}")
        net.pool(f"pool{stage}", 2, 2)
    net.dense("fc6", 4096, "relu6", "drop6")
    net.dense("fc7", 4096, "relu7", "drop7")
    net.dense("fc8", 1000)
    net.layer("prob", "Softmax")
    return net.text


def googlenet() -> str:
    net = Net("GoogleNet", 3, 224, 224)
    lrn = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
    net.conv("conv1/7x7_s2", 64, 7, "pad: 3 stride: 2", relu="conv1/relu_7x7")
    net.pool("pool1/3x3_s2", 3, 2)
    net.layer("pool1/norm1", "LRN", lrn)
    net.conv("conv2/3x3_reduce", 64, 1, relu="conv2/relu_3x3_reduce")
    net.conv("conv2/3x3", 192, 3, "pad: 1", relu="conv2/relu_3x3")
    net.layer("conv2/norm2", "LRN", lrn)
    net.pool("pool2/3x3_s2", 3, 2)
    rows = {
        "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
    }  # fmt: skip
    for name, row in rows.items():
        _inception(net, f"inception_{name}", row)
        if name in ("3b", "4e"):
            net.pool(f"pool{name[0]}/3x3_s2", 3, 2)
    net.pool("pool5/7x7_s1", 7, 1, "pool: AVE")
    net.layer("pool5/drop_7x7_s1", "Dropout", "dropout_param { dropout_ratio: 0.4 }", top=net.top)
    net.dense("loss3/classifier", 1000)
    net.layer("prob", "Softmax")
    return net.text


def _inception(net: Net, name: str, row: tuple[int, ...]) -> None:
    start, relu = [net.top], f"{name}/relu_"
    one = net.conv(f"{name}/1x1", row[0], 1, relu=f"{relu}1x1", bottoms=start)
    net.conv(f"{name}/3x3_reduce", row[1], 1, relu=f"{relu}3x3_reduce", bottoms=start)
    three = net.conv(f"{name}/3x3", row[2], 3, "pad: 1", relu=f"{relu}3x3")
    net.conv(f"{name}/5x5_reduce", row[3], 1, relu=f"{relu}5x5_reduce", bottoms=start)
    five = net.conv(f"{name}/5x5", row[4], 5, "pad: 2", relu=f"{relu}5x5")
    net.pool(f"{name}/pool", 3, 1, "pool: MAX pad: 1", bottoms=start)
    pooled = net.conv(f"{name}/pool_proj", row[5], 1, relu=f"{relu}pool_proj")
    net.layer(f"{name}/output", "Concat", bottoms=[one, three, five, pooled])


def resnet50() -> str:
    net = Net("ResNet-50", 3, 224, 224)
    _normed(net, "conv1", "conv1", 64, 7, "pad: 3 stride: 2")
    net.layer("conv1_relu", "ReLU", top="conv1")
    net.pool("pool1", 3, 2)
    for stage, (channels, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for at in range(count):
            _bottleneck(net, f"{stage}{chr(ord('a') + at)}", channels, stride=2 if at == 0 and stage > 2 else 1, project=at == 0)
    net.pool("pool5", 7, 1, "pool: AVE")
    net.dense("fc1000", 1000)
    net.layer("prob", "Softmax")
    return net.text


def _normed(net: Net, conv: str, rest: str, channels: int, kernel: int, more: str, bottoms: list[str] | None = None) -> str:
    net.conv(conv, channels, kernel, f"{more} bias_term: false", bottoms=bottoms)
    out = net.layer(f"bn{rest}", "BatchNorm", "batch_norm_param { use_global_stats: true }", top=net.top)
    return net.layer(f"scale{rest}", "Scale", "scale_param { bias_term: true }", top=out)


def _bottleneck(net: Net, name: str, channels: int, *, stride: int, project: bool) -> None:
    start = [net.top]
    skip = _normed(net, f"res{name}_branch1", f"{name}_branch1", 4 * channels, 1, f"stride: {stride}", start) if project else start[0]
    for part, (wide, kernel, more) in {
        "a": (channels, 1, f"stride: {stride}"),
        "b": (channels, 3, "pad: 1"),
        "c": (4 * channels, 1, ""),
    }.items():
        out = _normed(net, f"res{name}_branch2{part}", f"{name}_branch2{part}", wide, kernel, more, start if part == "a" else None)
        if part != "c":
            net.layer(f"res{name}_branch2{part}_relu", "ReLU", top=out)
    net.layer(f"res{name}", "Eltwise", bottoms=[skip, out])
    net.layer(f"res{name}_relu", "ReLU", top=f"res{name}")
