"""Prediction of one photo through the API against bare ONNX Runtime plus decoding, and of many in batches."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime

from benchmarks.decode import measure, photo
from lince import images
from lince.annotations import Classes
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.classification import predictor
from lince.inference.classification.predictor import ClassificationPredictor
from lince.model_card import NETWORK_FILE, ModelCard
from lince.models import weights_source
from lince.models.classification import registry as classification_registry
from lince.preprocess import PreprocessSpec, preprocess_images

MODEL = "small"
LIMIT = 1.15
MANY = 256


def run() -> None:
    """Print ms for one photo and photos per second for many, of lince and of the bare calls, with the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        model = model_in(Path(folder))
        data = photo()
        _one(model, data)
        _many(model, data, Path(folder) / "photos")


def _one(model: ClassificationPredictor, data: bytes) -> None:
    spec = model.card.preprocess
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count_cores()
    bare = onnxruntime.InferenceSession(str(model.backend.path), options, providers=["CPUExecutionProvider"])
    batch = preprocess_images([images.decode_image(data, (spec.height, spec.width))], spec)
    rates = measure(
        {
            "lince": lambda: model.predict(data),
            "network": lambda: bare.run(["logits"], {"images": batch}),
            "decode": lambda: images.decode_image(data, (spec.height, spec.width)),
        }
    )
    ours, network, decoding = (1000 / rates[name] for name in ("lince", "network", "decode"))
    floor = network + decoding
    print(f"one 500 x 375 JPEG, model {MODEL} ({model.card.model}), {count_cores()} cores")
    print(f"  lince.load(run).predict      {ours:7.2f} ms")
    print(f"  bare network + decoding      {floor:7.2f} ms   ({network:.2f} + {decoding:.2f})")
    print(f"  ratio                        {ours / floor:7.2f}      at most {LIMIT}")


def _many(model: ClassificationPredictor, data: bytes, folder: Path) -> None:
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(MANY)]
    for path in paths:
        path.write_bytes(data)
    rates = measure(
        {
            "many": lambda: list(model.predict_many(folder)),
            "one by one": lambda: [model.predict(path) for path in paths],
        },
        rounds=4,
        calls=1,
    )
    many, single = rates["many"] * MANY, rates["one by one"] * MANY
    print(f"{MANY} photos")
    print(f"  predict_many                 {many:7.0f} photos/s")
    print(f"  predict, one by one          {single:7.0f} photos/s")
    print(f"  ratio                        {many / single:7.2f}")


def model_in(folder: Path) -> ClassificationPredictor:
    """Write a classifier with random weights into ``folder`` and return it; it costs as much as a trained one."""
    from lince.export.torch_to_onnx import export_classifier
    from lince.models.classification.classifier import build_classifier

    entry = classification_registry.get_model_entry(MODEL)
    spec: PreprocessSpec = weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), 224)
    names = Classes(tuple(map(str, range(5))))
    export_classifier(build_classifier(entry, len(names), spec), spec, folder / NETWORK_FILE)
    ModelCard("classify", names, spec, entry.pretrained_name, entry.licence, "random weights").save(folder)
    return predictor.load_classifier(folder)
