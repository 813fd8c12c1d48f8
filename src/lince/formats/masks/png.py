"""Reads and writes PNG masks with their pixel values unchanged."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from lince import images
from lince.errors import DataError, ImageError
from lince.i18n import _

_COLOUR_MODES = ("RGB", "RGBA", "LA")


@dataclass(frozen=True)
class MaskPixels:
    """The pixels of a mask file.

    ``values`` is (H, W) with palette indices or grey values, uint8 or int32 (16-bit PNG), or (H, W,
    3) uint8 with RGB colours. ``palette`` uint8 (K, 3) is given only where the values are indices
    into it.
    """

    values: NDArray[Any]
    palette: NDArray[np.uint8] | None = None


def decode_mask_png(data: bytes, *, as_alpha: bool = False) -> MaskPixels:
    """Return the pixels of the PNG in ``data`` without conversion.

    Transparency is ignored; with ``as_alpha`` it is what is returned, uint8 (H, W), where the PNG has a channel of it.

    Raise ``ImageError`` when it is not a PNG, is damaged, or has more pixels than
    ``LINCE_MAX_PIXELS``, and ``DataError`` for a pixel format that masks do not have.
    """
    if images.detect_format(data) != "png":
        raise ImageError(_("This is not a PNG."), _("Expected a mask in a lossless format: PNG."))
    height, width = images.read_size(data)
    images.check_pixel_count(height, width)
    try:
        with PngImagePlugin.PngImageFile(io.BytesIO(data), "") as image:
            image.load()
            if as_alpha and image.mode in ("RGBA", "LA"):
                return MaskPixels(np.asarray(image.getchannel("A")))
            return _extract_pixels(image)
    except images.DECODE_ERRORS as error:
        raise ImageError(
            _("The mask is truncated or damaged: {error}.").format(error=str(error).rstrip("."))
        ) from error


def encode_mask_png(values: NDArray[Any], palette: NDArray[np.uint8] | None = None) -> bytes:
    """Return ``values`` uint8 (H, W) as a PNG: grey, or indexed when a ``palette`` uint8 (K, 3) is given.

    Raise ``ValueError`` for another shape or dtype.
    """
    if values.ndim != 2 or values.dtype != np.uint8:
        raise ValueError(f"a mask must be uint8 (H, W), not {values.dtype} {values.shape}")
    image = Image.fromarray(values)
    if palette is not None:
        image.putpalette(palette.tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _extract_pixels(image: Image.Image) -> MaskPixels:
    """Return the pixels of an open PNG according to its mode."""
    if image.mode in _COLOUR_MODES:
        return MaskPixels(np.asarray(image.convert("RGB"), np.uint8))
    palette = image.getpalette("RGB") if image.mode == "P" else None
    if palette is not None:
        return MaskPixels(np.asarray(image), np.array(palette, np.uint8).reshape(-1, 3))
    if image.mode == "1":
        return MaskPixels(np.asarray(image).astype(np.uint8))
    if image.mode == "L" or image.mode.startswith("I"):
        return MaskPixels(np.asarray(image))
    raise DataError(_("The mask has pixels of an unknown type: {mode}.").format(mode=image.mode))
