"""Sets of images that tests write: as the distributors of MNIST and CIFAR do, as folders, as shards."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

COLORS = {"blue": (30, 60, 220), "green": (40, 180, 70), "red": (210, 40, 30)}


def idx(folder: Path, train: int = 40, test: int = 20, size: tuple[int, int] = (28, 28), packed: bool = False) -> dict[str, np.ndarray]:
    """The four files, and what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    made = {}
    for part, count in (("train", train), ("t10k", test)):
        images = generator.integers(0, 256, (count, *size), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", images, packed)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels, packed)
        made |= {f"{part}-images": images, f"{part}-labels": labels}
    return made


def write_idx(file: Path, values: np.ndarray, packed: bool = False) -> None:
    content = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
    if packed:
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(content))
    else:
        file.write_bytes(content)


def cifar10(folder: Path, each: int = 20) -> list[np.ndarray]:
    """Five batches and the test batch, as records [each, 3073]; the names of classes beside."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(2)
    batches = []
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        records = generator.integers(0, 256, (each, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(each) % 10
        (folder / name).write_bytes(records.tobytes())
        batches.append(records)
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    (folder / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    return batches


def cifar100(folder: Path) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    records = np.random.default_rng(3).integers(0, 256, (200, 3074), dtype=np.uint8)
    records[:, 0], records[:, 1] = np.arange(200) % 20, np.arange(200) % 100
    for name in ("train.bin", "test.bin"):
        (folder / name).write_bytes(records.tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(f"kind {i}" for i in range(100)))
    return records


def picture(color: tuple[int, int, int], size: tuple[int, int] = (24, 24), seed: int = 0) -> Image.Image:
    """Of one color with noise; width and height."""
    noise = np.random.default_rng(seed).integers(-20, 21, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(color) + noise, 0, 255).astype(np.uint8))


def folder(root: Path, each: int = 5, size: tuple[int, int] = (24, 24)) -> Path:
    """One folder a class."""
    for name, color in COLORS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            picture(color, size, i).save(root / name / f"{i}.png")
    return root


def shard(file: Path, names: list[str], labels: list[int | str], kind: str = "cls", more: dict[str, bytes] | None = None) -> None:
    """A .tar of PNGs of one color a label, each with its label beside."""
    file.parent.mkdir(parents=True, exist_ok=True)
    colors = list(COLORS.values())
    with tarfile.open(file, "w") as out:
        for name, content in (more or {}).items():
            _add(out, name, content)
        for name, label in zip(names, labels, strict=True):
            at = label if isinstance(label, int) else list(COLORS).index(label)
            content = io.BytesIO()
            picture(colors[at % 3], seed=len(name)).save(content, "PNG")
            _add(out, f"{name}.png", content.getvalue())
            _add(out, f"{name}.{kind}", str(label).encode())


def _add(out: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    out.addfile(entry, io.BytesIO(content))
