"""HEIC and AVIF: read where pillow-heif is installed, else named with what to do."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lince import images
from lince.datasets import open_dataset
from lince.errors import ImageError
from lince.phone_photos import READS_PHONE_PHOTOS

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
AVIF = b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(40)
JPEG = images.encode_jpeg(np.zeros((6, 8, 3), np.uint8))


def made(root: Path, **photos: bytes) -> Path:
    for name in ("gato", "perro"):
        (root / name).mkdir(parents=True)
        (root / name / "1.jpg").write_bytes(JPEG)
        for suffix, data in photos.items():
            (root / name / f"2.{suffix}").write_bytes(data)
    return root


@pytest.mark.skipif(READS_PHONE_PHOTOS, reason="they are read here")
def test_without_the_extra_they_are_named_with_what_to_do(awkward: Path) -> None:
    dataset = open_dataset(made(awkward, HEIC=HEIC, avif=AVIF, svg=b"<svg/>"))
    assert len(dataset) == 2
    assert [item.kind for item in dataset.rejected] == ["unsupported"] * 6
    told = {item.path: item.remedy for item in dataset.rejected}
    assert all(("pip install pillow-heif" in text) == ("svg" not in path) for path, text in told.items())
    assert "iPhone" in told["gato/2.HEIC"]
    for data, name in ((HEIC, "HEIC"), (AVIF, "AVIF")):
        with pytest.raises(ImageError, match=name) as caught:
            images.decode_image(data)
        assert "pip install pillow-heif" in caught.value.remedy
    with pytest.raises(ImageError, match="not an image"):
        images.decode_image(b"\0\0\0\x18ftypmp42" + bytes(50))


def test_with_the_extra_they_are_photos_as_others(awkward: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, :48] = (200, 30, 30)
    picture = Image.fromarray(pixels)
    stream, other = io.BytesIO(), io.BytesIO()
    heif.from_pillow(picture).save(stream, quality=95)
    picture.save(other, "AVIF", quality=95)
    dataset = open_dataset(made(awkward, HEIC=stream.getvalue(), avif=other.getvalue()))
    assert (len(dataset), dataset.rejected) == (6, ())
    for data, kind in ((stream.getvalue(), "heif"), (other.getvalue(), "avif")):
        assert images.detect_format(data[:32]) == kind
        assert images.read_size(data) == (64, 96)
        found = images.decode_image(data)
        assert np.abs(found.astype(int) - pixels).mean() < 6
        with pytest.raises(ImageError):
            images.decode_image(data[: len(data) // 2])
