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


def test_sets_of_classes_become_a_table_that_lince_opens(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept")
    given = {0: [0, 2], 1: [], 2: [1], 3: [0, 1, 2]}
    for seed, class_ids in given.items():
        assert there.save_label_set(photo("red", seed), class_ids, CLASSES)
    data = lince.open(awkward / "kept")
    assert (data.format, len(data), data.classes.names, data.rejected) == ("csv", 4, tuple(sorted(CLASSES.names)), ())
    assert data.label_sets is not None
    assert data.label_sets.is_known.all()
    by_content = {data.images.read_bytes(row): set(data.list_class_names(row)) for row in range(4)}
    assert by_content == {photo("red", seed): {CLASSES.names[one] for one in ids} for seed, ids in given.items()}


def test_a_single_set_is_read_again(awkward: Path) -> None:
    CorrectionStore(awkward / "kept").save_label_set(photo("red"), [0, 1], CLASSES)
    data = lince.open(awkward / "kept")
    assert data.label_sets is not None
    assert set(data.list_class_names(0)) == set(CLASSES.names[:2])
    assert data.label_sets.is_listed


def test_the_last_set_of_a_photo_counts_and_its_file_is_kept_once(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept")
    one, other = photo("red"), photo("red", 1)
    there.save_label_set(other, [1, 2], CLASSES)
    assert [there.save_label_set(one, ids, CLASSES) for ids in ([0], [0], [0, 1], [])] == [True, False, True, True]
    assert len([path for path in kept(awkward / "kept") if path.endswith(".png")]) == 2
    data = lince.open(awkward / "kept")
    assert data.label_sets is not None
    names = data.classes.names
    found = {data.images.read_bytes(row): data.label_sets.get_class_ids(row) for row in range(len(data))}
    assert {image: [names[class_id] for class_id in ids] for image, ids in found.items()} == {
        one: [],
        other: ["green", "red"],
    }


def test_photos_of_one_class_or_none_are_read_again(awkward: Path) -> None:
    there, given = CorrectionStore(awkward / "kept"), ([0], [], [1])
    for seed, ids in enumerate(given):
        there.save_label_set(photo("red", seed), ids, CLASSES)
    data = lince.open(awkward / "kept")
    found = sorted(data.list_class_names(row) for row in range(len(data)))
    assert found == sorted([CLASSES.names[one] for one in ids] for ids in given)


@pytest.mark.parametrize("name", ["file", "split", "no", "a, b"])
def test_any_class_can_be_listed(awkward: Path, name: str) -> None:
    CorrectionStore(awkward / "kept").save_label_set(photo("red"), [0, 1], Classes((name, "red")))
    assert set(lince.open(awkward / "kept").list_class_names(0)) == {name, "red"}


def test_names_that_a_table_must_quote_are_read_again(awkward: Path) -> None:
    classes = Classes(('a "b", c', "ñandú;x|y", "=1+1"))
    there, given = CorrectionStore(awkward / "kept"), ([0, 1], [2], [1, 2])
    for seed, ids in enumerate(given):
        there.save_label_set(photo("red", seed), ids, classes)
    data = lince.open(awkward / "kept")
    assert {*data.classes.names} == {*classes.names}
    assert data.label_sets is not None
    found = [{data.classes.names[one] for one in data.label_sets.get_class_ids(row)} for row in range(3)]
    expected = [{classes.names[one] for one in ids} for ids in given]
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_a_full_folder_takes_no_set_until_there_is_room(awkward: Path) -> None:
    there = CorrectionStore(awkward / "kept", 3)
    there.save_label_set(photo("red"), [0], CLASSES)
    there.save_label_set(photo("red", 1), [0], CLASSES)
    with pytest.raises(ApiError) as refused:
        there.save_label_set(photo("red", 2), [0], CLASSES)
    assert refused.value.status == 507
    assert there.save_label_set(photo("red", 1), [0, 1], CLASSES), "a photo that is there needs no more room"


def test_a_set_whose_table_fails_leaves_the_table_as_it_was(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, real = CorrectionStore(awkward / "kept"), correction_store.write_bytes
    there.save_label_set(photo("red"), [0], CLASSES)
    before = (awkward / "kept" / "labels.csv").read_bytes()

    def failing(path: Path, data: bytes) -> None:
        if path.suffix == ".csv":
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(correction_store, "write_bytes", failing)
    with pytest.raises(OSError, match="No space"):
        there.save_label_set(photo("red", 1), [0], CLASSES)
    assert (awkward / "kept" / "labels.csv").read_bytes() == before
    monkeypatch.undo()
    assert there.save_label_set(photo("red", 1), [0], CLASSES)
