"""Caches a network's features of images on disk, keyed by image content, network and preprocessing.

A folder of the cache belongs to one network with one ``PreprocessSpec``. Each call of ``FeatureCache.add`` writes one
``.npz`` shard of keys and rows. Shards are written atomically, so a killed process loses one shard's work at most.
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
CACHE_VERSION = 1  # rises when decoding or preprocessing changes: features of other versions are ignored


class FeatureCache:
    """The features of one network with one preprocessing, in ``folder``.

    ``network`` is the network file, identified by its content, not its path. ``root`` replaces lince's cache folder.
    Nothing is created before the first ``add``.
    """

    def __init__(self, network: Path, spec: PreprocessSpec, root: Path | None = None) -> None:
        key = json.dumps([CACHE_VERSION, fileio.compute_sha256(network), asdict(spec)], sort_keys=True)
        self.folder = (root or fileio.get_cache_folder()) / "features" / fileio.compute_digest(key.encode())

    def load(self, wanted: set[str]) -> dict[str, NDArray[np.float32]]:
        """Return the cached feature vectors (D,) of those ``wanted`` keys (``fileio.compute_digest``) that are cached.

        A damaged shard is deleted, so that its features are computed again.
        """
        features: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self.folder.glob("*.npz")):
            keys, rows = _read_shard(path)
            features.update((key, row) for key, row in zip(keys, rows, strict=True) if key in wanted)
        return features

    def add(self, keys: list[str], rows: NDArray[np.float32]) -> None:
        """Write the feature vectors ``rows`` (N, D) of ``keys`` as one new shard, in one atomic step."""
        name = fileio.compute_digest("".join(keys).encode())
        with fileio.atomic_file(self.folder / f"{name}.npz") as temp_path, open(temp_path, "wb") as stream:
            np.savez(stream, keys=np.array(keys, "U32"), rows=rows)


def _read_shard(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Return keys and rows (N, D) of a shard; a damaged one is deleted and gives none."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as shard:
            return shard["keys"].tolist(), shard["rows"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        path.unlink(missing_ok=True)
        return [], np.empty((0, 0), np.float32)
