"""Measures how long the end of a run will take: a time budget has to leave it to the training's successors."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.training.recipe import RecipeContext
from lince.training.time_budget import ClosingTimes

REHEARSED_IMAGES, PARITY_IMAGES, REPORT_IMAGES = 16, 32, 60
Rows = NDArray[np.int64]


def rehearse_closing(
    context: RecipeContext,
    export: Callable[[Path], None],
    predict_exported: Callable[[OnnxRuntimeBackend, Rows], object],
    predict_trained: Callable[[Rows], object],
) -> ClosingTimes:
    """Return about how many seconds export, evaluation and report of a network will take.

    The export is done once as it will be, and a few test images are run with both libraries, as the comparison of the
    two does; the report draws some of them, which takes as long as some ``REPORT_IMAGES`` more.
    """
    rows = context.test_rows[:REHEARSED_IMAGES]
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lince-rehearsal-") as folder:
        path = Path(folder) / NETWORK_FILE
        export(path)
        backend = OnnxRuntimeBackend(path)
        exported_at = time.monotonic()
        predict_exported(backend, rows)
        image_seconds = (time.monotonic() - exported_at) / max(1, len(rows))
    network_at = time.monotonic()
    predict_trained(rows)
    network_seconds = (time.monotonic() - network_at) / max(1, len(rows))
    count = len(context.val_rows) + len(context.test_rows) + REPORT_IMAGES + PARITY_IMAGES
    closing_seconds = exported_at - started_at + PARITY_IMAGES * network_seconds + count * image_seconds
    return ClosingTimes(closing_seconds, network_seconds * len(context.val_rows))
