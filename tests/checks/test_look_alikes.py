"""Photos that look alike are no copies of each other, and nothing says that one of them must go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import look_alikes
from PIL import Image

import lince
from lince import images
from lince.checks import CheckResult, Severity, run_checks

FINDINGS = {*look_alikes.FINDINGS, "look-alikes"}


def save(root: Path, photos: dict[str, np.ndarray]) -> Path:
    for name, photo in photos.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(images.encode_png(photo))
    return root


def codes(found: CheckResult) -> set[str]:
    return {finding.code for finding in found.findings} & FINDINGS


def sign(label: str, seed: int) -> np.ndarray:
    """Return a road sign before a landscape."""
    rng = np.random.default_rng(seed)
    photo = look_alikes.scenery(rng).astype(np.uint8)
    drawn = np.asarray(Image.fromarray(look_alikes.draw_sign(label)).resize((200, 200)))
    area = photo[40:240, 90:290]
    area[:] = np.where(drawn[:, :, 3:] > 0, drawn[:, :, :3], area)
    return photo


def test_copies_are_told_from_photos_that_look_alike(awkward: Path) -> None:
    scores: dict[str, look_alikes.Score] = {}
    for name in ("eggs", "parts", "signs", "dials"):
        origins = look_alikes.draw_set(awkward / name, name, np.random.default_rng(5), photos=16, copies=3)
        look_alikes.score_set(scores, name, run_checks(lince.open(awkward / name)), origins)
    sets = [scores[name] for name in ("eggs", "parts", "signs", "dials")]
    assert [score.false for score in sets] == [[], [], [], []]
    assert sum(score.found for score in sets) >= 0.9 * sum(score.planted for score in sets) == 0.9 * 48


def test_a_mirror_image_of_another_class_is_no_copy(awkward: Path) -> None:
    left = [sign("keep left", seed) for seed in range(3)]
    photos = {f"train/keep left/{number}.png": photo for number, photo in enumerate(left)}
    photos |= {f"test/keep right/{number}.png": photo[:, ::-1] for number, photo in enumerate(left)}
    assert codes(run_checks(lince.open(save(awkward, photos)))) == set()


def test_a_mirror_image_of_the_same_class_is_a_copy(awkward: Path) -> None:
    photos = {f"train/{'ab'[seed % 2]}/{seed}.png": sign("keep left", seed) for seed in range(4)}
    photos["test/a/mirrored.png"] = photos["train/a/0.png"][:, ::-1]
    assert codes(run_checks(lince.open(save(awkward, photos)))) == {"leak"}


@pytest.mark.parametrize("change", ["digit", "colour"])
def test_two_labels_of_two_photos_are_no_contradiction(awkward: Path, change: str) -> None:
    first = sign("30", 1)
    second = sign("50" if change == "digit" else "30", 1)
    if change == "colour":
        is_red = (first[:, :, 0] > 150) & (first[:, :, 1:].max(axis=2) < 90)
        second[is_red] = second[is_red][:, ::-1]
    photos = {"a/1.png": first, "b/2.png": second, "a/3.png": sign("30", 2), "b/4.png": sign("50", 3)}
    found = run_checks(lince.open(save(awkward, photos)))
    assert codes(found) <= {"look-alikes"}


def test_a_slightly_altered_copy_with_another_label_is_a_contradiction(awkward: Path) -> None:
    first = sign("30", 1)
    darker = (first * 0.85).astype(np.uint8)
    photos = {"a/1.png": first, "b/2.png": darker, "a/3.png": sign("30", 2), "b/4.png": sign("50", 3)}
    found = run_checks(lince.open(save(awkward, photos)))
    assert codes(found) == {"contradiction"}
    (example,) = found.find_by_code("contradiction").examples
    assert {example.place, example.other_place} == {"a/1.png", "b/2.png"}
    assert example.text == "a / b, nearly the same"


def test_photos_that_only_look_alike_are_told_without_a_claim(awkward: Path) -> None:
    """Two signs in two splits that differ in a digit: a note, which names the splits and lets nothing be removed."""
    photos = {f"train/a/{seed}.png": sign("30", seed) for seed in range(3)} | {"test/a/x.png": sign("80", 0)}
    found = run_checks(lince.open(save(awkward, photos | {"train/b/9.png": sign("keep left", 9)})))
    assert codes(found) == {"look-alikes"}
    note = found.find_by_code("look-alikes")
    assert note.severity is Severity.NOTE
    assert [example.text for example in note.examples] == ["test / train"]
    assert "Remove nothing" in " ".join(note.advice)


def test_each_photo_is_decoded_once(awkward: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "own"))
    photos = {
        f"{part}/{'ab'[seed % 2]}/{seed}.png": sign("30", seed) for seed in range(6) for part in ("train", "test")
    }
    save(awkward, {name: photo[: 270 + index] for index, (name, photo) in enumerate(photos.items())})
    monkeypatch.setattr("lince.datasets.duplicates.search.find_candidates", lambda _thumbnails: [])
    decoded: list[bytes] = []
    real = images.decode_image
    monkeypatch.setattr(images, "decode_image", lambda data, *size: decoded.append(data) or real(data, *size))
    run_checks(lince.open(awkward))
    assert len(decoded) == 12
