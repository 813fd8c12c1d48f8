"""Draws a preview of an augmentation policy: ``lince.augment``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lince import fileio, images, outputs
from lince.api.data_source import DataSource, open_data
from lince.augmentation import Policy, preview
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT, Progress
from lince.training.classification.defaults import measure_native_side

MAX_PREVIEW_SIDE = 224  # pixels of an image in the preview, unless the caller asks for another size


def augment(  # noqa: PLR0913
    data: DataSource,
    policy: str = "medium",
    *,
    out: str | Path = "sheet.png",
    size: int | None = None,
    count: int = 6,
    copies: int = 6,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Write a contact sheet of ``count`` images, each in a row with ``copies`` augmented copies, and return its path.

    ``policy`` is the name of a policy or a list of operations, such as ``rotation 15, zoom 0.1``. ``size`` is the side
    of each picture in pixels; by default that of the images, 224 at most. The images are chosen, and altered, at random
    with ``seed``. The suffix of ``out`` decides between PNG and JPEG.

    Raises ``UsageError`` for an unknown policy or operation and where a picture that lince did not write so is there
    already, and what ``lince.open`` raises.
    """
    target = outputs.require_output_file(out, outputs.SHEET, overwrite=overwrite, sources=[data])
    parsed_policy = Policy.parse(policy)
    dataset = open_data(data, progress)
    rows = np.random.default_rng(seed).permutation(len(dataset))[:count]
    side = size or min(MAX_PREVIEW_SIDE, measure_native_side(dataset))
    originals = [dataset.images.read_image(int(row), (side, side)) for row in rows]
    sheet = preview.render_preview_sheet(originals, parsed_policy, seed, copies, PreprocessSpec(side, side))
    fileio.write_bytes(target, images.encode_by_suffix(sheet, target.suffix))
    outputs.record_output(target, outputs.SHEET)
    return target
