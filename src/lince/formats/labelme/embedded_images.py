"""Photos that their label files hold within themselves, served as if they lay beside them."""

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
    """The tree ``inner`` with more photos in it: ``holders`` names for each the JSON file that holds it as base64."""

    def __init__(self, inner: FileTree, holders: Mapping[str, str]) -> None:
        self._inner = inner
        self._holder_files = dict(holders)

    @property
    def root(self) -> Path:
        """What the tree is called."""
        return self._inner.root

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, the photos within others last."""
        return self.listing.names

    @cached_property
    def listing(self) -> FileListing:
        """The same, by folder and by ending."""
        return FileListing((*self._inner.names, *self._holder_files))

    @property
    def is_remote(self) -> bool:
        """Whether each look into a file is a journey over a network."""
        return self._inner.is_remote

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``."""
        return name in self._holder_files or self._inner.has(name)

    def read(self, name: str, at_most: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``."""
        if name not in self._holder_files:
            return self._inner.read(name, at_most)
        data = decode_embedded_image(json_reader.load_json(self._inner, self._holder_files[name]))
        if data is None:
            path = self.root / self._holder_files[name]
            raise DataError(_("{path} holds no photo any more.").format(path=path))
        if len(data) > at_most:
            raise make_too_large_error(str(self.root / name), len(data), at_most)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``."""
        return self.read(name)[:count] if name in self._holder_files else self._inner.head(name, count)


def decode_embedded_image(value: Any) -> bytes | None:
    """Return the bytes of the photo in a LabelMe file's ``value``; ``None`` when it holds none."""
    text = value.get("imageData") if isinstance(value, dict) else None
    if not isinstance(text, str) or not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
