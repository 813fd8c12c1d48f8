"""Export contract: every family, target and precision gives the run's results; planted faults are caught."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support import tiny_classifier, tiny_detector

from lince import images
from lince.annotations import Classes
from lince.datasets import Dataset, compute_content_keys, open_dataset
from lince.errors import LinceError, MissingExtraError, ModelError, UsageError
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.inference.backends import backend
from lince.inference.load import load
from lince.model_card import CARD_FILE, ModelCard
from lince.preprocess import PreprocessSpec
from lince.progress import SilentProgress
from lince.splits import TEST, TRAIN, VAL

onnx = pytest.importorskip("onnx")

from onnx import numpy_helper  # noqa: E402

from lince.export import int8, model_outputs  # noqa: E402
from lince.export.agreement import TOLERANCES  # noqa: E402
from lince.export.classification.outputs import ClassificationOutputs, collect_outputs  # noqa: E402
from lince.export.model_outputs import EvaluationImages  # noqa: E402
from lince.export.pipeline import ExportInput, ExportOptions, ExportResult, export_model  # noqa: E402
from lince.export.targets import TARGETS, coreml  # noqa: E402
from lince.export.targets import onnx as onnx_target  # noqa: E402
from lince.export.targets.onnx import TARGET as ONNX  # noqa: E402

SPEC = PreprocessSpec(16, 16, "squash", "rgb", (124.0, 116.0, 104.0), (58.0, 57.0, 55.0))
SIDE = 64


def coloured(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return an image with different colours in its middle and at its sides, so that crops and flips show."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = rng.integers(90, 170, 3)
    edge = max(1, width // 5)
    picture[:, :edge] = picture[:, -edge:] = rng.integers(60, 230, 3)
    return picture


def pictures(folder: Path, count: int = 18, seed: int = 0) -> Dataset:
    """Write ``count`` photos of each colour below ``folder``, a third each for train, val and test."""
    rng = np.random.default_rng(seed)
    for name in tiny_classifier.NAMES:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            height, width = rng.integers(20, 60, 2)
            path = folder / name / f"{number:02}.png"
            path.write_bytes(images.encode_png(coloured(rng, int(height), int(width) + 40)))
    dataset = open_dataset(folder)
    splits = np.array([(TRAIN, VAL, TEST)[row % 3] for row in range(len(dataset))], np.int8)
    return replace(dataset, splits=splits)


def part(dataset: Dataset, split: int) -> Dataset:
    return dataset.select(dataset.get_split_indices(split))


def material(folder: Path, dataset: Dataset, recorded: ClassificationPredictions | None = None) -> ExportInput:
    return ExportInput(
        folder, EvaluationImages(part(dataset, TEST), "test"), part(dataset, TRAIN), part(dataset, VAL), recorded
    )


def classifier(folder: Path) -> Path:
    tiny_classifier.model_folder(folder)
    replace(tiny_classifier.card(), preprocess=SPEC).save(folder)
    return folder


@pytest.fixture(autouse=True)
def _short_races(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure speeds in a few calls: no test checks a duration."""
    monkeypatch.setattr(model_outputs, "_MAX_ROUNDS", 4)


@pytest.fixture
def dataset(awkward: Path) -> Dataset:
    return pictures(awkward / "fotos")


@pytest.fixture
def made(awkward: Path, dataset: Dataset) -> ExportInput:
    """Return a run's model with the predictions that were recorded when it was trained."""
    folder = classifier(awkward / "run" / "model")
    photos = EvaluationImages(part(dataset, TEST), "test")
    answers = collect_outputs(load(folder), photos, with_strips=False)
    assert isinstance(answers, ClassificationOutputs)
    test = photos.dataset
    names = tuple(test.images.get_name(row) for row in range(len(test)))
    recorded = ClassificationPredictions(
        tuple(compute_content_keys(test)), names, test.class_ids, answers.probabilities, answers.classes
    )
    return material(folder, dataset, recorded)


def skip_without(target: str) -> None:
    for module, _line in TARGETS[target].find_missing():
        pytest.skip(f"no {module} here")


# Exported folder, card and figures.


def test_an_export_opens_as_its_run_does_and_its_card_tells_what_was_measured(made: ExportInput, awkward: Path) -> None:
    done = export_model(made, ExportOptions("onnx", "fp16"), awkward / "out")
    assert sorted(path.name for path in done.path.iterdir()) == [CARD_FILE, "model.onnx"]
    card = ModelCard.load(done.path)
    assert (card.target, card.precision, card.preprocess) == ("onnx", "fp16", SPEC)
    told = card.exported
    assert told["checked"]
    assert told["count"] == len(made.test)
    assert told["milliseconds"]["run"] > 0
    assert told["images_per_second"]["export"] > 0
    assert told["quality"]["run"] == told["quality"]["export"] == pytest.approx(told["quality"]["run"])
    assert told["bytes"]["run"] == (made.folder / "model.onnx").stat().st_size
    assert json.loads((done.path / CARD_FILE).read_text("utf-8"))["exported"] == told
    photo = tiny_classifier.photo("red")
    assert load(done.path).predict(photo).class_name == load(made.folder).predict(photo).class_name


class Quicker(SilentProgress):
    """Progress listener that writes to ``folder`` while the export runs, as another program would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def show_message(self, text: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "theirs.txt").write_text(text, "utf-8")


def test_files_written_by_others_during_an_export_are_kept(made: ExportInput, awkward: Path) -> None:
    before = set(awkward.iterdir())
    with pytest.raises(FileExistsError) as caught:
        export_model(made, ExportOptions(), awkward / "out", Quicker(awkward / "out"))
    assert caught.value.filename == str(awkward / "out")
    assert [path.name for path in (awkward / "out").iterdir()] == ["theirs.txt"]
    assert set(awkward.iterdir()) - before == {awkward / "out"}


FULL = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); "
LINCE = "from lince.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.skipif(sys.platform != "linux", reason="files are kept small as Linux does")
def test_where_nothing_more_can_be_written_is_told(made: ExportInput, awkward: Path) -> None:
    words = ["export", made.folder, "--data", awkward / "fotos", "--out", awkward / "out"]
    done = subprocess.run(
        [sys.executable, "-c", FULL + LINCE, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert ".out." in done.stderr  # the folder beside
    assert "run/model" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in awkward.iterdir() if "out" in path.name]


def test_a_packed_export_is_one_file(made: ExportInput, awkward: Path) -> None:
    done = export_model(made, ExportOptions(), awkward / "modelo.lince")
    assert done.path.is_file()
    assert load(done.path).card.exported["checked"]
    assert sorted(path.name for path in awkward.iterdir()) == ["fotos", "modelo.lince", "run"]


def test_half_precision_is_half_the_size(awkward: Path, dataset: Dataset) -> None:
    network = tiny_classifier.network()
    wide = np.random.default_rng(0).normal(0, 1e-4, (3, 3000)).astype(np.float32)
    wide[:, :3] = tiny_classifier.WEIGHT
    network.graph.initializer[0].CopyFrom(numpy_helper.from_array(wide[:, :3].copy(), "weight"))
    network.graph.initializer.append(numpy_helper.from_array(wide, "unused"))
    folder = classifier(awkward / "model")
    onnx.save(network, folder / "model.onnx")
    done = export_model(material(folder, dataset), ExportOptions("onnx", "fp16"), awkward / "out")
    told = done.card.exported["bytes"]
    assert told["export"] < 0.6 * told["run"]
    network.graph.initializer[1].CopyFrom(numpy_helper.from_array(wide * 1e12, "unused"))


# The planted faults: in the exported card, in the exported network, in the run itself.

Change = Callable[[dict[str, Any]], None]


def _swapped(record: dict[str, Any]) -> None:
    spec = record["preprocess"]
    spec["mean"], spec["std"] = spec["std"], spec["mean"]


def _bgr(record: dict[str, Any]) -> None:
    record["preprocess"]["channels"] = "bgr"


def _shifted(record: dict[str, Any]) -> None:
    record["classes"] = [*record["classes"][1:], record["classes"][0]]


def _cropped(record: dict[str, Any]) -> None:
    record["preprocess"]["resize"] = "crop"


FAULTS = pytest.mark.parametrize(
    "fault", [_swapped, _bgr, _shifted, _cropped], ids=["mean-std", "bgr", "order", "resize"]
)


@FAULTS
def test_a_fault_in_the_exported_card_is_caught(
    made: ExportInput, awkward: Path, fault: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ModelCard.to_dict

    def damaged(card: ModelCard) -> dict[str, Any]:
        record = json.loads(json.dumps(written(card)))
        fault(record)
        return record

    monkeypatch.setattr(ModelCard, "to_dict", damaged)
    with pytest.raises(ModelError, match="differs from that of the run"):
        export_model(made, ExportOptions(), awkward / "out")
    assert not (awkward / "out").exists()
    assert sorted(path.name for path in awkward.iterdir()) == ["fotos", "run"]


def _weights(change: Callable[[np.ndarray], np.ndarray], name: str) -> Callable[[Path, Path, str], None]:
    def write(network: Path, path: Path, precision: str) -> None:
        model = onnx.load(network)
        item = next(item for item in model.graph.initializer if item.name == name)
        item.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(item))), name))
        onnx.save(model, path)

    return write


def _folded_wrongly(network: Path, path: Path, precision: str) -> None:
    """Fold preprocessing into the network with mean and deviation exchanged, and set the card as for a correct one."""
    model = onnx.load(network)
    mean, std = (np.asarray(one, np.float32).reshape(1, 3, 1, 1) for one in (SPEC.mean, SPEC.std))
    scale, shift = std / mean, (mean - std) / mean
    model.graph.initializer.extend([numpy_helper.from_array(scale, "scale"), numpy_helper.from_array(shift, "shift")])
    for node in model.graph.node:
        node.input[:] = ["folded" if name == "images" else name for name in node.input]
    nodes = [
        onnx.helper.make_node("Mul", ["images", "scale"], ["scaled"]),
        onnx.helper.make_node("Add", ["scaled", "shift"], ["folded"]),
        *model.graph.node,
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


NETWORK_FAULTS = {
    "mean-std": _folded_wrongly,
    "bgr": _weights(lambda weight: weight[:, ::-1], "weight"),
    "order": _weights(lambda weight: np.roll(weight, 1, axis=0), "weight"),
    "no number": _weights(lambda bias: bias + np.float32(np.nan), "bias"),
}


@pytest.mark.parametrize("name", NETWORK_FAULTS)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_fault_in_the_exported_network_is_caught(
    made: ExportInput, awkward: Path, name: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_target, "TARGET", replace(ONNX, write=NETWORK_FAULTS[name]))
    with pytest.raises(ModelError, match="does not reproduce the run"):
        export_model(made, ExportOptions("onnx", precision), awkward / "out")
    assert not (awkward / "out").exists()


@FAULTS
def test_a_run_that_was_changed_after_its_training_is_caught(made: ExportInput, awkward: Path, fault: Change) -> None:
    path = made.folder / CARD_FILE
    record = json.loads(path.read_text("utf-8"))
    fault(record)
    path.write_text(json.dumps(record), "utf-8")
    with pytest.raises(ModelError, match="no longer gives the same predictions"):
        export_model(made, ExportOptions(), awkward / "out")
    assert not (awkward / "out").exists()


def test_what_loses_more_than_allowed_is_refused_and_what_is_allowed_is_kept(
    made: ExportInput, awkward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(network: Path, path: Path, precision: str) -> None:
        NETWORK_FAULTS["order"](network, path, precision)

    monkeypatch.setattr(onnx_target, "TARGET", replace(ONNX, write=write))
    monkeypatch.setitem(TOLERANCES, "fp32", None)
    truths = collect_outputs(load(made.folder), made.test, with_strips=False)
    assert isinstance(truths, ClassificationOutputs)
    told = replace(made.test.dataset, class_ids=truths.probabilities.argmax(1).astype(np.int32))
    judged = replace(made, test=EvaluationImages(told, "test"))
    with pytest.raises(ModelError, match=r"loses 1?\d\d\.\d\d percentage points"):
        export_model(judged, ExportOptions(max_drop=1), awkward / "out")
    assert export_model(judged, ExportOptions(max_drop=100), awkward / "out").validation is not None


# Every family, target and precision.


def _trained(name: str, folder: Path) -> Path:
    """Write a model with random weights of a torch-built family to ``folder``."""
    pytest.importorskip("torch")
    from lince.export.torch_to_onnx import export_classifier, export_detector
    from lince.models import weights_source
    from lince.models.classification import classifier as classifiers
    from lince.models.classification import registry as classification_registry
    from lince.models.detection import builders as detection_builders
    from lince.models.detection import registry as detection_registry

    if name in CLASSIFIERS:
        entry = classification_registry.get_model_entry(CLASSIFIERS[name])
        spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), 32)
        export_classifier(classifiers.build_classifier(entry, 3, spec, 0), spec, folder / "model.onnx")
        card = ModelCard("classify", Classes(tiny_classifier.NAMES), spec, name, "none", "random weights")
    else:
        found = detection_registry.get_detector_entry(name)
        spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(found, "none"), SIDE)
        network = detection_builders.build_detector(found, 3, spec, 0)
        export_detector(network, spec, folder / "model.onnx")
        card = ModelCard(
            "detect", Classes(tiny_classifier.NAMES), spec, name, "none", "random weights", decoder=network.decoder_name
        )
    card.save(folder)
    return folder


CLASSIFIERS = {
    "cnn": "cnn: conv 8 3, norm, res 16 stride 2, res 16, gap",
    "timm": "mobilenetv3_small_050",
}
LIGHT = {"tiny": classifier, "finder": tiny_detector.model_folder}
FAMILIES = ["tiny", "finder", "cnn", "timm", "yolox-nano"]
# Every target that can be opened again; int8 is chosen by measuring, and has tests of its own.
FORMS = [
    (name, precision)
    for name, target in TARGETS.items()
    if target.open
    for precision in target.precisions
    if precision != "int8"
]
QUERIES = ["fasterrcnn: mobilenetv3_small_050", "dfine-n"]


def _exported(name: str, form: tuple[str, str], dataset: Dataset, place: Path) -> ExportResult:
    skip_without(form[0])
    folder = place / "run" / "model"
    folder.mkdir(parents=True)
    (LIGHT[name] if name in LIGHT else lambda where: _trained(name, where))(folder)
    return export_model(material(folder, dataset), ExportOptions(*form, max_drop=3), place / "out")


def _cases() -> list[Any]:
    """Yield every family in every form; those that take seconds to build or convert are marked slow."""
    slow = {"tiny": ("torch-export", "litert"), "finder": ("torchscript", "torch-export", "litert")}
    quick = {"cnn": [("onnx", "fp16"), ("openvino", "fp32")], "yolox-nano": [("onnx", "fp16")]}
    return [
        pytest.param(
            name,
            form,
            marks=[]
            if (form[0] not in slow[name] if name in slow else form in quick.get(name, ()))
            else pytest.mark.slow,
            id=" ".join((name, *form)),
        )
        for name in FAMILIES
        for form in FORMS
    ]


@pytest.mark.parametrize(("name", "form"), _cases())
def test_an_export_answers_as_its_run(name: str, form: tuple[str, str], awkward: Path) -> None:
    done = _exported(name, form, pictures(awkward / "fotos", 6), awkward)
    tolerance = TOLERANCES[form[1]]
    assert done.validation is not None
    assert tolerance is not None
    assert done.validation.output_agreement.is_within(tolerance)
    assert done.validation.output_agreement.agreement > 0.97
    if form[0] in backend.RUNTIMES:
        # Twice and with another batch size: state that an engine keeps between calls must not change the result.
        ours, theirs = load(done.path), load(awkward / "run")
        photos = [tiny_classifier.photo(colour, 30, 70) for colour in ("red", "green", "blue", "red", "blue")]
        for batch in (photos, photos[:1], photos[1:4]):
            for one, other in zip(
                ours.predict_prepared([ours.prepare(photo) for photo in batch]),
                theirs.predict_prepared([theirs.prepare(photo) for photo in batch]),
                strict=True,
            ):
                assert _figures(one) == pytest.approx(_figures(other), abs=TOLERANCES[form[1]].box)


def _figures(answer: Any) -> list[float]:
    if hasattr(answer, "label"):
        return list(map(float, answer.label.probabilities))
    return [float(side) for box in answer.detections.boxes for side in box]


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("form", [("onnx", "fp32"), ("onnx", "fp16")], ids=" ".join)
def test_detectors_that_choose_by_themselves_are_exported_too(name: str, form: tuple[str, str], awkward: Path) -> None:
    done = _exported(name, form, pictures(awkward / "fotos", 3), awkward)
    assert done.validation is not None


@pytest.mark.slow
def test_what_torch_cannot_be_given_is_refused_by_its_name(awkward: Path) -> None:
    with pytest.raises(ModelError, match="contains the operation"):
        _exported(QUERIES[0], ("torchscript", "fp32"), pictures(awkward / "fotos", 3), awkward)
    assert not (awkward / "out").exists()


@pytest.mark.slow
def test_eight_bits_are_judged_by_what_they_lose(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "MIN_SPEEDUP", 0.0)  # such a small network gains nothing
    done = _exported("cnn", ("onnx", "int8"), pictures(awkward / "fotos", 9), awkward)
    assert done.card.precision == "int8"
    assert done.card.exported["int8"]["tries"] >= 1


# Real networks on real photos.

REAL = 100
Real = Callable[[Path, Path], ExportInput]


def _parts(dataset: Dataset) -> list[Dataset]:
    """Return a hundred evenly spaced photos for the parity check, and as many for training and validation."""
    rows = np.linspace(0, len(dataset) - 1, 3 * REAL).astype(np.int64)
    return [dataset.select(rows[at::3]) for at in range(3)]


def _flowers(shared: Path, folder: Path, **choices: Any) -> ExportInput:
    """Return a classifier trained on a hundred photos: better than chance, but not accurate."""
    import lince

    test, train, val = _parts(open_dataset(shared / "data" / "flowers"))
    seen = replace(train, splits=np.array([(TRAIN, TRAIN, VAL, TEST)[row % 4] for row in range(REAL)], np.int8))
    run = lince.train(seen, out=folder / "run", **choices)
    return ExportInput(run.model_folder, EvaluationImages(test, "test"), train, val)


def _transferred(shared: Path, folder: Path) -> ExportInput:
    weights = str(shared / "weights" / "mobilenetv2_100_padsame.pth")
    return _flowers(shared, folder, model="mobilenetv2_100", weights=weights, size=160)


def _from_scratch(shared: Path, folder: Path) -> ExportInput:
    return _flowers(shared, folder, recipe="scratch", size=64, epochs=3)


def _published(shared: Path, folder: Path) -> ExportInput:
    """Return the published detector with all its classes; the photos' labels use the first ones."""
    return _workers(shared, folder, "yolox-nano", str(shared / "weights" / "yolox_nano.pth"), 80)


def _workers(shared: Path, folder: Path, name: str, weights: str, count: int) -> ExportInput:
    from lince.export.torch_to_onnx import export_detector
    from lince.models import weights as published
    from lince.models import weights_source
    from lince.models.detection import builders as detection_builders
    from lince.models.detection import registry as detection_registry

    entry = detection_registry.get_detector_entry(name)
    source = weights_source.resolve_weights(entry, weights)
    side = weights_source.make_preprocess_spec(source).height if weights != "none" else 128
    spec, classes = weights_source.make_preprocess_spec(source, side), Classes(tuple(map(str, range(count))))
    network = detection_builders.build_detector(entry, count, spec, 0)
    if weights != "none":
        published.load_network_weights(network, source)
    model = folder / "model"
    model.mkdir()
    export_detector(network.eval(), spec, model / "model.onnx")
    ModelCard("detect", classes, spec, name, entry.licence, weights, decoder=network.decoder_name).save(model)
    test = _parts(open_dataset(shared / "data" / "hardhat", format="yolo"))[0]
    return ExportInput(model, EvaluationImages(replace(test, classes=classes), "test"))


def _regions(shared: Path, folder: Path) -> ExportInput:
    return _workers(shared, folder, QUERIES[0], "none", 3)


def _queries(shared: Path, folder: Path) -> ExportInput:
    pytest.importorskip("transformers")
    return _workers(shared, folder, "dfine-n", "none", 3)


REALS: dict[str, Real] = {
    "transfer": _transferred,
    "scratch": _from_scratch,
    "yolox-nano": _published,
    "fasterrcnn": _regions,
    "dfine-n": _queries,
}
# Networks with their own region selection contain operations that the other targets do not support.
REAL_FORMS = [
    (name, form)
    for name in REALS
    for form in (*FORMS[1:], ("onnx", "int8"))
    if (name not in ("fasterrcnn", "dfine-n") or form == ("onnx", "fp16"))
    and (name != "yolox-nano" or form[1] != "int8")
]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], ExportInput]:
    """Return a function that makes each model once for all forms."""
    made: dict[str, ExportInput] = {}

    def making(name: str, shared: Path) -> ExportInput:
        if name not in made:
            made[name] = REALS[name](shared, tmp_path_factory.mktemp(name))
        return made[name]

    return making


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), REAL_FORMS, ids=lambda one: one if isinstance(one, str) else " ".join(one))
def test_real_networks_answer_alike_on_a_hundred_real_photos(
    name: str,
    form: tuple[str, str],
    real: Callable[[str, Path], ExportInput],
    shared: Path,
    awkward: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    skip_without(form[0])
    monkeypatch.setattr(int8, "MIN_SPEEDUP", 0.0)  # speed is for benchmarks
    done = export_model(real(name, shared), ExportOptions(*form, max_drop=2), awkward / "out")
    assert done.validation is not None
    assert done.validation.count == REAL
    tolerance = TOLERANCES[form[1]]
    if tolerance is None:
        assert done.validation.output_agreement.agreement >= 0.9
    else:
        assert done.validation.output_agreement.is_within(tolerance)
        # A detector with random weights scores everything alike, so a single bit changes the order.
        assert done.validation.output_agreement.agreement >= 0.98 or name in ("fasterrcnn", "dfine-n")


# Photos of every kind, read from files.


def _odd(folder: Path) -> Dataset:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    turned, stream = Image.Exif(), io.BytesIO()
    turned[0x0112] = 6
    Image.fromarray(coloured(rng, 40, 90)).save(folder / "e turned.jpg", exif=turned)
    Image.fromarray(coloured(rng, 40, 60)).convert("CMYK").save(folder / "f cmyk.jpg")
    Image.fromarray(coloured(rng, 40, 60)).convert("L").save(folder / "g grey.png")
    Image.fromarray(coloured(rng, 1, 1)).save(folder / "a 1x1.png")
    Image.fromarray(coloured(rng, 1, 4000)).save(folder / "b 1x4000.png")
    Image.fromarray(np.ascontiguousarray(coloured(rng, 1, 4000).transpose(1, 0, 2))).save(folder / "c 4000x1.png")
    Image.fromarray(coloured(rng, 6000, 8000)).save(stream, "JPEG")
    (folder / "h 8000x6000.jpg").write_bytes(stream.getvalue())
    return open_dataset(folder.parent)


@pytest.mark.parametrize("form", [("onnx", "fp16"), ("openvino", "fp32")], ids=" ".join)
@pytest.mark.parametrize("name", ["tiny", "finder"])
def test_photos_of_every_kind_get_the_same_answers(name: str, form: tuple[str, str], awkward: Path) -> None:
    skip_without(form[0])
    (awkward / "fotos" / "green").mkdir(parents=True)
    Image.fromarray(coloured(np.random.default_rng(1), 30, 30)).save(awkward / "fotos" / "green" / "one.png")
    odd = _odd(awkward / "fotos" / "red")
    folder = LIGHT[name](awkward / "run" / "model")
    done = export_model(
        ExportInput(folder, EvaluationImages(odd, "all")), ExportOptions(*form, max_drop=5), awkward / "out"
    )
    assert done.validation is not None
    assert done.validation.count == 8


# Refusals.


def test_impossible_exports_are_refused_before_anything_is_written(made: ExportInput, awkward: Path) -> None:
    with pytest.raises(UsageError, match="does not write models for tensorrt"):
        export_model(made, ExportOptions("tensorrt"), awkward / "out")
    with pytest.raises(UsageError, match="does not support int8"):
        export_model(made, ExportOptions("torchscript", "int8"), awkward / "out")
    with pytest.raises(UsageError, match="cannot be 'keras'"):
        export_model(made, ExportOptions("keras"), awkward / "out")
    (awkward / "full").mkdir()
    (awkward / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        export_model(made, ExportOptions(), awkward / "full")
    assert not (awkward / "out").exists()
    assert (awkward / "full" / "mine.txt").read_text() == "mine"


def test_an_export_without_parity_check_needs_an_option(
    made: ExportInput, awkward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = replace(ONNX, name="coreml", open=None, unverifiable_reason=lambda: "there is no Mac")
    monkeypatch.setattr(coreml, "TARGET", blind)
    with pytest.raises(UsageError, match="cannot be validated on this machine: there is no Mac"):
        export_model(made, ExportOptions("coreml"), awkward / "out")
    done = export_model(made, ExportOptions("coreml", allow_unchecked=True), awkward / "out")
    assert done.validation is None
    assert ModelCard.load(done.path).exported == {"checked": False, "why": "there is no Mac"}
    with pytest.raises(ModelError, match="cannot run a model for"):
        load(done.path)


def test_an_export_is_not_exported_again(made: ExportInput, awkward: Path) -> None:
    done = export_model(made, ExportOptions("onnx", "fp16"), awkward / "out")
    with pytest.raises(ModelError, match=r"already an export \(onnx, fp16\)"):
        export_model(replace(made, folder=done.path), ExportOptions(), awkward / "again")


def test_a_runtime_that_is_not_installed_is_named_with_the_line_to_type(
    made: ExportInput, awkward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = export_model(made, ExportOptions(), awkward / "out")
    replace(done.card, target="openvino").save(done.path)
    away = replace(backend.RUNTIMES["openvino"], module="no_such_module_here")
    monkeypatch.setitem(backend.RUNTIMES, "openvino", away)
    with pytest.raises(MissingExtraError) as caught:
        load(done.path)
    assert "pip install --no-deps openvino" in str(caught.value)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"<net/>"])
def test_a_damaged_openvino_file_is_refused(damage: Callable[[bytes], bytes], made: ExportInput, awkward: Path) -> None:
    skip_without("openvino")
    done = export_model(made, ExportOptions("openvino"), awkward / "out")
    path = done.path / "model.xml"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(LinceError):
        load(done.path)


def test_what_litert_cannot_take_is_said(made: ExportInput, awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without("litert")
    import litert_torch

    def refuse(*_given: object, **_named: object) -> None:
        raise TypeError("no such operation\nand where")

    monkeypatch.setattr(litert_torch, "convert", refuse)
    with pytest.raises(ModelError, match="cannot take this network: no such operation\\."):
        export_model(made, ExportOptions("litert"), awkward / "out")
    assert not (awkward / "out").exists()


def test_a_cut_litert_file_is_refused(made: ExportInput, awkward: Path) -> None:
    skip_without("litert")
    done = export_model(made, ExportOptions("litert"), awkward / "out")
    path = done.path / "model.tflite"
    whole = path.read_bytes()
    for share in range(0, 100, 7):
        path.write_bytes(whole[: len(whole) * share // 100])
        with pytest.raises(LinceError):
            load(done.path)


def test_openvino_loads_no_telemetry(made: ExportInput, awkward: Path) -> None:
    skip_without("openvino")
    import subprocess
    import sys

    done = export_model(made, ExportOptions("openvino"), awkward / "out")
    code = "import sys\nfrom lince.inference.load import load\nload(sys.argv[1])\n"
    code += "print(bool(sys.modules.get('openvino_telemetry')))"
    found = subprocess.run([sys.executable, "-c", code, str(done.path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


# The command line, on a run as training leaves it.


def test_a_run_is_exported_and_timed_from_the_command_line(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    import lince
    from lince.cli.main import main

    dataset = pictures(awkward / "fotos", 8)
    choices = {"recipe": "scratch", "model": "cnn: conv 8 3 stride 2, gap", "size": 16, "epochs": 1}
    run = lince.train(replace(dataset, splits=np.full(len(dataset), -1, np.int8)), out=awkward / "run", **choices)
    assert main(["export", str(run), "--fp16", "--max-drop", "50", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(awkward / "run" / "exports" / "onnx-fp16")
    assert told["checked"]
    assert told["where"] == "test"
    assert main(["predict", told["path"], str(awkward / "fotos" / "red")]) == 0
    assert main(["export", str(run), "--fp16"]) == 2  # exports are never overwritten
    assert main(["export", str(run.model_folder), "--out", "x"]) == 2
    assert "--data FOLDER" in capsys.readouterr().err
    assert main(["doctor", "--model", str(run), "--json"]) == 0
    timed = json.loads(capsys.readouterr().out)
    assert timed["fastest"]["one"] == min(one["one"] for one in timed["measured"] if one["one"] is not None)
    assert str(run) in timed["line"]
    # The run's recorded predictions on its own photos show that the network is the trained one.
    card = awkward / "run" / "model" / CARD_FILE
    record = json.loads(card.read_text("utf-8"))
    _shifted(record)
    card.write_text(json.dumps(record), "utf-8")
    assert main(["export", str(run), "--out", str(awkward / "other")]) == 1
    assert "no longer gives the same predictions" in capsys.readouterr().err
    assert not (awkward / "other").exists()


def test_the_pages_quote_the_tolerances_of_the_code() -> None:
    docs = Path(__file__).parents[2] / "docs"
    for path, point in ((docs / "export.md", "."), (docs / "es" / "export.md", ","), (docs / "pt" / "export.md", ",")):
        rows = [row for row in path.read_text("utf-8").splitlines() if row.startswith(("| fp32 | 0", "| fp16 | 0"))]
        told = {
            name: [float(cell.strip().removesuffix("%").replace(point, ".")) for cell in cells]
            for name, *cells in ([part.strip() for part in row.strip("|").split("|")] for row in rows)
        }
        for name in ("fp32", "fp16"):
            known = TOLERANCES[name]
            assert known is not None
            assert told[name] == [known.probability, known.score, known.box, 100 * known.max_unmatched]


@pytest.mark.parametrize("page", ["export.md", "es/export.md", "pt/export.md"])
def test_the_page_lists_every_target_with_its_file_and_precisions(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    told = {row[0].strip("`"): row[1:3] for row in rows if len(row) == 5 and row[0] != "`--to`"}
    assert set(told) == set(TARGETS)
    for name, target in TARGETS.items():
        if target.write:
            assert f"`{target.file_name}`" in told[name][0]
            assert [word for word in ("fp32", "fp16", "int8") if word in told[name][1]] == list(target.precisions)
