"""Several classes a photo: mean average precision against scikit-learn, and planted wrong tags found by the check.

Two sets are made of the pets and the flowers: photos with the tags species and breed, or flower and kind; and pictures
that are tiled of up to four photos, with the classes of all. Ours is the command line's recipe ``transfer``; the peer
is scikit-learn's LogisticRegression for each class on the same features and split, its penalty chosen by
cross-validation, measured by its own average_precision_score. Then tags are taken away and put on, and
``lince check --labels`` looks for them.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import lince
from lince.checks.check_context import FeatureModel
from lince.checks.tag_errors import find_tag_errors
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.label_sets import LabelSets
from lince.model_card import ModelCard
from lince.preprocess import preprocess_images
from lince.splits import SPLITS

DATA = Path(os.environ.get("LINCE_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
PETS, FLOWERS_OF_A_KIND, TILED = 600, 120, 900  # photos, photos of each kind, pictures
PLANTED = 0.05  # of the tags taken away, and as many put on
MAX_LOSS = 0.005  # of the mean average precision, against scikit-learn
SIDE = 384  # pixels of a tiled picture
SEED = 0


@dataclass
class Photo:
    """A photo with its tags."""

    path: Path
    tags: tuple[str, ...]


def run() -> None:
    """Print the figures of both sets; exit code 1 when ours is more than half a point below scikit-learn's."""
    if not (DATA / "pets").is_dir() or not (DATA / "flowers").is_dir():
        print(f"Needs pets and flowers in {DATA} (LINCE_SHARED).")
        raise SystemExit(1)
    is_good = True
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LINCE_CACHE"] = str(Path(folder) / "cache")
        for name, make in (("tags", make_tagged), ("tiles", make_tiled)):
            is_good &= compare(name, make(Path(folder) / name))
    raise SystemExit(0 if is_good else 1)


def list_photos() -> list[Photo]:
    """Return pets with species and breed, and flowers with their kind."""
    rng = np.random.default_rng(SEED)
    pets = sorted((DATA / "pets" / "images").glob("*.jpg"))
    photos = []
    for path in rng.permutation(np.array(pets, object))[:PETS]:
        breed = path.stem.rpartition("_")[0]
        photos.append(Photo(path, ("cat" if breed[0].isupper() else "dog", breed.lower())))
    for kind in sorted((DATA / "flowers" / "train").iterdir()):
        found = np.array(sorted(kind.glob("*.jpg")), object)
        photos += [Photo(path, ("flower", kind.name)) for path in rng.permutation(found)[:FLOWERS_OF_A_KIND]]
    return photos


def make_tagged(root: Path) -> Path:
    """Write the photos with their tags below ``root``."""
    root.mkdir(parents=True)
    rows = []
    for number, photo in enumerate(list_photos()):
        name = f"{number:04}.jpg"
        os.symlink(photo.path, root / name)
        rows.append((name, photo.tags))
    return write_labels(root, rows)


def make_tiled(root: Path) -> Path:
    """Write pictures of one to four photos each below ``root``; of pets only the species counts."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    photos = list_photos()
    rows = []
    half = SIDE // 2
    for number in range(TILED):
        picture = np.full((SIDE, SIDE, 3), rng.integers(60, 200), np.uint8)
        corners = rng.permutation([(0, 0), (0, half), (half, 0), (half, half)])[: rng.integers(1, 5)]
        tags: set[str] = set()
        for top, left in corners:
            photo = photos[int(rng.integers(len(photos)))]
            pixels = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
            picture[top : top + half, left : left + half] = cv2.resize(
                pixels, (half, half), interpolation=cv2.INTER_AREA
            )
            tags.add(photo.tags[0] if photo.tags[0] != "flower" else photo.tags[1])
        name = f"{number:04}.jpg"
        cv2.imwrite(str(root / name), picture)
        rows.append((name, tuple(sorted(tags))))
    return write_labels(root, rows)


def write_labels(root: Path, rows: list[tuple[str, tuple[str, ...]]]) -> Path:
    """Write a table with a column of 0 and 1 for each class, and return ``root``."""
    names = sorted({tag for _name, tags in rows for tag in tags})
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["filename", *names])
        table.writerows([name, *(int(tag in tags) for tag in names)] for name, tags in rows)
    return root


def compare(name: str, root: Path) -> bool:
    """Train on ``root``, print the figures, and return whether ours is near enough."""
    start = time.perf_counter()
    trained = lince.train(root, task="multilabel", out=root.parent / f"{name}-run", precision="fp32", seed=SEED)
    seconds = time.perf_counter() - start
    dataset = lince.open(root)
    truth, features, splits = read_features(dataset, trained)
    peer, peer_seconds = measure_peer(truth, features, splits)
    report = trained.report["test"]
    ours, theirs = report["map"]["value"], peer["map"]
    print(f"{name}: {len(dataset):,} photos, {truth.shape[1]} classes, {truth.sum(axis=1).mean():.2f} a photo")
    print(f"  lince          mAP {100 * ours:6.2f}  micro F1 {100 * report['f1_micro']['value']:6.2f}  "
          f"macro F1 {100 * report['f1_macro']['value']:6.2f}  from photos to report {seconds:6.1f} s")  # fmt: skip
    print(f"  scikit-learn   mAP {100 * theirs:6.2f}  micro F1 {100 * peer['f1_micro']:6.2f}  "
          f"macro F1 {100 * peer['f1_macro']:6.2f}  heads alone {peer_seconds:6.1f} s")  # fmt: skip
    print(f"  ours is {100 * (ours - theirs):+.2f} points of mAP from it")
    for line in find_planted(dataset, truth):
        print(f"  {line}")
    return ours >= theirs - MAX_LOSS


def read_features(dataset: Any, trained: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth (N, C), the features of the run's network (N, D), and the split of each photo by the run."""
    card = ModelCard.load(trained.model_folder)
    backend = OnnxRuntimeBackend(trained.model_folder / "model.onnx")
    size = (card.preprocess.height, card.preprocess.width)
    parts = []
    for rows in np.array_split(np.arange(len(dataset)), max(1, len(dataset) // 8)):
        inputs = preprocess_images([dataset.images.read_image(int(row), size) for row in rows], card.preprocess)
        parts.append(backend.run(inputs, ("embedding",))[0])
    with (trained.folder / "split.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    split_by_name = {next(iter(row.values())): row for row in table}
    splits = np.array([SPLITS[_find_split(split_by_name[dataset.images.get_name(row)])] for row in range(len(dataset))])
    return dataset.label_sets.to_matrix(len(dataset.classes)), np.concatenate(parts), splits


def _find_split(row: dict[str, str]) -> str:
    """Return the name of the split in a row of ``split.csv``."""
    return next(cell for cell in row.values() if cell in SPLITS)


def measure_peer(truth: np.ndarray, features: np.ndarray, splits: np.ndarray) -> tuple[dict[str, float], float]:
    """Return the figures of scikit-learn on the test photos, and the seconds of its fits.

    Classes without a test photo do not count; F1 is at a probability of one half.
    """
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import average_precision_score, f1_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted, tested = splits != SPLITS["test"], splits == SPLITS["test"]
    start = time.perf_counter()
    probabilities = np.zeros((tested.sum(), truth.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(truth.shape[1]):
            if len(np.unique(truth[fitted, i])) < 2:
                continue
            folds = int(max(2, min(3, truth[fitted, i].sum())))
            model = LogisticRegressionCV(Cs=np.logspace(-5, 0, 6), cv=folds, scoring="neg_log_loss", max_iter=300)
            head = make_pipeline(StandardScaler(), model).fit(features[fitted], truth[fitted, i])
            probabilities[:, i] = head.predict_proba(features[tested])[:, 1]
        seconds = time.perf_counter() - start
        present = truth[tested].any(axis=0)
        scores = [average_precision_score(truth[tested, i], probabilities[:, i]) for i in np.flatnonzero(present)]
        predicted = probabilities >= 0.5
        figures = {
            "map": float(np.mean(scores)),
            "f1_micro": float(f1_score(truth[tested], predicted, average="micro")),
            "f1_macro": float(f1_score(truth[tested][:, present], predicted[:, present], average="macro")),
        }
    return figures, seconds


def find_planted(dataset: Any, truth: np.ndarray) -> Iterator[str]:
    """Yield what the check finds of tags that were taken away and put on."""
    rng = np.random.default_rng(SEED)
    changed = truth.copy()
    present, absent = np.argwhere(truth), np.argwhere(~truth)
    count = round(PLANTED * len(present))
    removed = present[rng.permutation(len(present))[:count]]
    added = absent[rng.permutation(len(absent))[:count]]
    changed[tuple(removed.T)] = False
    changed[tuple(added.T)] = True
    errors = find_tag_errors(dataset, LabelSets.from_matrix(changed), FeatureModel())
    places = set(zip(errors.rows.tolist(), errors.class_ids.tolist(), errors.is_missing.tolist(), strict=True))
    for what, planted, is_missing in (("missing", removed, True), ("wrong", added, False)):
        wanted = {(int(row), int(class_id), is_missing) for row, class_id in planted}
        reported = {place for place in places if place[2] == is_missing}
        right = len(reported & wanted)
        yield (
            f"check --labels, {what} tags: {count} planted, {len(reported)} reported, "
            f"recall {right / max(1, len(wanted)):.2f}, precision {right / max(1, len(reported)):.2f}"
        )
