"""Image decoder: against Pillow for every kind, mode and orientation; ImageError for broken files."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lince import images
from lince.errors import ImageError, UsageError

SAVED_AS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF"}


def scene(height: int = 37, width: int = 53, channels: int = 3) -> np.ndarray:
    """Return an asymmetric image, smooth enough for JPEG."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [y / height * 255, x / width * 255, (x * y) / (height * width) * 200, 255 - x * y / (height * width) * 255]
    return np.stack(planes[:channels], axis=-1).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, SAVED_AS[kind], **options)
    return stream.getvalue()


def on_white(image: Image.Image) -> np.ndarray:
    image = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


def far(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("kind", images.IMAGE_FORMATS)
def test_every_kind_is_known_by_content_and_decoded_as_pillow_does(kind: str, awkward: Path) -> None:
    data = saved(Image.fromarray(scene()), kind)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    path = awkward / "a photo.xyz"
    path.write_bytes(data)
    image = images.read_image(path)
    assert images.detect_format(data) == images.detect_format(data[: images.HEADER_BYTES]) == kind
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert far(image, expected) <= (2 if kind == "jpeg" else 0)
    assert images.read_size(data) == image.shape[:2] == (37, 53)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("at_least", [None, (8, 10)])
def test_all_orientations_as_pillow_turns_them(kind: str, orientation: int, at_least: tuple[int, int] | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "webp" else {"quality": 100} if kind == "jpeg" else {}
    data = saved(Image.fromarray(scene(40, 64)), kind, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    image = images.decode_image(data, at_least)
    assert images.read_size(data) == expected.shape[:2]
    if kind == "jpeg" and at_least:
        assert image.shape == (expected.shape[0] // 4, expected.shape[1] // 4, 3)
        expected = cv2.resize(expected, image.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert far(image, expected) <= 12
    else:
        assert far(image, expected) <= (3 if kind == "jpeg" else 0)


MODES: dict[str, Callable[[], tuple[bytes, np.ndarray]]] = {}


def mode(function: Callable[[], tuple[bytes, np.ndarray]]) -> Callable[[], tuple[bytes, np.ndarray]]:
    MODES[function.__name__] = function
    return function


def plain(kind: str, image: Image.Image, **options: object) -> tuple[bytes, np.ndarray]:
    data = saved(image, kind, **options)
    return data, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@mode
def grey_jpeg() -> tuple[bytes, np.ndarray]:
    return plain("jpeg", Image.fromarray(scene()).convert("L"), quality=100)


@mode
def progressive_jpeg() -> tuple[bytes, np.ndarray]:
    return plain("jpeg", Image.fromarray(scene()), progressive=True, quality=95)


@mode
def cmyk_jpeg() -> tuple[bytes, np.ndarray]:  # Pillow writes inverted values, as Adobe does
    return plain("jpeg", Image.fromarray(scene()).convert("CMYK"), quality=100)


@mode
def cmyk_tiff() -> tuple[bytes, np.ndarray]:
    return plain("tiff", Image.fromarray(scene()).convert("CMYK"))


@mode
def bilevel_png() -> tuple[bytes, np.ndarray]:
    return plain("png", Image.fromarray(scene()).convert("1"))


@mode
def grey_png() -> tuple[bytes, np.ndarray]:
    return plain("png", Image.fromarray(scene()).convert("L"))


@mode
def palette_png() -> tuple[bytes, np.ndarray]:
    return plain("png", Image.fromarray(scene()).quantize(16))


@mode
def transparent_palette_png() -> tuple[bytes, np.ndarray]:
    data = saved(Image.fromarray(scene()).quantize(16), "png", transparency=3)
    return data, on_white(Image.open(io.BytesIO(data)))


@mode
def keyed_rgb_png() -> tuple[bytes, np.ndarray]:
    data = saved(Image.fromarray(scene()), "png", transparency=tuple(int(v) for v in scene()[0, 0]))
    return data, on_white(Image.open(io.BytesIO(data)))


@mode
def rgba_png() -> tuple[bytes, np.ndarray]:
    image = Image.fromarray(scene(channels=4))
    return saved(image, "png"), on_white(image)


@mode
def rgba_webp() -> tuple[bytes, np.ndarray]:
    image = Image.fromarray(scene(channels=4))
    return saved(image, "webp", lossless=True, exact=True), on_white(image)


@mode
def la_png() -> tuple[bytes, np.ndarray]:
    image = Image.fromarray(scene(channels=4)).convert("LA")
    return saved(image, "png"), on_white(image)


@mode
def transparent_gif() -> tuple[bytes, np.ndarray]:
    image = Image.fromarray(scene()).quantize(16)
    data = saved(image, "gif", transparency=2)
    return data, on_white(Image.open(io.BytesIO(data)))


@mode
def animated_gif() -> tuple[bytes, np.ndarray]:
    first, second = Image.fromarray(scene()), Image.fromarray(255 - scene())
    data = saved(first, "gif", save_all=True, append_images=[second])
    return data, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def sixteen(channels: int) -> np.ndarray:
    return np.squeeze(scene(channels=channels)).astype(np.uint16) * 257


def by_opencv(ending: str, image: np.ndarray) -> bytes:
    done, data = cv2.imencode(ending, image)
    assert done
    return data.tobytes()


@mode
def grey16_png() -> tuple[bytes, np.ndarray]:
    return by_opencv(".png", sixteen(1)), np.repeat(scene()[:, :, :1], 3, 2)


@mode
def rgb16_png() -> tuple[bytes, np.ndarray]:
    return by_opencv(".png", sixteen(3)[:, :, ::-1]), scene()


@mode
def grey16_tiff() -> tuple[bytes, np.ndarray]:
    return by_opencv(".tiff", sixteen(1)), np.repeat(scene()[:, :, :1], 3, 2)


@mode
def grey16_big_endian_tiff() -> tuple[bytes, np.ndarray]:
    image = Image.frombytes("I;16B", (53, 37), sixteen(1).astype(">u2").tobytes())
    return saved(image, "tiff"), np.repeat(scene()[:, :, :1], 3, 2)


@mode
def rgb16_tiff() -> tuple[bytes, np.ndarray]:
    return by_opencv(".tiff", sixteen(3)[:, :, ::-1]), scene()


@mode
def deflated_tiff() -> tuple[bytes, np.ndarray]:
    return plain("tiff", Image.fromarray(scene()), compression="tiff_deflate")


@pytest.mark.parametrize("name", MODES)
def test_every_mode(name: str) -> None:
    data, expected = MODES[name]()
    assert far(images.decode_image(data), expected) <= (2 if "jpeg" in name else 0)
    assert images.read_size(data) == (37, 53)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_images_are_refused_rather_than_guessed(mode: str) -> None:
    data = saved(Image.fromarray(scene()).convert(mode), "tiff")
    with pytest.raises(ImageError, match="32-bit pixels"):
        images.decode_image(data)


@pytest.mark.parametrize(
    ("at_least", "expected"),
    [(None, (480, 640)), ((480, 640), (480, 640)), ((240, 321), (480, 640)), ((240, 320), (240, 320)),
     ((100, 100), (120, 160)), ((1, 1), (60, 80))],
)  # fmt: skip
def test_jpeg_is_scaled_down_while_decoding_but_never_below(
    at_least: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    assert images.decode_image(images.encode_jpeg(scene(480, 640)), at_least).shape[:2] == expected


@pytest.mark.parametrize("kind", images.IMAGE_FORMATS)
def test_a_file_that_is_cut_off_is_never_half_a_picture(kind: str) -> None:
    data = saved(Image.fromarray(scene(96, 128)), kind)
    whole = images.decode_image(data)
    refused = 0
    for end in np.linspace(images.HEADER_BYTES, len(data) - 1, 40).astype(int):
        try:
            image = images.decode_image(data[:end])
        except ImageError:
            refused += 1
        else:  # only bytes without image data were missing
            assert np.array_equal(image, whole), f"cut at {end} of {len(data)}"
    assert refused >= 35


def test_a_jpeg_cut_off_behind_its_thumbnail_is_refused() -> None:
    exif = Image.Exif()
    thumbnail = images.encode_jpeg(scene(20, 20))
    exif[0x927C] = thumbnail  # contains its own end-of-image marker
    data = saved(Image.fromarray(scene(96, 128)), "jpeg", exif=exif)
    assert data.count(b"\xff\xd9") == 2
    with pytest.raises(ImageError, match="truncated"):
        images.decode_image(data[:-200])


def png_of_size(height: int, width: int) -> bytes:
    data = bytearray(images.encode_png(scene(4, 4)))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def test_bombs_are_refused_from_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="40000 x 40000"):
        images.decode_image(png_of_size(40000, 40000))
    monkeypatch.setenv("LINCE_MAX_PIXELS", "1000")
    for data in (images.encode_jpeg(scene()), images.encode_png(scene()), saved(Image.fromarray(scene()), "gif")):
        with pytest.raises(ImageError, match="LINCE_MAX_PIXELS"):
            images.decode_image(data)


def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINCE_MAX_PIXELS", "many")
    with pytest.raises(UsageError, match="many"):
        images.decode_image(images.encode_png(scene()))


def test_what_is_no_image_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("I am not a photo")
    for name, words in {"empty.jpg": "empty", "text.jpg": "not an image", "": "folder", "gone.jpg": "exist"}.items():
        with pytest.raises(ImageError, match=words) as caught:
            images.read_image(tmp_path / name)
        assert str(tmp_path) in str(caught.value)


def test_encoding_round_trip() -> None:
    assert np.array_equal(images.decode_image(images.encode_png(scene())), scene())
    assert far(images.decode_image(images.encode_jpeg(scene(), 95)), scene()) < 12
    with pytest.raises(ValueError, match="float64"):
        images.encode_png(scene().astype(float))


def test_orientation_in_broken_exif_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert images.decode_image(saved(Image.fromarray(scene()), "jpeg", exif=exif)).shape == (37, 53, 3)
    data = bytearray(saved(Image.fromarray(scene()), "jpeg", exif=exif))
    at = data.index(b"Exif\0\0") + 10
    data[at : at + 4] = b"\xff\xff\xff\xff"
    assert images.decode_image(bytes(data)).shape == (37, 53, 3)


SEEDS = [saved(Image.fromarray(scene()), kind) for kind in SAVED_AS] + [made()[0] for made in MODES.values()]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_files_raise_nothing_but_image_error(draw: st.DataObject) -> None:
    data = bytearray(draw.draw(st.sampled_from(SEEDS)))
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, min(len(data), 700) - 1))] = draw.draw(st.integers(0, 255))
    for action in (images.decode_image, images.read_size):
        with contextlib.suppress(ImageError):
            action(bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([seed[:12] for seed in SEEDS] + [b""]), st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_image_error(head: bytes, tail: bytes) -> None:
    for action in (images.decode_image, images.read_size):
        with contextlib.suppress(ImageError):
            action(head + tail)


def test_real_photos_as_pillow_reads_them(shared: Path) -> None:
    paths = sorted((shared / "data" / "flowers" / "test").glob("*/*.jpg"))[::40]
    paths += [shared / "data/pets/images" / name for name in ("Abyssinian_34.jpg", "Abyssinian_5.jpg")]
    for path in paths:
        with Image.open(path) as opened:
            expected = on_white(opened) if opened.has_transparency_data else np.asarray(opened.convert("RGB"))
        assert far(images.read_image(path), expected) <= 3, path


def test_the_size_of_a_png_is_told_without_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (30, 20)).save(out, "PNG", exif=exif)
    data = out.getvalue()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    tail = data.index(b"IEND") - 4
    behind = data[:start] + data[end:tail] + data[start:end] + data[tail:]
    assert images.read_size(behind) == images.read_size(data) == images.decode_image(behind).shape[:2] == (30, 20)
    # The pixel data is not decodable.
    broken = data[: data.index(b"IDAT")] + b"IDAT" + b"\xff" * 50
    assert images.read_size(broken) == (30, 20)
    monster = bytearray(broken)
    monster[16:24] = (2**28).to_bytes(4, "big") * 2
    with pytest.raises(ImageError):
        images.read_size(bytes(monster))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "PA"])
def test_large_images_are_converted_strip_by_strip_to_the_same_pixels(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (23, 17)).astype(np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (23, 17, 4)).astype(np.uint8)).convert(mode)
    out = io.BytesIO()
    image.save(out, "TIFF" if mode in ("CMYK", "PA") else "PNG")
    if mode == "P":
        out = io.BytesIO()
        image.save(out, "PNG", transparency=3)
    whole = images.decode_image(out.getvalue())
    monkeypatch.setattr(images, "_STRIP_PIXELS", 50)
    assert np.array_equal(images.decode_image(out.getvalue()), whole)
