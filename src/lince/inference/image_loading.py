"""Loads one image from any source and prepares it for a network: path, bytes, stream, Pillow image, array or URL."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage

from lince import images, preprocess
from lince.annotations import RejectedItem
from lince.errors import ImageError
from lince.i18n import _
from lince.inference import http_image, sources
from lince.inference.sources import ImageInput, ImageItem
from lince.preprocess import PreprocessSpec
from lince.storage.url import is_web_url

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image ready for ``preprocess.normalise_images``.

    ``image`` is uint8 RGB (H, W, 3) of the network's input size; ``size`` is the (height, width) of the original in
    pixels, upright, to which detections are scaled back.
    """

    image: Image
    size: tuple[int, int]


def prepare_or_reject(item: ImageItem, spec: PreprocessSpec, allow_urls: bool = False) -> PreparedImage | RejectedItem:
    """Return ``item`` prepared as ``spec`` says, or a ``RejectedItem`` with the reason when it cannot be read.

    The counterpart of ``prepare_image`` for many images, where one damaged file must not stop the others.
    """
    return reject_unreadable(item, lambda source: prepare_image(source, spec, allow_urls))


def reject_unreadable(item: ImageItem, prepare: Callable[[ImageInput], PreparedImage]) -> PreparedImage | RejectedItem:
    """Return what ``prepare`` makes of ``item``, or a ``RejectedItem`` with the reason where it cannot be read.

    ``prepare`` gets the content of a file, and raises ``ImageError``.
    """
    if own := sources.reject_own_output(item):
        return own
    try:
        source = item.source
        return prepare(images.read_bytes(source) if source is item.path else source)
    except ImageError as error:
        kind = "other-file" if item.is_other_file else "unusable"
        return RejectedItem(item.name, error.problem, error.remedy or error.expected, kind=kind)


def prepare_image(source: ImageInput, spec: PreprocessSpec, allow_urls: bool = False) -> PreparedImage:
    """Return ``source`` resized to the input of ``spec``; URLs are downloaded only with ``allow_urls``.

    A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that still covers the input; ``size`` of the result is
    the full size all the same. Raises ``ImageError`` when the image cannot be read.
    """
    data = open_source(source, allow_urls)
    if isinstance(data, PillowImage):
        image = images.from_pillow(data)
    elif isinstance(data, np.ndarray):
        image = images.array_to_rgb(data)
    else:
        return _prepare_encoded(data, spec, os.fspath(source) if isinstance(source, (str, os.PathLike)) else "")
    return PreparedImage(preprocess.resize_to_input(image, spec), image.shape[:2])


def read_pixels(source: ImageInput, allow_urls: bool = False) -> Image:
    """Return ``source`` at full size as upright uint8 RGB (H, W, 3); raise ``ImageError`` when it cannot be read."""
    data = open_source(source, allow_urls)
    if isinstance(data, PillowImage):
        return images.from_pillow(data)
    return images.array_to_rgb(data) if isinstance(data, np.ndarray) else images.decode_image(data)


def open_image_item(source: ImageInput, allow_urls: bool = False) -> ImageItem:
    """Return ``source`` as an ``ImageItem``: a file keeps its path, anything else is read into ``data``.

    So a stream is consumed and a URL downloaded once, however often the item is used. Raises ``ImageError`` as
    ``open_source`` does; a file is not opened, so a missing one raises later.
    """
    item = sources.to_image_item(source)
    return item if item.path else replace(item, data=open_source(source, allow_urls))


def open_source(source: ImageInput, allow_urls: bool = False) -> bytes | PillowImage | Image:
    """Return the content of ``source``: a Pillow image or array as it is, anything else as the bytes of a file.

    Nothing is decoded. Raises ``ImageError`` when a file or URL cannot be read, when it is a URL without
    ``allow_urls``, or when the type is not an ``ImageInput``.
    """
    if isinstance(source, (PillowImage, np.ndarray, bytes)):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, str) and is_web_url(source):
        return http_image.download_image(source, allow_urls)
    if isinstance(source, (str, os.PathLike)):
        return images.read_bytes(source)
    data = source.read() if hasattr(source, "read") else source
    if not isinstance(data, bytes):
        raise ImageError(
            _("A value of type {kind} is not a photo.").format(kind=type(data).__name__),
            _("Expected a path, bytes, a file opened in binary mode, a Pillow image, or an array."),
        )
    return data


def _prepare_encoded(data: bytes, spec: PreprocessSpec, path: str) -> PreparedImage:
    """Decode and resize the image file ``data``; errors name ``path`` where there is one."""
    try:
        image = images.decode_image(data, (spec.height, spec.width))
    except ImageError as error:
        problem = f"{path}: {error.problem}" if path else error.problem
        raise ImageError(problem, error.expected, error.remedy) from error
    return PreparedImage(preprocess.resize_to_input(image, spec), images.read_size(data))
