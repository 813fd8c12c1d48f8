"""Peer process: transfer learning in Keras on a frozen network, as a lesson or a tutorial has it.

``vgg16``: the lesson's, 150 x 150, the whole map into three dense layers. ``mobilenetv2``: the tutorials', 224 x 224,
mean of the map into one dense layer, also with its features computed once. Batches of 32. Prints JSON: seconds to open
the photos, and seconds per training, validation and feature step (medians, photos read and decoded within), and of the
training of a head on features that were computed before. Random weights: they cost the same time.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

BATCH = 32


def lesson(keras, classes: int):
    """Return the lesson's network: VGG16 frozen, with its three dense layers."""
    layers = keras.layers
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(150, 150, 3))
    head = [layers.Flatten(), layers.Dense(50, activation="relu"), layers.Dense(20, activation="relu")]
    return _network(keras, base, 150, head, classes)


def tutorial(keras, classes: int):
    """Return the network of the usual tutorial: MobileNetV2 frozen, with one dense layer."""
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(224, 224, 3))
    return _network(keras, base, 224, [keras.layers.GlobalAveragePooling2D()], classes)


def _network(keras, base, side: int, head: list, classes: int):
    base.trainable = False
    layers = keras.layers
    last = layers.Dense(classes, activation="softmax")
    rescaling = layers.Rescaling(1 / 127.5, offset=-1)
    model = keras.Sequential([keras.Input((side, side, 3)), rescaling, base, *head, last])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def timed(step, batches, warm: int, count: int) -> float:
    """Return the median seconds of ``step``, with the reading of its batch, after ``warm`` steps that do not count."""
    taken = []
    batches = iter(batches)
    for number in range(warm + count):
        start = time.perf_counter()
        images, labels = next(batches)
        step(images, labels)
        if number >= warm:
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def head_seconds(keras, photos: int, classes: int, epochs: int) -> float:
    """Return the seconds in which a dense layer is trained on features (``photos``, 1280) with 20 % for validation."""
    import numpy as np

    rng = np.random.default_rng(0)
    features, labels = rng.random((photos, 1280), np.float32), rng.integers(0, classes, photos)
    start = time.perf_counter()
    head = keras.Sequential([keras.Input((1280,)), keras.layers.Dense(classes, activation="softmax")])
    head.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    head.fit(features, labels, batch_size=BATCH, epochs=epochs, validation_split=0.2, verbose=0)
    return time.perf_counter() - start


def main(which: str, folder: str, steps: int, photos: int, epochs: int) -> None:
    """Measure the network ``which`` and print the JSON."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    start = time.perf_counter()
    import keras

    build, side = {"vgg16": (lesson, 150), "mobilenetv2": (tutorial, 224)}[which]
    load = {"image_size": (side, side), "batch_size": BATCH, "seed": 0, "validation_split": 0.2, "verbose": False}
    train = keras.utils.image_dataset_from_directory(folder, subset="training", **load)
    val = keras.utils.image_dataset_from_directory(folder, subset="validation", **load)
    classes = len(train.class_names)
    model = build(keras, classes)
    result = {"keras": keras.__version__, "batch": BATCH, "open": time.perf_counter() - start}
    result["train_step"] = timed(model.train_on_batch, train, 2, steps)
    result["val_step"] = timed(model.test_on_batch, val, 2, max(3, steps // 3))
    if which == "mobilenetv2":
        backbone = keras.Sequential(model.layers[:-1])
        result["feature_step"] = timed(lambda images, _labels: backbone.predict_on_batch(images), train, 2, steps)
        result["head"] = head_seconds(keras, photos, classes, epochs)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
