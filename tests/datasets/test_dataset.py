"""Dataset: consistent columns, lazy image reading, verification of every image."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from lince import images
from lince.annotations import RejectedItem
from lince.datasets import (
    Dataset,
    compute_content_keys,
    open_dataset,
    require_usable_dataset,
    split_dataset,
    verify_images,
)
from lince.errors import AmbiguousError, DataError, ImageError, UsageError
from lince.fileio import compute_digest
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.tasks import get_task, require_fit


def photo(shade: int, height: int = 20, width: int = 30) -> bytes:
    image = np.full((height, width, 3), shade, np.uint8)
    image[: height // 2] //= 2
    return images.encode_jpeg(image)


@pytest.fixture
def pets(awkward: Path) -> Path:
    for shade, name in enumerate(["cat/persa", "cat/siamés", "dog/boxer", "dog/galgo"]):
        for copy in range(3):
            path = awkward / name.split("/")[1] / f"{copy}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(photo(shade * 40 + copy))
    return awkward


def test_rows_stay_together(pets: Path) -> None:
    dataset = open_dataset(str(pets))
    assert (len(dataset), dataset.total_count, dataset.summarise()) == (12, 12, "used 12 photos; left out: 0")
    assert dataset.classes.names == ("boxer", "galgo", "persa", "siamés")
    assert dataset.class_ids.dtype == np.int32
    assert dataset.splits.dtype == np.int8
    assert dataset.count_per_class() == {"boxer": 3, "galgo": 3, "persa": 3, "siamés": 3}
    part = dataset.select([11, 0])
    assert [part.images.get_name(i) for i in range(2)] == ["siamés/2.jpg", "boxer/0.jpg"]
    assert part.class_ids.tolist() == [3, 0]
    assert part.images.get_path(0) == pets / "siamés" / "2.jpg"
    assert np.array_equal(part.images.read_image(1), images.decode_image(photo(80)))
    assert part.images.compute_key(1) == compute_digest(photo(80))
    assert part.images.read_image(0, (5, 7)).shape == (5, 8, 3) or part.images.read_image(0, (5, 7)).shape == (
        10,
        15,
        3,
    )


def test_rows_are_chosen_by_number(pets: Path) -> None:
    dataset = open_dataset(pets)
    assert len(dataset.select([])) == 0
    with pytest.raises(ValueError, match="bool"):
        dataset.select(dataset.class_ids == 0)


def test_without_moves_rows_to_rejected(pets: Path) -> None:
    dataset = open_dataset(pets)
    left = dataset.reject_rows({2: RejectedItem("boxer/2.jpg", "blurred"), 0: RejectedItem("boxer/0.jpg", "dark")})
    assert (len(left), left.total_count, left.summarise()) == (10, 12, "used 10 photos; left out: 2")
    assert [refusal.reason for refusal in left.rejected] == ["dark", "blurred"]
    assert left.images.get_name(0) == "boxer/1.jpg"
    assert left.count_per_class()["boxer"] == 1
    assert dataset.reject_rows({}) is dataset


@pytest.fixture
def digits() -> Dataset:
    return open_dataset("lince:digits")


def test_summary_groups_thousands(digits: Dataset) -> None:
    assert digits.reject_rows({1: RejectedItem("digit-0001", "x")}).summarise() == "used 1,796 photos; left out: 1"


def test_merging_classes(pets: Path) -> None:
    merge = {"gato": ("persa", "siamés"), "cão": ("boxer", "galgo")}
    dataset = open_dataset(pets, merge=merge)
    assert dataset.count_per_class() == {"cão": 6, "gato": 6}
    assert dataset.class_ids.tolist() == [0] * 6 + [1] * 6
    partly = open_dataset(pets, merge={"boxer": ("galgo",)})
    assert partly.count_per_class() == {"boxer": 6, "persa": 3, "siamés": 3}
    with pytest.raises(UsageError, match="persian"):
        open_dataset(pets, merge={"cat": ("persian",)})
    with pytest.raises(UsageError, match="persa"):
        open_dataset(pets, merge={"cat": ("persa",), "dog": ("persa", "boxer")})


def test_the_fingerprint_names_content_classes_and_splits(pets: Path) -> None:
    dataset = open_dataset(pets)
    known = dataset.compute_fingerprint(compute_content_keys(dataset))
    assert len(known) == 32
    shuffled = dataset.select(np.random.default_rng(0).permutation(12))
    assert shuffled.compute_fingerprint(compute_content_keys(shuffled)) == known
    split = split_dataset(dataset, 0.3, 0.3, 0)
    merged = dataset.merge_classes({"x": ("boxer", "galgo")})
    assert (
        len(
            {
                known,
                split.compute_fingerprint(compute_content_keys(split)),
                merged.compute_fingerprint(compute_content_keys(merged)),
            }
        )
        == 3
    )
    (pets / "boxer" / "0.jpg").write_bytes(photo(200))
    assert dataset.compute_fingerprint(compute_content_keys(dataset)) != known


def test_columns_of_different_length_are_refused(pets: Path) -> None:
    whole = open_dataset(pets)
    with pytest.raises(ValueError, match="12 images, 11 classes"):
        Dataset(whole.images, whole.classes, whole.class_ids[1:], whole.splits, (), pets, "folders")


def test_verify_sets_aside_what_cannot_be_decoded(pets: Path) -> None:
    broken = photo(7, 200, 300)
    (pets / "boxer" / "cut é.jpg").write_bytes(broken[: len(broken) // 2])
    (pets / "persa" / "damaged.png").write_bytes(images.encode_png(np.zeros((9, 9, 3), np.uint8))[:40])
    dataset = open_dataset(pets)
    assert (len(dataset), dataset.rejected) == (14, ())
    for _again in range(2):
        checked = verify_images(dataset)
        assert checked.summarise() == "used 12 photos; left out: 2"
        assert [refusal.path for refusal in checked.rejected] == ["boxer/cut é.jpg", "persa/damaged.png"]
        assert "truncated or damaged" in checked.rejected[0].reason
        assert str(pets) not in checked.rejected[0].reason
        assert checked.rejected[0].remedy


def test_verify_decodes_a_content_once(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(verify_images(open_dataset(pets))) == 12
    decoded = []
    monkeypatch.setattr(images, "read_image", lambda path, min_size=None: decoded.append(path))
    (pets / "galgo" / "copy.jpg").write_bytes(photo(0))
    (pets / "galgo" / "new.jpg").write_bytes(photo(222))
    assert len(verify_images(open_dataset(pets))) == 14
    assert [Path(path).name for path in decoded] == ["new.jpg"]


def test_verify_finds_a_file_that_has_gone(pets: Path) -> None:
    dataset = open_dataset(pets)
    (pets / "boxer" / "0.jpg").unlink()
    assert verify_images(dataset).rejected[0].path == "boxer/0.jpg"
    with pytest.raises(ImageError, match="does not exist"):
        compute_content_keys(dataset)


def test_more_than_one_in_a_hundred_unusable_stops(digits: Dataset) -> None:
    digits = digits.select(range(500))
    refused = {i: RejectedItem(f"digit-{i}", "bad") for i in range(6)}
    five = digits.reject_rows({i: refused[i] for i in range(5)})
    require_usable_dataset(five)
    six = digits.reject_rows(refused)
    with pytest.raises(DataError, match="6 of 500") as caught:
        require_usable_dataset(six)
    assert "digit-5: bad" in str(caught.value)
    require_usable_dataset(six, allow_unusable=True)


@pytest.mark.parametrize(
    ("count", "of", "goes_on"),
    [(2, 199, True), (1, 41, True), (5, 201, True), (1, 40, False), (6, 199, False), (2, 7, False)],
)
def test_a_few_broken_photos_of_a_small_dataset_stop_nothing(
    digits: Dataset, count: int, of: int, goes_on: bool
) -> None:
    broken = digits.select(range(of)).reject_rows({i: RejectedItem(f"digit-{i}", "bad") for i in range(count)})
    with nullcontext() if goes_on else pytest.raises(DataError, match=f"{count} of {of}"):
        require_usable_dataset(broken)


def test_digits_are_part_of_the_package(digits: Dataset) -> None:
    assert (len(digits), len(digits.classes)) == (1797, 10)
    assert set(digits.splits.tolist()) == {UNASSIGNED}
    assert digits.images.grey
    assert digits.images.read_image(1796).shape == (8, 8, 3)
    assert verify_images(digits) is digits
    assert len(set(compute_content_keys(digits))) == 1797
    assert digits.images.get_path(0) is None
    with pytest.raises(UsageError, match="lince:digits"):
        open_dataset("lince:letters")


def test_digits_are_those_of_scikit_learn(digits: Dataset) -> None:
    reference = pytest.importorskip("sklearn.datasets").load_digits()
    assert digits.class_ids.tolist() == reference.target.tolist()
    pixels = np.stack([digits.images.read_image(index)[:, :, 1] for index in range(len(digits))])
    assert np.array_equal(pixels, np.rint(reference.images * (255 / 16)))


# Real photos


def test_flowers(shared: Path) -> None:
    dataset = open_dataset(shared / "data" / "flowers")
    assert dataset.classes.names == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert (len(dataset.get_split_indices(TRAIN)), len(dataset.get_split_indices(TEST))) == (2934, 736)
    assert dataset.summarise() == "used 3,670 photos; left out: 0"
    split = split_dataset(dataset, 0.1, 0.2, 0)
    assert np.array_equal(split.get_split_indices(TEST), dataset.get_split_indices(TEST))
    assert (len(split.get_split_indices(TRAIN)), len(split.get_split_indices(VAL))) == (2641, 293)


def test_mnist(shared: Path) -> None:
    dataset = open_dataset(shared / "data" / "mnist")
    assert (len(dataset.get_split_indices(TRAIN)), len(dataset.get_split_indices(TEST))) == (60_000, 10_000)
    assert dataset.class_ids[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.images.read_image(69_999).shape == (28, 28, 3)


def test_pets(shared: Path) -> None:
    with pytest.raises(AmbiguousError, match=r"names: .* Abyssinian"):  # boxes, masks and names are possible
        open_dataset(shared / "data" / "pets")
    dataset = open_dataset(shared / "data" / "pets", format="names")
    assert dataset.count_per_class() == {"Abyssinian": 200, "american_bulldog": 200, "Bengal": 200}
    assert sorted((r.path, r.reason) for r in dataset.rejected) == [
        (f"images/Abyssinian_{number}.mat", "not an image: .mat") for number in (100, 101, 102)
    ]
    names = [dataset.images.get_name(i) for i in range(len(dataset))]
    for name in ("images/Abyssinian_34.jpg", "images/Abyssinian_5.jpg"):  # a GIF and an RGBA PNG
        assert dataset.images.read_image(names.index(name)).ndim == 3
    require_usable_dataset(dataset)
    species = dataset.merge_classes({"cat": ("Abyssinian", "Bengal"), "dog": ("american_bulldog",)})
    assert species.count_per_class() == {"cat": 400, "dog": 200}


def test_pets_are_all_decoded(shared: Path) -> None:
    assert (
        verify_images(open_dataset(shared / "data" / "pets" / "images")).summarise() == "used 600 photos; left out: 3"
    )


@pytest.mark.parametrize(
    ("place", "form"), [("raccoon/data/raccoon_labels.csv", None), ("raccoon", "voc"), ("hardhat", "yolo")]
)
def test_boxes_are_no_classes(shared: Path, place: str, form: str | None) -> None:
    dataset = open_dataset(shared / "data" / place, format=form)
    with pytest.raises(UsageError, match="no labels for image classification"):
        require_fit(get_task("classify"), dataset)


@pytest.mark.slow
def test_memory_per_row_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row costs its path and 21 bytes of columns, some more while it is found; reading costs nothing that stays."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    from benchmarks import rows

    few, many = (rows.measured(tmp_path / str(count), count) for count in (10_000, 110_000))
    assert many.rows == 110_000
    assert (many.peak_mb - few.peak_mb) * 1e6 / 100_000 < 400


def test_opening_needs_no_torch() -> None:
    code = "import lince.datasets, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
