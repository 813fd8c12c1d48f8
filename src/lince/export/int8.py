"""Post-training quantisation: a network in eight bits where that pays, in float where it would cost too much quality.

The ranges of the activations come from real inputs. When eight bits everywhere lose more than is allowed, the layers
are ranked by the error that each of them makes alone, and the worst go back to float, by halving, until what is left
is good enough (Wu et al. 2020, Integer Quantization for Deep Learning Inference).
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
from lince.progress import SILENT, Progress

QualityFunction = Callable[[Path], float]
MIN_SPEEDUP = 1.1  # below it, eight bits are not worth their loss
_RANKING_IMAGES = 8  # images
_REPEATS = 30


@dataclass(frozen=True)
class QuantisationResult:
    """What became of a network: its layers ``int8`` and those ``kept`` in float although eight bits would be faster.

    ``before`` and ``after`` are the quality of the float network and of this one, ``way`` how ranges were found and
    the weights' bits, ``tries`` how many files were judged, ``milliseconds`` what one image took on one core (float,
    eight bits).
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
        """How many times as fast as the float network."""
        return self.milliseconds[0] / self.milliseconds[1]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for the model card."""
        return {**asdict(self), "int8": len(self.int8), "kept": list(self.kept), "gain": self.speedup}


def quantise_network(
    network: Path,
    out: Path,
    batches: BatchSource,
    quality: QualityFunction,
    min_quality: float,
    progress: Progress = SILENT,
) -> QuantisationResult:
    """Write to ``out`` the ONNX ``network`` in eight bits and return what it holds.

    ``batches`` gives the inputs (N, C, H, W) from which ranges are taken, anew at each call: training images,
    prepared as the model's card says. ``quality`` judges an ONNX file, on images that are in no part of them; below
    ``floor`` no result is accepted. Raises ``ModelError``, and writes nothing, when the network has no layer that
    gains, when no mixture of eight bits and float reaches the floor, and when the one that does is not faster.
    """
    with tempfile.TemporaryDirectory(prefix="lince-int8-") as place:
        folder = Path(place)
        ready = folder / "ready.onnx"
        ort_quantizer.preprocess_graph(Path(network), ready)
        layers = LayerSelection.from_graph(onnx_graph.read_onnx(ready).graph)
        if not layers.layer_names:
            raise _no_gain_error(network, _("no layer of it gains by eight bits"))
        search = _QuantisationSearch(OrtQuantiser(ready, batches, folder), layers, quality, progress)
        first = search.quantise_all_layers(quality(Path(network)))
        one = next(iter(batches()))[:1]
        _check_gain(network, compare_latency(Path(network), first.path, one))  # float layers would only make it slower
        best = search.search_settings(first)
        if best.quality < min_quality:
            best = search.search_mixed_precision(best, min_quality)
        _check_quality(network, search, best, min_quality)
        spent = compare_latency(Path(network), best.path, one)
        _check_gain(network, spent)
        done = search.build_result(best, spent)
        ort_quantizer.restore_metadata(best.path, Path(network), Path(out))
    progress.show_message(_describe(done))
    return done


def compare_latency(
    one: Path, other: Path, images: NDArray[np.float32], threads: int = 1, repeats: int = _REPEATS
) -> tuple[float, float]:
    """Return the milliseconds a call of each network takes for ``images`` (N, C, H, W), called in turns.

    It is the quickest call that counts: what else the machine does only adds to the others.
    """
    sessions = [OnnxRuntimeBackend(path, threads) for path in (one, other)]
    taken: list[list[float]] = [[], []]
    for turn in range(repeats + 2):
        for session, times in zip(sessions, taken, strict=True):
            start = time.perf_counter()
            session.run(images, list(session.outputs))
            if turn > 1:
                times.append(time.perf_counter() - start)
    return min(taken[0]) * 1000, min(taken[1]) * 1000


@dataclass(frozen=True)
class _Candidate:
    """A file with the layers ``names`` in eight bits, and its quality."""

    path: Path
    layer_names: tuple[str, ...]
    settings: QuantisationSettings
    quality: float


class _QuantisationSearch:
    """Files written and judged, until one is good enough."""

    def __init__(
        self, quantiser: OrtQuantiser, layers: LayerSelection, quality: QualityFunction, progress: Progress
    ) -> None:
        self._quantiser, self._layers, self._quality, self._progress = quantiser, layers, quality, progress
        self.before = float("nan")
        self.tries = 0

    def quantise_all_layers(self, before: float) -> _Candidate:
        """Return all layers in eight bits the first way; ``before`` is the quality of the float network."""
        self.before = before
        return self._evaluate_layers(self._layers.layer_names, CANDIDATE_SETTINGS[0])

    def search_settings(self, first: _Candidate) -> _Candidate:
        """Return the best of the ways to find ranges, all layers in eight bits; one that loses nothing ends it."""
        best = first
        with self._progress.open_stage(_("Measuring ranges"), len(CANDIDATE_SETTINGS)) as stage:
            for way in CANDIDATE_SETTINGS:
                if best.quality >= self.before:
                    break
                found = first if way == first.settings else self._evaluate_layers(self._layers.layer_names, way)
                best = max(best, found, key=lambda one: one.quality)
                stage.advance(note=f"{way.method} {found.quality:.4f}")
        return best

    def search_mixed_precision(self, whole: _Candidate, floor: float) -> _Candidate:
        """Return the best file that reaches ``floor`` with as few layers in float as halving finds."""
        ranked = self._rank_layers(whole.settings)
        best, good, bad = whole, len(ranked), 0
        while good - bad > 1:
            middle = (good + bad) // 2
            found = self._evaluate_layers(tuple(ranked[middle:]), whole.settings)
            if found.quality >= floor:
                best, good = found, middle
            else:
                bad = middle
                best = max(best, found, key=lambda one: one.quality)
        return best

    def build_result(self, best: _Candidate, spent: tuple[float, float]) -> QuantisationResult:
        """Return the record of ``best``, whose calls ``spent`` milliseconds (float, eight bits)."""
        kept = tuple(name for name in self._layers.layer_names if name not in best.layer_names)
        int8 = tuple(name for name in self._layers.layer_names if name in best.layer_names)
        return QuantisationResult(int8, kept, self.before, best.quality, best.settings, self.tries, spent)

    def _evaluate_layers(self, names: Sequence[str], way: QuantisationSettings) -> _Candidate:
        self.tries += 1
        path = self._quantiser.folder / f"try{self.tries}.onnx"
        self._quantiser.write(self._layers.add_light_nodes(names), path, way)
        return _Candidate(path, tuple(names), way, self._quality(path))

    def _rank_layers(self, way: QuantisationSettings) -> list[str]:
        """Return the layers, first the one whose eight bits alone change the answers most."""
        images = _take_images(self._quantiser.batches, _RANKING_IMAGES)
        expected = _run_network(self._quantiser.network, images)
        errors = {}
        path = self._quantiser.folder / "alone.onnx"
        with self._progress.open_stage(_("Ranking layers"), len(self._layers.layer_names)) as stage:
            for name in self._layers.layer_names:
                self._quantiser.write([name], path, way)
                errors[name] = _relative_error(expected, _run_network(path, images))
                stage.advance()
        return sorted(errors, key=lambda name: -errors[name])


def _take_images(batches: BatchSource, count: int) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    for batch in batches():
        parts.append(batch)
        if sum(map(len, parts)) >= count:
            break
    return np.concatenate(parts)[:count]


def _run_network(path: Path, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    session = OnnxRuntimeBackend(path)
    names = [name for name in session.outputs if name not in (onnx_graph.EMBEDDING, onnx_graph.MAP)]
    fixed = session.input_shape[0]
    step = fixed if isinstance(fixed, int) else 4
    parts = [session.run(images[at : at + step], names) for at in range(0, len(images) - step + 1, step)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _relative_error(expected: Sequence[NDArray[np.float32]], found: Sequence[NDArray[np.float32]]) -> float:
    """Return the mean over outputs and their last axis of the squared difference by the expected variance."""
    shares = []
    for one, other in zip(expected, found, strict=True):
        flat = one.reshape(-1, one.shape[-1]).astype(np.float64)
        apart = ((other.reshape(flat.shape) - flat) ** 2).mean(axis=0)
        shares.append(float((apart / (flat.var(axis=0) + 1e-12)).mean()))
    return float(np.mean(shares))


def _check_quality(network: Path, search: _QuantisationSearch, best: _Candidate, floor: float) -> None:
    if not best.quality >= floor:
        raise _no_gain_error(
            network,
            _("its quality falls from {before:.3f} to {after:.3f} at best, in {tries} tries").format(
                before=search.before, after=best.quality, tries=search.tries
            ),
            _("Expected at least {floor:.3f}.").format(floor=floor),
        )


def _check_gain(network: Path, spent: tuple[float, float]) -> None:
    before, after = spent
    if before < MIN_SPEEDUP * after:
        raise _no_gain_error(
            network,
            _("an image takes {after:.2f} ms instead of {before:.2f} on one core").format(after=after, before=before),
            _("Expected at least {gain} times as fast.").format(gain=MIN_SPEEDUP),
        )


def _no_gain_error(network: Path, reason: str, expected: str = "") -> ModelError:
    return ModelError(
        _("Eight bits do not pay for {path}: {reason}.").format(path=network, reason=reason),
        expected,
        _("Export it without --int8, or with --fp16 for half the size; plain residual networks gain most."),
    )


def _describe(done: QuantisationResult) -> str:
    text = _("{count} layers in eight bits: {gain:.2f} times as fast, quality {before:.3f} before, {after:.3f} now.")
    told = text.format(count=len(done.int8), gain=done.speedup, before=done.before, after=done.after)
    if not done.kept:
        return told
    return told + " " + _("Kept in float, because they lose too much: {names}.").format(names=", ".join(done.kept))
