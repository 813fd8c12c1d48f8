"""Photos that their label files hold within themselves, served as if they lay beside them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from lince.errors import DataError
from lince.labels import jsonfile
from lince.labels.listing import Listing
from lince.labels.tree import LABELS_AT_MOST, Tree, too_large
from lince.messages import _


class Embedded:
    """The tree ``inner`` with more photos in it: ``holders`` names for each the JSON file that holds it as base64."""

    def __init__(self, inner: Tree, holders: Mapping[str, str]) -> None:
        self._inner = inner
        self._holders = dict(holders)

    @property
    def root(self) -> Path:
        """What the tree is called."""
        return self._inner.root

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, the photos within others last."""
        return self.listing.names

    @cached_property
    def listing(self) -> Listing:
        """The same, by folder and by ending."""
        return Listing((*self._inner.names, *self._holders))

    @property
    def far(self) -> bool:
        """Whether each look into a file is a journey over a network."""
        return self._inner.far

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``."""
        return name in self._holders or self._inner.has(name)

    def read(self, name: str, at_most: int = LABELS_AT_MOST) -> bytes:
        """Return the content of the file ``name``."""
        if name not in self._holders:
            return self._inner.read(name, at_most)
        data = photo_in(jsonfile.load(self._inner, self._holders[name]))
        if data is None:
            path = self.root / self._holders[name]
            raise DataError(_("{path} holds no photo any more.").format(path=path))
        if len(data) > at_most:
            raise too_large(str(self.root / name), len(data), at_most)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``."""
        return self.read(name)[:count] if name in self._holders else self._inner.head(name, count)


def photo_in(value: Any) -> bytes | None:
    """Return the bytes of the photo in a LabelMe file's ``value``; ``None`` when it holds none."""
    text = value.get("imageData") if isinstance(value, dict) else None
    if not isinstance(text, str) or not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
