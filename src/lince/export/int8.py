"""Post-training quantisation: finds which layers of a network can be int8 without losing too much quality.

The ranges of the activations come from real inputs. When int8 everywhere loses more than is allowed, the layers are
ranked by the error that each of them causes alone, and the worst return to float, by bisection, until the quality is
sufficient (Wu et al. 2020, Integer Quantization for Deep Learning Inference).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.errors import ModelError
from lince.export import onnx_graph, ort_quantizer
from lince.export.int8_layers import LayerSelection
from lince.export.ort_quantizer import CANDIDATE_SETTINGS, BatchSource, OrtQuantiser, QuantisationSettings
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.number_format import format_decimal
from lince.progress import SILENT, Progress

QualityFunction = Callable[[Path], float]
MIN_SPEEDUP = 1.1  # a smaller gain is not worth the loss of quality
_RANKING_IMAGES = 8  # inputs on which the error of each layer is measured
_REPEATS = 30  # timed calls of each network


@dataclass(frozen=True)
class QuantisationResult:
    """Result of a quantisation, written to the model card under these names.

    - ``int8``: the layers in int8; ``kept``: those left in float for their quality although int8 would be faster.
    - ``before`` and ``after``: the quality of the float network and of the result.
    - ``way``: the calibration method and the bits of the weights; ``tries``: the number of files evaluated.
    - ``milliseconds``: the latency of one image on one core, (float, int8).
    """

    int8: tuple[str, ...]
    kept: tuple[str, ...]
    before: float
    after: float
    way: QuantisationSettings
    tries: int
    milliseconds: tuple[float, float]

    @property
    def speedup(self) -> float:
        """The latency of the float network divided by that of the result."""
        return self.milliseconds[0] / self.milliseconds[1]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for the model card as JSON; ``int8`` becomes a count, and ``gain`` is the speed-up."""
        return {**asdict(self), "int8": len(self.int8), "kept": list(self.kept), "gain": self.speedup}


def quantise_network(
    network: Path,
    out: Path,
    batches: BatchSource,
    quality: QualityFunction,
    min_quality: float,
    progress: Progress = SILENT,
) -> QuantisationResult:
    """Write to ``out`` the ONNX ``network`` with int8 layers and return what was quantised.

    ``batches`` returns an iterable of inputs float32 (N, C, H, W), anew at each call, from which the ranges are
    measured: training images, preprocessed as the model card says. ``quality`` evaluates an ONNX file on other images,
    higher being better; a result below ``min_quality`` is not accepted. Raises ``ModelError``, and writes nothing, when
    no layer gains by int8, when no mixture of int8 and float reaches ``min_quality``, or when the result is not
    ``MIN_SPEEDUP`` times as fast.
    """
    with tempfile.TemporaryDirectory(prefix="lince-int8-") as folder_name:
        folder = Path(folder_name)
        prepared_path = folder / "ready.onnx"
        ort_quantizer.preprocess_graph(Path(network), prepared_path)
        layers = LayerSelection.from_graph(onnx_graph.read_onnx(prepared_path).graph)
        if not layers.layer_names:
            raise _no_gain_error(network, _("none of its layers benefits from INT8"))
        search = _QuantisationSearch(OrtQuantiser(prepared_path, batches, folder), layers, quality, progress)
        all_int8 = search.quantise_all_layers(quality(Path(network)))
        example = next(iter(batches()))[:1]
        _check_gain(
            network, compare_latency(Path(network), all_int8.path, example)
        )  # with float layers it would only be slower
        best = search.search_settings(all_int8)
        if best.quality < min_quality:
            best = search.search_mixed_precision(best, min_quality)
        _check_quality(network, search, best, min_quality)
        milliseconds = compare_latency(Path(network), best.path, example)
        _check_gain(network, milliseconds)
        result = search.build_result(best, milliseconds)
        ort_quantizer.restore_metadata(best.path, Path(network), Path(out))
    progress.show_message(_describe(result))
    return result


def compare_latency(
    first: Path, second: Path, images: NDArray[np.float32], threads: int = 1, repeats: int = _REPEATS
) -> tuple[float, float]:
    """Return the milliseconds per call of each of two networks for ``images`` (N, C, H, W), measured alternately.

    The minimum over ``repeats`` calls is taken, after two warm-up calls: other processes can only add to a call.
    """
    backends = [OnnxRuntimeBackend(path, threads) for path in (first, second)]
    call_seconds: list[list[float]] = [[], []]
    for turn in range(repeats + 2):
        for backend, times in zip(backends, call_seconds, strict=True):
            start = time.perf_counter()
            backend.run(images, list(backend.outputs))
            if turn > 1:
                times.append(time.perf_counter() - start)
    return min(call_seconds[0]) * 1000, min(call_seconds[1]) * 1000


@dataclass(frozen=True)
class _Candidate:
    """A file with the layers ``layer_names`` in int8, and its quality."""

    path: Path
    layer_names: tuple[str, ...]
    settings: QuantisationSettings
    quality: float


class _QuantisationSearch:
    """Writes and evaluates candidate files; ``tries`` counts them, ``float_quality`` is that of the float network."""

    def __init__(
        self, quantiser: OrtQuantiser, layers: LayerSelection, quality: QualityFunction, progress: Progress
    ) -> None:
        self._quantiser, self._layers, self._quality, self._progress = quantiser, layers, quality, progress
        self.float_quality = float("nan")
        self.tries = 0

    def quantise_all_layers(self, float_quality: float) -> _Candidate:
        """Return the candidate with all layers in int8 and the first settings; ``float_quality`` is kept for later."""
        self.float_quality = float_quality
        return self._evaluate_layers(self._layers.layer_names, CANDIDATE_SETTINGS[0])

    def search_settings(self, first: _Candidate) -> _Candidate:
        """Return the best candidate over all settings, all layers in int8; stops when one loses no quality."""
        best = first
        with self._progress.open_stage(_("Calibrating quantisation ranges"), len(CANDIDATE_SETTINGS)) as stage:
            for settings in CANDIDATE_SETTINGS:
                if best.quality >= self.float_quality:
                    break
                candidate = (
                    first if settings == first.settings else self._evaluate_layers(self._layers.layer_names, settings)
                )
                best = max(best, candidate, key=lambda item: item.quality)
                stage.advance(note=f"{settings.method} {format_decimal(candidate.quality, 4)}")
        return best

    def search_mixed_precision(self, all_int8: _Candidate, min_quality: float) -> _Candidate:
        """Return the candidate that reaches ``min_quality`` with the fewest layers in float that bisection finds.

        ``all_int8`` has every layer in int8. When no candidate reaches ``min_quality``, returns the best one.
        """
        ranked = self._rank_layers(all_int8.settings)
        best, sufficient, insufficient = all_int8, len(ranked), 0
        while sufficient - insufficient > 1:
            middle = (sufficient + insufficient) // 2
            candidate = self._evaluate_layers(tuple(ranked[middle:]), all_int8.settings)
            if candidate.quality >= min_quality:
                best, sufficient = candidate, middle
            else:
                insufficient = middle
                best = max(best, candidate, key=lambda item: item.quality)
        return best

    def build_result(self, best: _Candidate, milliseconds: tuple[float, float]) -> QuantisationResult:
        """Return the record of ``best``, whose latencies are ``milliseconds`` (float, int8)."""
        kept = tuple(name for name in self._layers.layer_names if name not in best.layer_names)
        int8 = tuple(name for name in self._layers.layer_names if name in best.layer_names)
        return QuantisationResult(int8, kept, self.float_quality, best.quality, best.settings, self.tries, milliseconds)

    def _evaluate_layers(self, names: Sequence[str], settings: QuantisationSettings) -> _Candidate:
        """Write the network with the layers ``names`` in int8, and the light nodes between them, and evaluate it."""
        self.tries += 1
        path = self._quantiser.folder / f"try{self.tries}.onnx"
        self._quantiser.write(self._layers.add_light_nodes(names), path, settings)
        return _Candidate(path, tuple(names), settings, self._quality(path))

    def _rank_layers(self, settings: QuantisationSettings) -> list[str]:
        """Return the layers by the error that int8 in each of them alone causes in the outputs, largest first."""
        images = _take_images(self._quantiser.batches, _RANKING_IMAGES)
        expected = _run_network(self._quantiser.network, images)
        errors = {}
        path = self._quantiser.folder / "alone.onnx"
        with self._progress.open_stage(
            _("Ranking the layers by quantisation error"), len(self._layers.layer_names)
        ) as stage:
            for name in self._layers.layer_names:
                self._quantiser.write([name], path, settings)
                errors[name] = _relative_error(expected, _run_network(path, images))
                stage.advance()
        return sorted(errors, key=lambda name: -errors[name])


def _take_images(batches: BatchSource, count: int) -> NDArray[np.float32]:
    """Return the first ``count`` inputs of ``batches``, (count, C, H, W) or fewer."""
    taken_batches: list[NDArray[np.float32]] = []
    for batch in batches():
        taken_batches.append(batch)
        if sum(map(len, taken_batches)) >= count:
            break
    return np.concatenate(taken_batches)[:count]


def _run_network(path: Path, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the outputs that matter for ``images``, without embedding and map.

    The network gets batches of its own size where that is fixed, else of 4 images. A last incomplete batch is left out.
    """
    backend = OnnxRuntimeBackend(path)
    names = [name for name in backend.outputs if name not in (onnx_graph.EMBEDDING, onnx_graph.MAP)]
    batch_size = backend.input_shape[0]
    step = batch_size if isinstance(batch_size, int) else 4
    batch_outputs = [
        backend.run(images[start : start + step], names) for start in range(0, len(images) - step + 1, step)
    ]
    return [np.concatenate(column) for column in zip(*batch_outputs, strict=True)]


def _relative_error(expected: Sequence[NDArray[np.float32]], actual: Sequence[NDArray[np.float32]]) -> float:
    """Return the squared error of ``actual`` relative to the variance of ``expected``.

    Both are averaged over all axes but the last, then the ratio is averaged over the last axis and the outputs.
    """
    ratios = []
    for expected_values, actual_values in zip(expected, actual, strict=True):
        reference = expected_values.reshape(-1, expected_values.shape[-1]).astype(np.float64)
        squared_errors = ((actual_values.reshape(reference.shape) - reference) ** 2).mean(axis=0)
        ratios.append(float((squared_errors / (reference.var(axis=0) + 1e-12)).mean()))
    return float(np.mean(ratios))


def _check_quality(network: Path, search: _QuantisationSearch, best: _Candidate, min_quality: float) -> None:
    """Raise ``ModelError`` when the quality of ``best`` is below ``min_quality`` or is not a number."""
    if not best.quality >= min_quality:
        raise _no_gain_error(
            network,
            _("its metric falls from {before:.3f} to {after:.3f} at best, in {tries} tries").format(
                before=search.float_quality, after=best.quality, tries=search.tries
            ),
            _("Expected at least {floor:.3f}.").format(floor=min_quality),
        )


def _check_gain(network: Path, milliseconds: tuple[float, float]) -> None:
    """Raise ``ModelError`` unless int8 is ``MIN_SPEEDUP`` times as fast; ``milliseconds`` is (float, int8)."""
    before, after = milliseconds
    if before < MIN_SPEEDUP * after:
        raise _no_gain_error(
            network,
            _("an image takes {after:.2f} ms instead of {before:.2f} on one core").format(after=after, before=before),
            _("Expected a speed-up of at least {gain}.").format(gain=MIN_SPEEDUP),
        )


def _no_gain_error(network: Path, reason: str, expected: str = "") -> ModelError:
    """Return the error for a network that cannot be quantised usefully."""
    return ModelError(
        _("INT8 quantisation does not help for {path}: {reason}.").format(path=network, reason=reason),
        expected,
        _(
            "Export it without --int8, or with --fp16 for half the size; plain residual networks benefit most "
            "from INT8."
        ),
    )


def _describe(result: QuantisationResult) -> str:
    """Return the log line for ``result``."""
    template = _(
        "{count} layers in INT8: {gain:.2f} times as fast; "
        "{before:.1%} on the validation photos before, {after:.1%} now."
    )
    message = template.format(count=len(result.int8), gain=result.speedup, before=result.before, after=result.after)
    if not result.kept:
        return message
    return message + " " + _("Kept in float, because they lose too much: {names}.").format(names=", ".join(result.kept))
