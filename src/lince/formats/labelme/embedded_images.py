"""A tree with the images that LabelMe files embed as base64, served as if they were files of their own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from lince.errors import DataError
from lince.i18n import _
from lince.parsing import json_reader
from lince.storage.file_list import FileListing
from lince.storage.tree import MAX_LABEL_BYTES, FileTree, make_too_large_error


class EmbeddedImageTree:
    """The tree ``base_tree`` with the embedded images as additional files.

    ``holder_files`` maps the name of each embedded image to the JSON file that holds it. The images
    are decoded at every read and not kept, since they may be large and many.
    """

    def __init__(self, base_tree: FileTree, holder_files: Mapping[str, str]) -> None:
        self._base_tree = base_tree
        self._holder_files = dict(holder_files)

    @property
    def root(self) -> Path:
        """The folder, archive or URL of the JSON files."""
        return self._base_tree.root

    @property
    def names(self) -> tuple[str, ...]:
        """Every file; the embedded images come last."""
        return self.listing.names

    @cached_property
    def listing(self) -> FileListing:
        """The same files, indexed by folder and by suffix."""
        return FileListing((*self._base_tree.names, *self._holder_files))

    @property
    def is_remote(self) -> bool:
        """Whether every access to a file costs a request over the network."""
        return self._base_tree.is_remote

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists."""
        return name in self._holder_files or self._base_tree.has(name)

    def read(self, name: str, max_bytes: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``.

        Raise ``DataError`` as ``FileTree.read`` does, and when the JSON file does not hold the
        image any more.
        """
        if name not in self._holder_files:
            return self._base_tree.read(name, max_bytes)
        data = decode_embedded_image(json_reader.load_json(self._base_tree, self._holder_files[name]))
        if data is None:
            path = self.root / self._holder_files[name]
            raise DataError(_("{path} no longer contains a photo.").format(path=path))
        if len(data) > max_bytes:
            raise make_too_large_error(str(self.root / name), len(data), max_bytes)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``; an embedded image is decoded as a whole."""
        return self.read(name)[:count] if name in self._holder_files else self._base_tree.head(name, count)


def decode_embedded_image(value: Any) -> bytes | None:
    """Return the bytes of the image that the LabelMe document ``value`` embeds, ``None`` when it embeds none."""
    text = value.get("imageData") if isinstance(value, dict) else None
    if not isinstance(text, str) or not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
