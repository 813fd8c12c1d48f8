"""Peer process: the lesson's recipe in Keras: VGG16 frozen, a dense head, 150 x 150, batch 32.

Prints JSON: seconds to open the photos, and seconds per training step and per validation step (medians, photos read and
decoded within). Random weights: they cost the same time.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

SIDE, BATCH = 150, 32


def network(keras, classes: int):
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    base.trainable = False
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            base,
            layers.Flatten(),
            layers.Dense(50, activation="relu"),
            layers.Dense(20, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def timed(step, batches, warm: int, count: int) -> float:
    taken = []
    batches = iter(batches)
    for number in range(warm + count):
        start = time.perf_counter()
        images, labels = next(batches)
        step(images, labels)
        if number >= warm:
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main(folder: str, steps: int) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    start = time.perf_counter()
    import keras

    load = {"image_size": (SIDE, SIDE), "batch_size": BATCH, "seed": 0, "validation_split": 0.2, "verbose": False}
    train = keras.utils.image_dataset_from_directory(folder, subset="training", **load)
    val = keras.utils.image_dataset_from_directory(folder, subset="validation", **load)
    model = network(keras, len(train.class_names))
    opened = time.perf_counter() - start
    result = {
        "keras": keras.__version__,
        "open": opened,
        "train_step": timed(model.train_on_batch, train, 2, steps),
        "val_step": timed(model.test_on_batch, val, 2, max(3, steps // 3)),
        "batch": BATCH,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
