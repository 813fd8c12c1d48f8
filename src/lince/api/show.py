"""Draws images with their labels: ``lince.show``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from lince import fileio, images, outputs
from lince.api.data_source import DataSource, open_data
from lince.checks.contact_sheet import draw_dataset_sheet
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress


def show(
    data: DataSource,
    *,
    out: str | os.PathLike[str] = "sheet.png",
    count: int = 24,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = AUTOMATIC,
) -> Path:
    """Write a contact sheet of ``count`` images with their classes and annotated objects, and return its path.

    The images are chosen at random with ``seed`` and keep the order of the data. The suffix of ``out`` decides between
    PNG and JPEG.

    Raises ``UsageError`` where a picture that lince did not write so is there already.
    """
    target = outputs.require_output_file(out, outputs.SHEET, overwrite=overwrite, sources=[data])
    dataset = open_data(data, progress)
    rows = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:count])
    sheet = draw_dataset_sheet(dataset, rows.tolist())
    fileio.write_bytes(target, images.encode_by_suffix(sheet, target.suffix))
    outputs.record_output(target, outputs.SHEET)
    return target
