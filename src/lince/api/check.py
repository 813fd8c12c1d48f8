"""Checks a dataset for faults: ``lince.check``."""

from __future__ import annotations

import os
from pathlib import Path

from lince import outputs
from lince.api.data_source import DataSource, open_data
from lince.api.extras import require_training_extra
from lince.checks import CheckResult, FeatureModel, check_page, run_checks
from lince.errors import UsageError
from lince.i18n import _
from lince.models.classification.registry import DEFAULT_MODEL
from lince.notebook_progress import AUTOMATIC
from lince.option_aliases import choose_given
from lince.progress import Progress


def check(  # noqa: PLR0913
    data: DataSource,
    *,
    out: str | os.PathLike[str] | None = None,
    labels: bool = False,
    model: str = DEFAULT_MODEL,
    weights: str = "auto",
    size: int | None = None,
    imgsz: int | None = None,
    overwrite: bool = False,
    progress: Progress = AUTOMATIC,
) -> CheckResult:
    """Return the findings and statistics of ``data``; with ``out``, also write them as an HTML page with pictures.

    ``labels`` also looks for labels that are probably wrong. That compares the images by the features of ``model`` with
    ``weights`` (as in ``lince.train``) at ``size`` (or ``imgsz``) pixels, and takes time. Files are never changed.

    Raises ``WeightsError`` when the weights are not available, ``MissingExtraError`` when ``labels`` needs what is not
    installed, ``UsageError`` where ``out`` is a file that lince did not write so and ``overwrite`` is not given, or
    where a network is described that ``labels`` does not ask for, and what ``lince.open`` raises.
    """
    side = choose_given("size", size, imgsz=imgsz)
    if not labels and (model != DEFAULT_MODEL or weights != "auto" or side is not None):
        raise UsageError(
            _("--model, --weights and --size are of the network that looks for label errors, which was not asked for."),
            _("Expected them beside --labels."),
            _("Add --labels, or leave them out."),
        )
    if out is not None:
        outputs.require_output_file(out, outputs.CHECK_PAGE, overwrite=overwrite, sources=[data])
    dataset = open_data(data, progress)
    with require_training_extra():
        result = run_checks(dataset, progress, FeatureModel(model, weights, side) if labels else None)
    if out is not None:
        check_page.write_html(result, Path(out), progress)
        outputs.record_output(Path(out), outputs.CHECK_PAGE)
    return result
