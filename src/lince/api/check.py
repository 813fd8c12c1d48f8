"""The verbs that look at data: check, show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lince import fileio, images
from lince.api.extras import require_training_extra
from lince.checks import CheckResult, FeatureModel, check_page, run_checks
from lince.checks.contact_sheet import draw_contact_sheet
from lince.datasets import Dataset, open_dataset
from lince.progress import SILENT, Progress


def check(  # noqa: PLR0913
    data: str | Path | Dataset,
    *,
    out: str | Path | None = None,
    labels: bool = False,
    model: str = "small",
    weights: str = "auto",
    size: int | None = None,
    progress: Progress = SILENT,
) -> CheckResult:
    """Return what is wrong with ``data`` and its figures; with ``out`` also write the page with the pictures there.

    ``labels`` looks for labels that are probably wrong, too, by what the photos look like to ``model`` with ``weights``
    (as in ``train``) at ``size`` pixels. Raise ``WeightsError`` when there are none to be had.
    """
    dataset = data if isinstance(data, Dataset) else open_dataset(data, progress=progress)
    with require_training_extra():
        found = run_checks(dataset, progress, FeatureModel(model, weights, size) if labels else None)
    if out is not None:
        check_page.write_html(found, Path(out), progress)
    return found


def show(
    data: str | Path | Dataset,
    *,
    out: str | Path = "sheet.png",
    count: int = 24,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Path:
    """Write a picture of ``count`` photos with their classes and what is marked on them, and return its path.

    They are drawn at random with ``seed``, in the order of the data. The ending of ``out`` says whether the picture
    is a PNG or a JPEG.
    """
    dataset = data if isinstance(data, Dataset) else open_dataset(data, progress=progress)
    rows = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:count])
    sheet = draw_contact_sheet(dataset, rows.tolist())
    encode = images.encode_jpeg if Path(out).suffix.lower() in (".jpg", ".jpeg") else images.encode_png
    fileio.write_bytes(Path(out), encode(sheet))
    return Path(out)
