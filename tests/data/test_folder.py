"""Folders of images, and single images: size, channels, kinds of files, corrupt ones, links."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archc.data import DataError, read_image
from archc.data.pixels import luma
from tests.data.test_sources import everything, opened, told
from tests.helpers import image_sets


def test_folder(tmp_path: Path) -> None:
    image_sets.folder(tmp_path)
    found = opened(tmp_path, (3, 24, 24), validation=0.0)
    images, labels = everything(found.train)
    assert found.classes == ("blue", "green", "red") and labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    for i in range(len(found.train)):
        assert np.array_equal(images[i], np.asarray(Image.open(found.train.name(i))).transpose(2, 0, 1))
    assert opened(tmp_path).shape == (3, 24, 24)


def test_folder_of_splits(tmp_path: Path) -> None:
    for part, each in (("train", 4), ("val", 2), ("test", 3)):
        image_sets.folder(tmp_path / part, each)
    found = opened(tmp_path, (3, 8, 8))
    assert {name: len(split) for name, split in found.splits().items()} == {"train": 12, "validation": 6, "test": 9}
    (tmp_path / "val/purple").mkdir()
    assert "has the class purple, which no training image has" in told(tmp_path)


def test_folders_that_are_wrong(tmp_path: Path) -> None:
    image_sets.picture((0, 0, 0)).save(tmp_path / "a.png")
    assert "1 image lies in" in told(tmp_path) and "one folder a class" in told(tmp_path)
    (tmp_path / "red").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "red/a.png")
    assert "only one class, red" in told(tmp_path)
    image_sets.folder(tmp_path)
    (tmp_path / "white").mkdir()
    (tmp_path / "white/notes.txt").write_text("none yet")
    (tmp_path / "white/.hidden.png").write_bytes(b"")
    assert f"the class folder {tmp_path / 'white'} has 1 .txt, and no image that is read" in told(tmp_path)
    (tmp_path / "white/notes.txt").unlink()
    assert f"the class folder {tmp_path / 'white'} is empty" in told(tmp_path)


def test_links_that_leave_are_refused(tmp_path: Path) -> None:
    root = image_sets.folder(tmp_path / "set")
    secret = tmp_path / "secret.png"
    image_sets.picture((1, 2, 3)).save(secret)
    (root / "red/more.png").symlink_to(root / "red/0.png")
    assert len(opened(root, validation=0.0).train) == 16
    for link, target, says in (
        ("red/out.png", secret, "leaves"),
        ("red/gone.png", root / "no", "nowhere"),
        ("red/loop", root, "another folder"),
    ):
        (root / link).symlink_to(target)
        assert says in told(root) and str(root / link) in told(root)
        (root / link).unlink()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb() -> bytes:
    """A PNG that announces 60,000 x 60,000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def spoiled(root: Path) -> dict[str, str]:
    """Files that are no images, each with what is to be said of it."""
    whole = (root / "red/0.png").read_bytes()
    (root / "red/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "red/empty.png").write_bytes(b"")
    (root / "red/text.jpg").write_bytes(b"hello")
    (root / "red/bomb.png").write_bytes(bomb())
    (root / "red/script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(root / "red/float.tif")
    return {"cut.png": "truncated", "empty.png": "empty", "text.jpg": "none of PNG", "bomb.png": "pixels", "script.png": "none of PNG",
            "float.tif": "floating-point"}  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
def test_corrupt_files_are_skipped_and_named(tmp_path: Path, workers: int) -> None:
    root = image_sets.folder(tmp_path)
    wrong = spoiled(root)
    found = opened(root, (3, 24, 24), corrupt="skip", validation=0.0, workers=workers)
    images, labels = everything(found.train)
    assert len(images) == 15 and labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert len(everything(found.train)[0]) == 15  # and again, from memory
    said = {Path(one.name).name: one.reason for one in found.corrupt}
    assert set(said) == set(wrong) and all(words in said[name] for name, words in wrong.items()), said


def test_corrupt_files_are_errors(tmp_path: Path) -> None:
    root = image_sets.folder(tmp_path)
    spoiled(root)
    found = opened(root, (3, 24, 24), validation=0.0)
    with pytest.raises(DataError, match=r"red/\w+\.\w+ is not a readable image: .*; write `corrupt: skip`"):
        everything(found.train)


def test_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = image_sets.folder(tmp_path, each=8, size=(40, 30))
    order = np.random.default_rng(0).permutation(24)
    alone = opened(root, (3, 20, 20), validation=0.0).train.read(order)
    monkeypatch.setattr("archc.data.readers.IN_MEMORY", 0)  # from disk at each reading
    for workers in (0, 2):
        found = opened(root, (3, 20, 20), validation=0.0, workers=workers).train
        for _ in range(2):
            images, labels = found.read(order)
            assert np.array_equal(images, alone[0]) and np.array_equal(labels, alone[1])


def test_size_and_proportions(tmp_path: Path) -> None:
    wide = Image.new("L", (60, 20))
    wide.paste(255, (16, 0, 44, 20))  # the middle, and a little for the filter at its border
    wide.save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", (1, 10, 10)) == 255).all()
    high = wide.rotate(90, expand=True)
    high.save(tmp_path / "b.png")
    assert (read_image(tmp_path / "b.png", (3, 20, 20)) == 255).all()


def test_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    wanted = np.asarray(Image.fromarray(values).convert("L"))
    assert np.array_equal(read_image(tmp_path / "a.png", (1, 16, 16))[0], wanted)
    assert np.array_equal(luma(values.transpose(2, 0, 1)[None])[0, 0], wanted)
    Image.fromarray(wanted).save(tmp_path / "b.png")
    assert np.array_equal(read_image(tmp_path / "b.png", (3, 16, 16)), np.stack([wanted] * 3))


def test_kinds_of_pixels(tmp_path: Path) -> None:
    """16 bits in full keep their first 8; what is transparent is white; a palette gives its colors; a photo stands upright."""
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    assert np.array_equal(read_image(tmp_path / "deep.png", (1, 16, 16))[0], ramp // 257)
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png", (3, 4, 4)) == 255).all()
    image_sets.picture((200, 10, 10)).quantize(4).save(tmp_path / "palette.gif")
    assert abs(int(read_image(tmp_path / "palette.gif", (3, 24, 24))[0].mean()) - 200) < 12
    lying = Image.new("L", (8, 4))
    lying.paste(255, (0, 0, 8, 2))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    lying.save(tmp_path / "turned.png", exif=exif)
    seen = read_image(tmp_path / "turned.png", (1, 8, 4))[0]
    assert (seen[:, 2:] == 255).all() and (seen[:, :2] == 0).all()


@pytest.mark.parametrize(("bits", "levels"), [(8, 256), (10, 256), (12, 256), (14, 256), (16, 256)])
def test_few_bits_in_files_of_16_use_the_whole_range(bits: int, levels: int, tmp_path: Path) -> None:
    top = 2**bits - 1
    ramp = np.linspace(0, top, 4096).round().astype(np.uint16).reshape(64, 64)
    for name in ("a.png", "a.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        seen = read_image(tmp_path / name, (1, 64, 64))[0]
        assert len(np.unique(seen)) == levels and seen.max() == 255
        assert np.array_equal(seen, ramp.astype(np.int64) * 255 // top)


def test_one_value_is_white_in_all_of_a_set(tmp_path: Path) -> None:
    """A dark image of a set stays dark; a value above what is white is an error, and the recipe's word goes first."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.fromarray(np.full((8, 8), 500 if i else 3900, np.uint16)).save(tmp_path / name / f"{i}.png")
    found = opened(tmp_path, (1, 8, 8), validation=0.0)
    assert found.white == 4095 and "go up to 3,900 (of 6 looked at); 4,095 is read as white" in found.notes[0]
    assert sorted(np.unique(everything(found.train)[0])) == [500 * 255 // 4095, 3900 * 255 // 4095]
    told_range = opened(tmp_path, (1, 8, 8), validation=0.0, white=3900)
    assert everything(told_range.train)[0].max() == 255 and not found.doubtful
    with pytest.raises(DataError, match=r"go up to 3,900, above the 1,000 that is white; write `white: 4095`"):
        everything(opened(tmp_path, (1, 8, 8), validation=0.0, white=1000).train)
    image_sets.folder(tmp_path / "plain")
    assert opened(tmp_path / "plain").white is None and not opened(tmp_path / "plain").notes


def test_colors_of_which_pillow_keeps_too_little(tmp_path: Path) -> None:
    """A PNG of 16-bit colors that holds 12 bits: pillow gives 16 levels of them."""
    for top, refused in ((4095, True), (65535, False)):
        rows = (np.linspace(0, top, 3 * 64).round().astype(">u2")).reshape(8, 24)
        data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
        head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
        if refused:
            with pytest.raises(DataError, match="use 12 bits or fewer"):
                read_image(tmp_path / "a.png", (3, 8, 8))
        else:
            assert len(np.unique(read_image(tmp_path / "a.png", (3, 8, 8)))) > 150


def test_one_image_that_is_wrong(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "no.png", "there is no image"), (tmp_path, "is a folder")):
        with pytest.raises(DataError, match=says):
            read_image(path, (3, 8, 8))
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(DataError, match="is not a readable image"):
        read_image(tmp_path / "a.png", (3, 8, 8))


def test_names_of_strangers(tmp_path: Path) -> None:
    """A class called `..` cannot be; others are names, whatever they hold."""
    for name in ("$(touch x)", "a\nb", "<b>"):
        (tmp_path / name).mkdir()
        image_sets.picture((9, 9, 9)).save(tmp_path / name / "$(id).png")
    found = opened(tmp_path, (3, 8, 8), validation=0.0)
    assert len(everything(found.train)[0]) == 3 and set(found.classes) == {"$(touch x)", "a\nb", "<b>"}
