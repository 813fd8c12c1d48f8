"""Features kept: what a network answered to an image, on disk under (content, network, input).

A folder of the cache holds one network with one way of preparing images. Each run adds one shard (keys and rows)
for the images that it met first; shards are whole or not there, so a kill costs at most one shard's work.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.preprocess import PreprocessSpec

SHARD_SIZE = 1024  # images between two writes
CACHE_VERSION = 1  # of the decoder and the preparation: features of other versions are not used


class FeatureCache:
    """The shards of one network and one preparation, in ``folder``."""

    def __init__(self, network: Path, spec: PreprocessSpec, root: Path | None = None) -> None:
        recipe = json.dumps([CACHE_VERSION, fileio.compute_sha256(network), asdict(spec)], sort_keys=True)
        self.folder = (root or fileio.get_cache_folder()) / "features" / fileio.compute_digest(recipe.encode())

    def load(self, wanted: set[str]) -> dict[str, NDArray[np.float32]]:
        """Return the cached rows (D,) of the ``wanted`` content keys."""
        found: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self.folder.glob("*.npz")):
            keys, rows = _read_shard(path)
            found.update((key, row) for key, row in zip(keys, rows, strict=True) if key in wanted)
        return found

    def add(self, keys: list[str], rows: NDArray[np.float32]) -> None:
        """Keep ``rows`` (N, D) under ``keys`` as one new shard."""
        name = fileio.compute_digest("".join(keys).encode())
        with fileio.atomic_file(self.folder / f"{name}.npz") as aside, open(aside, "wb") as stream:
            np.savez(stream, keys=np.array(keys, "U32"), rows=rows)


def _read_shard(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as shard:
            return shard["keys"].tolist(), shard["rows"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        path.unlink(missing_ok=True)  # a shard that the disk spoilt is computed again
        return [], np.empty((0, 0), np.float32)
