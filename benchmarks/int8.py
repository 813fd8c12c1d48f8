"""int8 against float: quality on all test photos, size and time, for each RUN that is named."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lince.api.export import export
from lince.errors import ModelError
from lince.export.int8 import compare_latency
from lince.export.pipeline import ExportResult
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.load import load
from lince.preprocess import preprocess_images

ALL = 10**9
LIMIT_POINTS, LIMIT_GAIN = 1.0, 2.5
TURNS = 40


@dataclass(frozen=True)
class Timed:
    """Milliseconds per call, in float and in int8."""

    batch: int
    threads: int
    float32: float
    int8: float

    def row(self) -> str:
        gain = self.float32 / self.int8
        what = f"batch {self.batch}, {self.threads} core{'s' if self.threads > 1 else ''}"
        return f"  {what:<22}{self.float32:9.2f} ms {self.int8:9.2f} ms {gain:7.2f} x"


def run() -> None:
    """Print the table of each run, or the reason of a refusal."""
    runs = [Path(word) for word in sys.argv[2:]]
    if not runs:
        print("python -m benchmarks int8 RUN...: RUN is a finished run whose photos are still in place")
    for one in runs:
        with tempfile.TemporaryDirectory() as folder:
            _run(one, Path(folder) / "int8")


def _run(one: Path, out: Path) -> None:
    model = load(one)
    spec = model.card.preprocess
    print(f"{one.name}: {model.card.model}, {spec.width} x {spec.height}")
    try:
        done = export(one, precision="int8", out=out, count=ALL)
    except ModelError as error:
        print("  refused:", "\n           ".join(str(error).splitlines()))
        return
    _judged(done)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (8, spec.height, spec.width, 3)).astype(np.uint8)
    images = preprocess_images(list(noise), spec)
    for batch in (1, 8):
        for threads in sorted({1, count_cores()}):
            spent = compare_latency(model.backend.path, done.path / done.card.network, images[:batch], threads, TURNS)
            print(Timed(batch, threads, *spent).row())


def _judged(done: ExportResult) -> None:
    judged, small = done.validation, done.card.exported["int8"]
    if judged is None or judged.quality is None:
        print("  the test photos are not labelled")
        return
    before, after = judged.quality
    print(f"  {judged.count} {judged.split} photos         float32         int8")
    print(f"  {judged.metric_name:<22}{before:9.4f}    {after:9.4f}    {100 * (after - before):+7.2f} points")
    large, little = judged.file_sizes
    print(f"  bytes                 {large:9,}    {little:9,}    {large / little:7.2f} x")
    print(f"  layers in int8 {small['int8']}, kept in float {len(small['kept'])}, ranges by {small['way']['method']}")
    print(f"limits: at most {LIMIT_POINTS:.0f} point lost; a residual network at least {LIMIT_GAIN} x as fast")
