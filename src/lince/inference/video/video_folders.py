"""Names the folders into which the results of several videos are written, one for each."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from lince.datasets.target_names import make_unique_paths, sanitise_path
from lince.inference.media import VideoItem


def name_folders(videos: Sequence[VideoItem], folder: Path | None) -> list[Path | None]:
    """Return a folder below ``folder`` for each of ``videos``, named like its file; ``None`` without ``folder``."""
    if folder is None:
        return [None] * len(videos)
    names = [sanitise_path(posixpath.splitext(item.name.replace("://", "_"))[0].lstrip("/.")) for item in videos]
    return [folder / path for path in make_unique_paths(names, lambda _row, name: name)]
