"""Data checks on planted faults: precision and recall of each check on real sets."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageFilter, ImageOps

import lince
from lince.annotations import Classes
from lince.checks import CheckResult, FeatureModel, FindingExample, label_errors, run_checks
from lince.datasets import Dataset

DATA = Path(os.environ.get("LINCE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
WEIGHTS = Path(os.environ.get("LINCE_FLOWERS_WEIGHTS", DATA.parent / "weights" / "mobilenetv2_100_padsame.pth"))
EACH = 12  # faults of each kind planted in one set
RECALL, PRECISION, ENOUGH = 0.95, 0.90, 0.7
SETS = 15  # sets with and without a planted fault of the whole set
# Real faults in the original sets, confirmed by eye. Findings that follow from a definition (very small objects)
# are left out of the count of planted faults instead.
REAL = {
    "long-photo": {"13555215723_cf2c11626b_b", "6905876618_12732b74de_b"},
    "contradiction": {"15922772266_1167a06620"},
}
# Photos of flowers whose original label is wrong: a fountain and a tea cup among the tulips, a marching band among
# the roses, a daisy on a log among the dandelions.
MISLABELLED = {
    "13386618495_3df1f1330d", "12045735155_42547ce4e9_n", "16265883604_92be82b973", "5700781400_65761f3fce",
    "4573886524_5161482ca7_n", "8684108_a85764b22d_n", "2535466143_5823e48b63", "2535466393_6556afeb2f_m",
    "3713368809_eba7fa2fbf_m", "5212877807_a3ddf06a7c_n", "5212885371_fe27c406a2_n", "13910126337_53faf1d214_n",
    "14067778605_0285b7cc3a", "14116780333_7836f4448c", "3637371174_a8dfcc1b35", "6325571510_7544b27e57_n",
    "7094415739_6b29e5215c_m",
}  # fmt: skip
Rng = np.random.Generator
Spoil = Callable[[Path, Path, Rng], object]
SKIPPED = "a fault that this photo cannot have"


@dataclass
class Score:
    """Counts of planted faults, of findings, and of findings that are planted or real faults."""

    planted: int = 0
    found: int = 0
    right: int = 0
    caught: int = 0

    def add(self, planted: set[str], found: set[str], real: set[str]) -> None:
        self.planted += len(planted)
        self.found += len(found)
        self.caught += len(planted & found)
        self.right += len(found & (planted | real))


def run() -> None:
    """Plant faults, run the checks, and print a line for each; exit code 1 when one misses its target."""
    scores: dict[str, Score] = {}
    seeds = [int(word) for word in sys.argv[2:]] or [0, 1]
    for seed in seeds:
        rng = np.random.default_rng(seed)
        planted_in(scores, "hardhat", "yolo", HARDHAT, rng)
        planted_in(scores, "raccoon", "voc", RACCOON, rng)
        planted_in(scores, "flowers", "folders", FLOWERS, rng)
        whole_sets(scores, rng)
    print(f"{'check':<16}{'planted':>9}{'found':>8}{'precision':>11}{'recall':>9}")
    missed = [code for code in sorted(scores) if not told(code, scores[code], RECALL, PRECISION)]
    score = wrong_labels(seeds) if WEIGHTS.is_file() else None
    if score and not told("wrong-label", score, ENOUGH, ENOUGH):
        missed.append("wrong-label")
    if missed:
        print(f"Below the target: {', '.join(missed)}")
        raise SystemExit(1)


def told(code: str, score: Score, recall: float, precision: float) -> bool:
    """Print the result of one check; return whether it reaches its target."""
    caught, right = score.caught / max(score.planted, 1), score.right / max(score.found, 1)
    print(f"{code:<16}{score.planted:>9}{score.found:>8}{right:>11.3f}{caught:>9.3f}")
    return caught >= recall and right >= precision


# Faults of single photos and labels


def planted_in(scores: dict[str, Score], name: str, form: str, faults: dict[str, Spoil], rng: Rng) -> None:
    """Plant ``EACH`` faults of every kind in a copy of a set, each on its own photo, and add to ``scores``."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(shutil.copytree(DATA / name, Path(folder) / name, copy_function=shutil.copyfile))
        for sealed in (root, *root.rglob("*")):
            sealed.chmod(0o755)
        before = named(run_checks(lince.open(root, format=form)), faults)
        photos = sorted(path for path in root.rglob("*.jpg") if usable(path, before))
        chosen = iter(rng.permutation(len(photos)).tolist())
        planted: dict[str, set[str]] = {code: set() for code in faults}
        for code, spoil in faults.items():
            while len(planted[code]) < EACH:
                photo = photos[next(chosen)]
                if spoil(root, photo, rng) is not SKIPPED:
                    planted[code].add(photo.stem)
        after = named(run_checks(lince.open(root, format=form)), faults)
    for code in faults:
        # A photo whose only row was damaged has no object left.
        emptied = set().union(*(planted.get(other, set()) for other in ("class", "number", "row", "empty", "outside")))
        real = before[code] if code in AS_BEFORE else REAL.get(code, set())
        scores.setdefault(code, Score()).add(
            planted[code], after[code] - real - (emptied if code == "nothing-marked" else set()), real
        )


def usable(photo: Path, before: dict[str, set[str]]) -> bool:
    """Return whether a photo has a label to damage and no findings."""
    label = label_of(photo)
    if label is not None and not re.search(r"\d|<object>", label.read_text("utf-8")):
        return False
    return not any(photo.stem in stems for stems in before.values())


def named(found: CheckResult, codes: dict[str, Spoil]) -> dict[str, set[str]]:
    """Return the stems of the files with a finding of ``codes``; of a pair, the planted one."""
    return {
        code: {
            stem(place)
            for item in found.findings
            if item.code == code
            for example in item.examples
            for place in places(example)
        }
        for code in codes
    }


def places(example: FindingExample) -> list[str]:
    if example.other_row is None:
        return [example.place]
    return [min(example.place, example.other_place, key=lambda place: len(stem(place)))]


def stem(place: str) -> str:
    return PurePosixPath(re.sub(r":\d+$", "", place)).stem


def label_of(photo: Path) -> Path | None:
    """Return the label file of a photo in a YOLO or VOC set; ``None`` in class folders."""
    yolo = Path(str(photo.with_suffix(".txt")).replace("/images/", "/labels/"))
    voc = photo.parent.parent / "annotations" / f"{photo.stem}.xml"
    return next((path for path in (yolo, voc) if path.is_file()), None)


# Kinds of damage


def cut(_root: Path, photo: Path, rng: Rng) -> None:
    data = photo.read_bytes()
    photo.write_bytes(data[: int(len(data) * rng.uniform(0.2, 0.95))])


def rewritten(change: Callable[[Image.Image, Rng], Image.Image], kind: str = "JPEG") -> Spoil:
    def spoil(_root: Path, photo: Path, rng: Rng) -> None:
        with Image.open(photo) as opened:
            changed = change(opened.convert("RGB"), rng)
        changed.save(photo, kind)

    return spoil


def same(image: Image.Image, _rng: Rng) -> Image.Image:
    return image


def dark(image: Image.Image, rng: Rng) -> Image.Image:
    share = rng.uniform(0.02, 0.1)
    return image.point(lambda value: int(value * share))


def blank(image: Image.Image, rng: Rng) -> Image.Image:
    return Image.new("RGB", image.size, tuple(rng.integers(0, 256, 3).tolist()))


def blurred(image: Image.Image, rng: Rng) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(5, 12)))


def strip(image: Image.Image, rng: Rng) -> Image.Image:
    return image.resize((int(rng.uniform(4.5, 8) * image.height), image.height))


def tiny(image: Image.Image, rng: Rng) -> Image.Image:
    side = int(rng.integers(20, 45))
    return image.resize((side, side))


def turned(_root: Path, photo: Path, rng: Rng) -> object:
    exif = Image.Exif()
    exif[0x0112] = int(rng.choice([6, 8]))
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    if image.width == image.height:
        return SKIPPED  # not detectable
    image.save(photo, "JPEG", exif=exif)
    return None


def lines(change: Callable[[list[str], int, Rng], list[str]]) -> Spoil:
    """Change one row of a YOLO label file."""

    def spoil(_root: Path, photo: Path, rng: Rng) -> None:
        label = label_of(photo)
        rows = [row for row in label.read_text("utf-8").splitlines() if row.strip()]
        at = int(rng.integers(len(rows)))
        rows[at : at + 1] = change(rows[at].split(), at, rng)
        label.write_text("\n".join(rows) + "\n", "utf-8")

    return spoil


def row(*cells: object) -> str:
    return " ".join(map(str, cells))


def outside_row(cells: list[str], _at: int, rng: Rng) -> list[str]:
    return [row(cells[0], 0.98, cells[2], round(float(rng.uniform(0.1, 0.4)), 4), cells[4])]


def twice(cells: list[str], _at: int, rng: Rng) -> list[str]:
    shift = float(rng.uniform(0, 0.02)) * float(cells[3])
    return [row(*cells), row(cells[0], float(cells[1]) + shift, *cells[2:])]


def tags(pattern: str, change: Callable[[re.Match[str], Rng], str]) -> Spoil:
    """Change the first match of ``pattern`` in a VOC file."""

    def spoil(_root: Path, photo: Path, rng: Rng) -> None:
        label = label_of(photo)
        text = label.read_text("utf-8")
        changed = re.sub(pattern, lambda found: change(found, rng), text, count=1, flags=re.DOTALL)
        assert changed != text
        label.write_text(changed, "utf-8")

    return spoil


BOX = r"<xmin>(\d+)</xmin>(.*?)<xmax>(\d+)</xmax>"
PLUS = r"<xmax>(\d+)</xmax>"
WIDE = r"<width>(\d+)</width>"


def wider(found: re.Match[str], rng: Rng) -> str:
    return f"<width>{int(int(found[1]) * rng.uniform(1.2, 3))}</width>"


def gone(_root: Path, photo: Path, _rng: Rng) -> None:
    photo.unlink()


def unlabelled(_root: Path, photo: Path, _rng: Rng) -> None:
    label_of(photo).unlink()


def nothing(_root: Path, photo: Path, _rng: Rng) -> None:
    label_of(photo).write_text("", "utf-8")


HARDHAT: dict[str, Spoil] = {
    "unreadable": cut,
    "misnamed": rewritten(same, "PNG"),
    "dark": rewritten(dark),
    "blank": rewritten(blank),
    "blurred": rewritten(blurred),
    "class": lines(lambda cells, _at, rng: [row(int(rng.integers(3, 20)), *cells[1:])]),
    "number": lines(lambda cells, _at, rng: [row(*cells[:2], str(rng.choice(["nan", "inf", "x"])), *cells[3:])]),
    "row": lines(lambda cells, _at, rng: [row(*cells[: int(rng.integers(2, 5))])]),
    "outside": lines(outside_row),
    "empty": lines(lambda cells, _at, _rng: [row(*cells[:3], 0, cells[4])]),
    "no-image": gone,
    "no-label": unlabelled,
    "nothing-marked": nothing,
    "doubled": lines(twice),
    "contested": lines(lambda cells, _at, _rng: [row(*cells), row((int(cells[0]) + 1) % 3, *cells[1:])]),
    "speck": lines(lambda cells, _at, rng: [row(*cells[:3], round(float(rng.uniform(1, 3.5)) / 416, 6), cells[4])]),
    "small": lines(lambda cells, _at, _rng: [row(cells[0], 0.5, 0.5, 0.02, 0.02)]),
    "whole": lines(lambda cells, _at, _rng: [row(cells[0], 0.5, 0.5, 1, 1)]),
}
RACCOON: dict[str, Spoil] = {
    "inverted": tags(BOX, lambda found, _rng: f"<xmin>{found[3]}</xmin>{found[2]}<xmax>{found[1]}</xmax>"),
    "outside": tags(PLUS, lambda found, rng: f"<xmax>{int(found[1]) + 5000 + int(rng.integers(500))}</xmax>"),
    "number": tags(PLUS, lambda _found, _rng: "<xmax>nan</xmax>"),
    "size": tags(WIDE, wider),
    "turned": turned,
    "unreadable": cut,
    "misnamed": rewritten(same, "PNG"),
    "no-image": gone,
}


def copied(_root: Path, photo: Path, rng: Rng) -> None:
    shutil.copyfile(photo, photo.with_name(f"planted {photo.name}"))


def copied_to(part: bool) -> Spoil:
    """Copy a photo into another split, or into another class of its own split."""

    def spoil(root: Path, photo: Path, rng: Rng) -> None:
        split, kind, name = photo.relative_to(root).parts
        kinds = sorted(path.name for path in (root / split).iterdir() if path.name != kind)
        other = {"train": "test", "test": "train"}[split]
        target = root / other / kind if part else root / split / str(rng.choice(kinds))
        shutil.copyfile(photo, target / f"planted {name}")

    return spoil


def altered(_root: Path, photo: Path, rng: Rng) -> None:
    """Write a smaller, lighter or darker, cropped and sometimes mirrored copy beside the photo."""
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    cut = [rng.uniform(0, 0.03) * side for side in image.size] + [rng.uniform(0.97, 1) * side for side in image.size]
    scale, light = rng.uniform(0.6, 1.0), rng.uniform(0.8, 1.2)
    copy = image.crop(tuple(map(int, cut))).resize([int(side * scale) for side in image.size])
    copy = copy.point(lambda value: min(255, int(value * light)))
    copy = ImageOps.mirror(copy) if rng.random() < 0.3 else copy
    copy.save(photo.with_name(f"planted {photo.name}"), quality=70)


FLOWERS: dict[str, Spoil] = {
    "near-copies": altered,
    "copies": copied,
    "leak": copied_to(part=True),
    "contradiction": copied_to(part=False),
    "unreadable": cut,
    "misnamed": rewritten(same, "GIF"),
    "dark": rewritten(dark),
    "blank": rewritten(blank),
    "blurred": rewritten(blurred),
    "long-photo": rewritten(strip),
    "small-photo": rewritten(tiny),
}
# Findings from before planting count as correct: by definition, or because each pair was confirmed by eye.
AS_BEFORE = {
    "copies",
    "leak",
    "near-copies",
    "speck",
    "small",
    "whole",
    "nothing-marked",
    "doubled",
    "contested",
    "edge",
}


# Faults of a whole set


def whole_sets(scores: dict[str, Score], rng: Rng) -> None:
    """Plant each fault in random subsets of flowers, leave it out of as many, and add to ``scores``."""
    flowers = lince.open(DATA / "flowers")
    for code, spoil in SPOILT.items():
        planted, found = set(), set()
        for trial in range(SETS):
            for fault in (False, True):
                name = f"{trial} {fault}"
                checkup = run_checks(spoil(flowers, fault, rng))
                planted |= {name} if fault else set()
                found |= {name} if checkup.find_by_code(code) else set()
        scores.setdefault(code, Score()).add(planted, found, set())


def drawn(data: Dataset, counts: list[int], rng: Rng) -> Dataset:
    """Return ``counts`` images of each class, all of one split."""
    rows = [
        rng.choice(np.flatnonzero(data.class_ids == kind), count, replace=False) for kind, count in enumerate(counts)
    ]
    chosen = data.select(np.sort(np.concatenate(rows)))
    return replace(chosen, splits=np.full(len(chosen), -1, np.int8))


def rare(data: Dataset, fault: bool, rng: Rng) -> Dataset:
    counts = rng.integers(25, 60, 5)
    counts[rng.integers(5)] = rng.integers(2, 15) if fault else 25
    return drawn(data, counts.tolist(), rng)


def unbalanced(data: Dataset, fault: bool, rng: Rng) -> Dataset:
    counts = rng.integers(40, 60, 5)
    counts[rng.integers(5)] = rng.integers(2, 4) if fault else 20
    return drawn(data, counts.tolist(), rng)


def unused(data: Dataset, fault: bool, rng: Rng) -> Dataset:
    counts = rng.integers(20, 40, 5)
    counts[rng.integers(5)] = 0 if fault else 20
    return drawn(data, counts.tolist(), rng)


def absent(data: Dataset, fault: bool, rng: Rng) -> Dataset:
    chosen = drawn(data, [40] * 5, rng)
    splits = np.where(rng.random(len(chosen)) < 0.3, 2, 0).astype(np.int8)
    if fault:
        splits[(chosen.class_ids == rng.integers(5)) & (splits == 2)] = 0
    return replace(chosen, splits=splits)


def shares(data: Dataset, fault: bool, rng: Rng) -> Dataset:
    chosen = drawn(data, [60] * 5, rng)
    chances = rng.permutation([0.1, 0.2, 0.3, 0.5, 0.7]) if fault else np.full(5, 0.3)
    splits = np.where(rng.random(len(chosen)) < chances[chosen.class_ids], 2, 0).astype(np.int8)
    return replace(chosen, splits=splits)


def names_alike(data: Dataset, fault: bool, rng: Rng) -> Dataset:
    chosen = drawn(data, [20] * 5, rng)
    names = list(chosen.classes.names)
    one, other = rng.choice(5, 2, replace=False)
    ways = [str.upper, str.title, lambda name: name.removesuffix("s") + "_", lambda name: name.removesuffix("s") + "s"]
    if fault:
        ways += [lambda name: name[:-2] + name[-1] + name[-2]] if len(names[other]) > 6 else []
        names[one] = ways[int(rng.integers(len(ways)))](names[other])
        names[one] = names[one] if names[one] != names[other] else names[other] + "_"
    return replace(chosen, classes=Classes(tuple(names)))


SPOILT = {
    "rare": rare,
    "unbalanced": unbalanced,
    "unused": unused,
    "absent": absent,
    "shares": shares,
    "names-alike": names_alike,
}


# Wrong labels


def wrong_labels(seeds: list[int]) -> Score:
    """Return the score of the wrong label search on flowers with 5 % of the labels exchanged, for each of ``seeds``."""
    flowers = lince.open(DATA / "flowers")
    stems = [PurePosixPath(flowers.images.get_name(row)).stem for row in range(len(flowers))]
    score = Score()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        labels = flowers.class_ids.copy()
        wrong = rng.choice(len(labels), round(0.05 * len(labels)), replace=False)
        labels[wrong] = (labels[wrong] + rng.integers(1, 5, len(wrong))) % 5
        found = label_errors.find_label_errors(
            replace(flowers, class_ids=labels), FeatureModel("mobilenetv2_100", str(WEIGHTS), 224)
        )
        score.add({stems[row] for row in wrong}, {stems[row] for row in found.rows}, MISLABELLED)
    return score
