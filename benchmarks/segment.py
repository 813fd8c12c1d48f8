"""Semantic segmentation: mean IoU on pets by the recipes, its figures against scikit-learn, and the time of a photo.

Three breeds of Oxford's pets by its own lists, 300 photos to learn from and 298 to test; the border of the trimaps is
void. Ours is the command line's recipe ``transfer``, cold: from photos to the report. The model then predicts every
test photo, and scikit-learn measures those class maps pixel by pixel. The bound of a photo is decoding and the network
alone. ``LINCE_RECIPES`` names other recipes, such as ``transfer,finetune``, and ``LINCE_SEEDS`` a number of seeds.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import lince
from lince.class_maps import VOID
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.preprocess import preprocess_images

PETS = Path(os.environ.get("LINCE_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data" / "pets"
BREEDS = ("Abyssinian", "Bengal", "american_bulldog")
PET, BORDER = 1, 3  # values of a trimap
MIN_MIOU = 0.92
TOLERANCE = 1e-6  # of the mean IoU against scikit-learn's
BOUND_PHOTOS = 64


def run() -> None:
    """Print the figures; exit code 1 when the mean IoU is below ``MIN_MIOU``, or is not that of scikit-learn."""
    if not (PETS / "annotations" / "trimaps").is_dir():
        print(f"Needs the pets with their trimaps in {PETS} (LINCE_SHARED).")
        raise SystemExit(1)
    recipes = os.environ.get("LINCE_RECIPES", "transfer").split(",")
    seeds = range(int(os.environ.get("LINCE_SEEDS", "1")))
    is_good = True
    with tempfile.TemporaryDirectory() as folder:
        root = make_pets(Path(folder) / "pets")
        for seed in seeds:
            for recipe in recipes:
                os.environ["LINCE_CACHE"] = str(Path(folder) / f"cache-{recipe}-{seed}")
                is_good &= measure(root, recipe, seed, Path(folder) / f"run-{recipe}-{seed}")
    raise SystemExit(0 if is_good else 1)


def make_pets(root: Path) -> Path:
    """Write photos and masks of both lists below ``root``, and return it."""
    for split, listing in (("train", "trainval.txt"), ("test", "test.txt")):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for line in (PETS / "annotations" / listing).read_text("utf-8").splitlines():
            name = line.split()[0]
            trimap = cv2.imread(str(PETS / "annotations" / "trimaps" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
            mask = np.zeros(trimap.shape, np.uint8)
            mask[trimap == PET] = 1 + BREEDS.index(name.rpartition("_")[0])
            mask[trimap == BORDER] = VOID
            cv2.imwrite(str(root / split / "masks" / f"{name}.png"), mask)
            shutil.copyfile(PETS / "images" / f"{name}.jpg", root / split / "images" / f"{name}.jpg")
    (root / "classes.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(BREEDS, 1)), "utf-8")
    return root


def measure(root: Path, recipe: str, seed: int, out: Path) -> bool:
    """Train on ``root``, print the figures of the run, and return whether they are good enough."""
    start = time.perf_counter()
    trained = lince.train(root, task="segment", recipe=recipe, seed=seed, out=out)
    seconds = time.perf_counter() - start
    test = trained.report["test"]
    miou, accuracy, dice = (test[key] for key in ("miou", "pixel_accuracy", "mean_dice"))
    bounds = f"{100 * miou['low']:.1f} to {100 * miou['high']:.1f}"
    print(f"{recipe}, seed {seed}: mIoU {100 * miou['value']:.2f} ({bounds}) "
          f"over {', '.join(test['mean_over'])}; from photos to report {seconds:.1f} s")  # fmt: skip
    print(f"  pixels {100 * accuracy['value']:.2f}  Dice of a photo {100 * dice['value']:.2f}  "
          f"error of the area {100 * test['area_error']:.1f} %")  # fmt: skip
    for score in (test["background"], *test["classes"]):
        print(f"  {score['name']:<18} IoU {100 * score['iou']:6.2f}  Dice {100 * score['dice']:6.2f}")
    difference = compare_metrics(root, trained, miou["value"])
    measure_prediction(root, trained)
    return bool(miou["value"] >= MIN_MIOU and difference <= TOLERANCE)


def compare_metrics(root: Path, trained: Any, miou: float) -> float:
    """Print the mean IoU that scikit-learn measures on the predicted class maps, and return the difference."""
    from sklearn.metrics import jaccard_score

    truths, answers = [], []
    start = time.perf_counter()
    photos = sorted((root / "test" / "images").glob("*.jpg"))
    for photo, result in zip(photos, lince.load(trained.folder).predict_many(photos), strict=True):
        truth = cv2.imread(str(root / "test" / "masks" / f"{photo.stem}.png"), cv2.IMREAD_UNCHANGED)
        truths.append(truth[truth != VOID])
        answers.append(result.class_map[truth != VOID])
    seconds = time.perf_counter() - start
    theirs = float(jaccard_score(np.concatenate(truths), np.concatenate(answers), average="macro"))
    print(f"  scikit-learn       mIoU {100 * theirs:.4f}, {abs(theirs - miou):.1e} from ours; "
          f"predicted at {1000 * seconds / len(photos):.1f} ms a photo")  # fmt: skip
    return abs(theirs - miou)


def measure_prediction(root: Path, trained: Any) -> None:
    """Print the time of a photo by ``predict_many``, and that of decoding and the network alone."""
    photos = sorted((root / "test" / "images").glob("*.jpg"))[:BOUND_PHOTOS]
    model = lince.load(trained.folder).with_threads(1)
    spec = model.card.preprocess
    backend = OnnxRuntimeBackend(trained.model_folder / "model.onnx", threads=1)
    list(model.predict_many(photos[:4]))
    start = time.perf_counter()
    list(model.predict_many(photos))
    ours = time.perf_counter() - start
    start = time.perf_counter()
    for photo in photos:
        image = lince.images.read_image(photo, (spec.height, spec.width))
        backend.run(preprocess_images([image], spec), ("logits",))
    bound = time.perf_counter() - start
    print(f"  a photo: {1000 * ours / len(photos):.1f} ms; decoding and the network alone "
          f"{1000 * bound / len(photos):.1f} ms; {bound / ours:.2f} of the bound's speed")  # fmt: skip
