"""Checks and splits can be trusted (points 15 to 19): leaks, groups, false alarms, cost, budget.

By the command line alone, so that every version of lince can be asked: see ``tests/support/command.py``.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.command import read_rows, run_lince
from tests.support.look_alike_sets import ALTERATIONS, draw_scene, name_export, save_photos, shoot_fixed_camera

SCRATCH = ("--recipe", "scratch", "--model", "cnn: conv 8 3, pool, flatten", "--size", "16", "--epochs", "1")

# 15: one division, of train and of split, which no copy crosses.


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the run of ``scenes``: copies of several kinds, of 12 scenes each, in two classes."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("divided")
    photos = [(f"scenes/{'ab'[n % 2]}/single {n}.png", draw_scene(1000 + n)) for n in range(36)]
    for n in range(12):
        scene, shape = draw_scene(n), "ab"[n % 2]
        photos += [(f"scenes/{shape}/{name_export(f'export{n}', k)}", one) for k, one in enumerate(
            (scene, ALTERATIONS["darker"](scene), scene.rotate(4)))]  # fmt: skip
        other = draw_scene(100 + n)
        photos += [(f"scenes/{shape}/saved{n}.png", other), (f"scenes/{shape}/IMG_{7 * n + 3}.jpg", other)]
        third = draw_scene(200 + n)
        photos += [(f"scenes/{shape}/small{n}.png", third), (f"scenes/{shape}/DSC{5 * n}.png", third.resize((120, 90)))]
        fourth = draw_scene(300 + n)
        photos += [
            (f"scenes/{shape}/plain{n}.png", fourth),
            (f"scenes/{shape}/P{n}.png", ALTERATIONS["mirrored"](fourth)),
        ]
    save_photos(folder, photos)
    done = run_lince(folder, "train", "scenes", *SCRATCH, "--seed", "3", "--out", "run")
    assert done.code == 0, done.said
    return folder


KINDS = {  # how their names begin
    "altered copies of an export": "export",
    "the same picture as PNG and JPEG": "saved IMG_",
    "a smaller copy": "small DSC",
    "a mirrored copy": "plain P",
}


def find_original(name: str, words: list[str], factors: dict[str, int]) -> str:
    """Return which scene a photo shows, by the number in its name."""
    for word in words:
        if name.startswith(word) and name[len(word)].isdigit():
            digits = "".join(letter for letter in name[len(word) : len(word) + 3] if letter.isdigit())
            return str(factors.get(word, lambda value: value)(int(digits)))
    return ""


def test_15_train_keeps_copies_on_one_side(divided: Path) -> None:
    factors = {"IMG_": lambda value: (value - 3) // 7, "DSC": lambda value: value // 5}
    parts: dict[str, dict[str, set[str]]] = {kind: defaultdict(set) for kind in KINDS}
    for row in read_rows(divided / "run" / "split.csv"):
        for kind, words in KINDS.items():
            original = find_original(Path(row["name"]).name, words.split(), factors)  # type: ignore[arg-type]
            if original:
                parts[kind][original].add(row["split"])
    assert [len(found) for found in parts.values()] == [12] * len(KINDS)
    leaks = {kind: sum(len(places) > 1 for places in found.values()) for kind, found in parts.items()}
    assert leaks == dict.fromkeys(KINDS, 0), "copies in more than one part"


def test_15_train_draws_what_split_draws(divided: Path) -> None:
    assert run_lince(divided, "split", "scenes", "drawn.csv", "--seed", "3").code == 0
    drawn = {row["file"]: row["split"] for row in read_rows(divided / "drawn.csv")}
    assert {row["name"]: row["split"] for row in read_rows(divided / "run" / "split.csv")} == drawn, "two divisions"


@pytest.mark.slow
def test_15_a_given_split_that_leaks_is_said_with_its_inflation(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    photos = [(f"data/train/{'ab'[n % 2]}/{n}.png", draw_scene(n)) for n in range(16)]
    photos += [(f"data/test/{'ab'[n % 2]}/copy{n}.png", ALTERATIONS["darker"](draw_scene(n))) for n in range(6)]
    photos += [(f"data/test/{'ab'[n % 2]}/new{n}.png", draw_scene(100 + n)) for n in range(8)]
    save_photos(tmp_path, photos)
    assert run_lince(tmp_path, "train", "data", *SCRATCH, "--out", "run").code == 0
    report = (tmp_path / "run" / "report.md").read_text("utf-8")
    assert "6 of 14 test images" in report, "how much the leak inflates is not said"


# 16: grouping that does not overreach.


def count_parts(table: Path) -> dict[str, int]:
    parts = [row["split"] for row in read_rows(table)]
    return {part: parts.count(part) for part in ("train", "val", "test")}


@pytest.mark.parametrize("name", ["cat ({}).jpg", "cat - Copy ({}).jpg", "foto_{}.jpg"])
def test_16_names_alone_group_nothing(tmp_path: Path, name: str) -> None:
    photos = (
        (f"data/{c}/{name.format(n)}", draw_scene(n + 50 * k, 64, 64)) for n in range(20) for k, c in enumerate("ab")
    )
    save_photos(tmp_path, photos)
    done = run_lince(tmp_path, "split", "data")
    assert done.code == 0, f"unrelated photos are one group: {done.err}"
    assert min(count_parts(tmp_path / "data" / "splits.csv").values()) >= 3
    assert "together" not in done.said, done.said


@pytest.mark.parametrize("moves", ["anywhere", "slowly"])
def test_16_a_fixed_camera_is_divided(tmp_path: Path, moves: str) -> None:
    photos = shoot_fixed_camera(60, moves=moves)
    save_photos(tmp_path, ((f"data/{'ab'[n % 2]}/foto {n:03}.png", photo) for n, photo in enumerate(photos)))
    done = run_lince(tmp_path, "split", "data")
    assert done.code == 0, f"all photos are one group: {done.err}"
    counts = count_parts(tmp_path / "data" / "splits.csv")
    assert counts["test"] >= 6
    assert counts["val"] >= 3


def test_16_a_pattern_is_obeyed_where_nothing_else_is_asked(tmp_path: Path) -> None:
    photos = [(f"data/{'ab'[n % 2]}/{who}-{n}.png", draw_scene(n % 3)) for n, who in enumerate("pqrstuvwxyz" * 2)]
    save_photos(tmp_path, photos)
    done = run_lince(tmp_path, "split", "data", "--apart", "--group", "{group}-{n}")
    assert done.code == 0, done.err
    parts = defaultdict(set)
    for row in read_rows(tmp_path / "data" / "splits.csv"):
        parts[Path(row["file"]).name[0]].add(row["split"])
    assert [who for who, found in parts.items() if len(found) > 1] == [], "the pattern was not obeyed"


# 17: no false alarm that destroys data.


def draw_sign(seed: int, arrow: int) -> Image.Image:
    """Return a road sign (a blue disc with an arrow to the left, -1, or right, 1) before a landscape."""
    photo = np.asarray(draw_scene(seed, 320, 240)).copy()
    y, x = np.mgrid[-80:80, -80:80]
    face = photo[40:200, 80:240]
    face[x**2 + y**2 < 78**2] = (20, 60, 180)
    face[(abs(y) < 12) & (abs(x) < 50)] = 255
    face[abs(y) + abs(x * arrow - 30) < 34] = 255
    return Image.fromarray(photo)


ALARMS = ("two labels", "same photo", "Remove the other")


@pytest.mark.parametrize("kind", ["mirrored signs", "eggs on paper"])
def test_17_photos_that_look_alike_are_no_copies(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(3)
    if kind == "mirrored signs":
        photos = [(f"data/train/left/{n}.png", draw_sign(n, -1)) for n in range(6)]
        photos += [
            (f"data/test/right/{n}.png", draw_sign(n, -1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)) for n in range(6)
        ]
        photos += [(f"data/test/left/{n}.png", draw_sign(n, -1)) for n in range(20, 23)]
        photos += [(f"data/train/right/{n}.png", draw_sign(n, 1)) for n in range(30, 33)]
    else:  # one egg on one sheet of paper, with other specks: taken on other days
        photos = []
        for n in range(12):
            sheet = np.full((240, 320, 3), 225.0)
            y, x = np.mgrid[:240, :320]
            dx, dy = rng.integers(-4, 5, 2)
            sheet[((x - 160 - dx) / 70) ** 2 + ((y - 120 - dy) / 52) ** 2 < 1] = (205, 170, 140)
            for sy, sx in rng.integers((85, 110), (155, 210), (25, 2)):
                sheet[sy : sy + 4, sx : sx + 4] = (120, 80, 60)
            noisy = np.clip(sheet + rng.normal(0, 6, sheet.shape), 0, 255).astype(np.uint8)
            photos.append((f"data/{('good', 'bad')[n % 2]}/{n}.png", Image.fromarray(noisy)))
    save_photos(tmp_path, photos)
    done = run_lince(tmp_path, "check", "data")
    told = [line for line in done.out.splitlines() if line.startswith("ERROR") or "Remove the other" in line]
    assert told == [], "other photos are said to be copies"


def test_17_true_copies_are_still_found(tmp_path: Path) -> None:
    photos = [(f"data/{('good', 'bad')[n % 2]}/{n}.png", draw_sign(n, 1)) for n in range(6)]
    photos += [("data/bad/copy.png", ALTERATIONS["darker"](draw_sign(2, 1)))]
    save_photos(tmp_path, photos)
    done = run_lince(tmp_path, "check", "data")
    assert any(line.startswith("ERROR") for line in done.out.splitlines()), done.out
    assert "data/bad/copy.png" in done.out or "bad/copy.png" in done.out


# 18: the cost of a check, counted and not timed.

COUNTING = """
import atexit, os, cv2
from threading import Lock
counts, lock = {"read": 0, "bytes": 0}, Lock()
original = cv2.imdecode
def imdecode(*arguments):
    with lock:
        counts["read"] += 1
    return original(*arguments)
cv2.imdecode = imdecode
atexit.register(lambda: open(os.environ["COUNTS"], "a").write(f"{counts['read']}\\n"))
"""


def test_18_each_photo_is_decoded_once_and_by_a_second_check_not_at_all(tmp_path: Path) -> None:
    save_photos(tmp_path, ((f"data/{'ab'[n % 2]}/{n}.jpg", draw_scene(n)) for n in range(30)))
    (tmp_path / "hold").mkdir()
    (tmp_path / "hold" / "sitecustomize.py").write_text(COUNTING, "utf-8")
    environment = {"PYTHONPATH": str(tmp_path / "hold"), "COUNTS": str(tmp_path / "counts.txt")}
    for _turn in range(2):
        assert run_lince(tmp_path, "check", "data", **environment).code == 0
    first, second = map(int, (tmp_path / "counts.txt").read_text().split())
    assert first <= 30, "photos are decoded more than once"
    assert second == 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_18_a_second_check_of_photos_that_look_alike_costs_a_fraction(tmp_path: Path) -> None:
    photos = shoot_fixed_camera(240)
    save_photos(tmp_path, ((f"data/{'ab'[n % 2]}/{n:03}.jpg", photo) for n, photo in enumerate(photos)))
    seconds = []
    for _turn in range(2):
        before = os.times()
        assert run_lince(tmp_path, "check", "data").code == 0
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert seconds[1] < 0.4 * seconds[0], f"compared anew: {seconds} s of processor"


# 19: a budget is a limit: `python -m benchmarks budgets`, since it takes minutes and a machine of its own.
