"""Corrections: stored once by content, complete, as a dataset that lince opens."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from tests.support import tiny_classifier

import lince
from lince import images
from lince.annotations import Classes
from lince.serving import correction_store
from lince.serving.correction_store import CorrectedBoxes, CorrectionStore
from lince.web.http_errors import ApiError

CLASSES = Classes(tiny_classifier.NAMES)


def photo(name: str, seed: int = 0) -> bytes:
    return images.encode_png(tiny_classifier.photo(name, seed=seed))


def marked(*boxes: tuple[float, float, float, float]) -> CorrectedBoxes:
    return CorrectedBoxes(np.array(boxes, np.float64).reshape(-1, 4), np.zeros(len(boxes), np.int32), (40, 60))


def kept(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_labels_become_class_folders_that_lince_opens(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept")
    for seed in range(3):
        assert there.save_label(photo("red", seed), "red", CLASSES)
        assert there.save_label(photo("blue", seed), "blue", CLASSES)
    data = lince.open(awkward / "kept")
    assert (data.format, len(data), data.classes.names) == ("folders", 6, ("blue", "red"))
    assert data.rejected == ()


def test_a_photo_is_kept_once_and_the_last_word_counts(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept")
    one = photo("red")
    assert [there.save_label(one, label, CLASSES) for label in ("red", "red", "blue", "blue")] == [
        True, False, True, False,
    ]  # fmt: skip
    [path] = kept(awkward / "kept")
    assert path.startswith("blue/")
    assert (awkward / "kept" / path).read_bytes() == one


def test_corrections_are_evaluated_against(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept")
    for seed in range(3):
        for name in ("red", "green", "blue"):
            there.save_label(photo(name, seed), name, CLASSES)
    report = lince.evaluate(tiny_classifier.model_folder(awkward / "model"), awkward / "kept")
    assert report.metrics.accuracy.value == 1


def test_objects_become_yolo_and_can_be_set_right_again(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept")
    one = photo("red")
    assert there.save_objects(one, marked((1, 2, 30, 20), (5, 5, 60, 40)), CLASSES)
    assert not there.save_objects(one, marked((1, 2, 30, 20), (5, 5, 60, 40)), CLASSES)
    assert there.save_objects(one, marked((1, 2, 31, 20)), CLASSES)
    assert there.save_objects(photo("red", 1), marked(), CLASSES)  # no objects
    data = lince.open(awkward / "kept")
    assert (data.format, len(data), data.classes.names, data.rejected) == ("yolo", 2, tiny_classifier.NAMES, ())
    np.testing.assert_allclose(data.objects.boxes, [[1, 2, 31, 20]], atol=1e-6)


def test_models_with_other_classes_are_not_mixed(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept")
    there.save_objects(photo("red"), marked(), CLASSES)
    before = kept(awkward / "kept")
    with pytest.raises(ApiError) as refused:
        there.save_objects(photo("red", 1), marked(), Classes(("cat",)))
    assert refused.value.status == 409
    assert kept(awkward / "kept") == before


@pytest.mark.parametrize(("files", "size"), [(2, 1 << 20), (100, 2 * len(photo("red")) + 10)])
def test_a_full_folder_takes_no_more_until_there_is_room(awkward: Path, files: int, size: int) -> None:
    there = CorrectionStore(awkward / "kept", files, size)
    for seed in range(2):
        there.save_label(photo("red", seed), "red", CLASSES)
    with pytest.raises(ApiError) as refused:
        there.save_label(photo("red", 2), "red", CLASSES)
    assert refused.value.status == 507
    assert len(kept(awkward / "kept")) == 2
    (awkward / "kept" / kept(awkward / "kept")[0]).unlink()
    assert there.save_label(photo("red", 2), "red", CLASSES)


@pytest.mark.parametrize("name", ["..", "../up", "a/b", "a\\b", ".hidden", "images", "", "nul\0"])
def test_a_class_that_cannot_be_a_folder_is_refused(awkward: Path, name: str) -> None:
    with pytest.raises(ApiError) as refused:
        CorrectionStore(awkward / "kept").save_label(photo("red"), name, Classes((name, "red")))
    assert refused.value.status == 422
    assert kept(awkward) == []


def test_a_write_that_fails_leaves_nothing_half(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = correction_store.write_bytes, []

    def failing(path: Path, data: bytes) -> None:
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        real(path, data)

    there = CorrectionStore(awkward / "kept")
    monkeypatch.setattr(correction_store, "write_bytes", failing)
    with pytest.raises(OSError, match="No space"):
        there.save_objects(photo("red"), marked((1, 2, 30, 20)), CLASSES)
    assert not [path for path in kept(awkward / "kept") if path.startswith("images/")]
    monkeypatch.undo()
    assert there.save_objects(photo("red"), marked((1, 2, 30, 20)), CLASSES)
    assert len(lince.open(awkward / "kept")) == 1


def test_many_at_once_keep_each_photo_once(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept")
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append(there.save_label(photo("red"), "red", CLASSES))) for _i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 7 + [True]
