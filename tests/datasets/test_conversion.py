"""Dataset conversion: image names, reported losses, several sources joined, no partial output."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import sample_datasets

from lince import images, rle
from lince.annotations import CROWD, DIFFICULT, TRUNCATED, Classes, StringColumn
from lince.cli import main
from lince.datasets import Dataset, open_dataset
from lince.datasets.conversion import (
    LINK_IMAGES,
    REFERENCE_IMAGES,
    ConvertOptions,
    convert_dataset,
    list_writable_formats,
)
from lince.datasets.conversion_loss import (
    ConversionLoss,
    adapt_to_format,
    find_lossless_formats,
    find_required_features,
)
from lince.datasets.dataset import build_dataset
from lince.datasets.image_source import FileImages
from lince.datasets.merge import merge_datasets
from lince.datasets.target_names import make_unique_paths
from lince.errors import DataError, UsageError
from lince.formats import FORMATS, Capability, Format, LabelTable, PixelBlocks
from lince.splits import TEST, TRAIN

TRIANGLE = np.array([[2.0, 2.0], [20.0, 4.0], [9.5, 18.25]])
SQUARE = np.array([[22.0, 5.0], [30.0, 5.0], [30.0, 12.0], [22.0, 12.0]])


@pytest.fixture
def photos(awkward: Path) -> FileImages:
    return sample_datasets.write_photos(awkward / "fuente")


def blob(shape: tuple[int, int], top: int, left: int) -> np.ndarray:
    picture = np.zeros(shape, bool)
    picture[top : top + 6, left : left + 8] = True
    picture[top + 2 : top + 4, left + 2 : left + 4] = False
    return picture


def everything() -> sample_datasets.DatasetPlan:
    """Return a plan with boxes, outlines, rings, masks, flags, splits, an empty photo and an unused class."""
    marks = [
        sample_datasets.PlannedObject("perro", (1.5, 2.0, 30.25, 20.0), flags=DIFFICULT | CROWD),
        sample_datasets.PlannedObject("gato", rings=[TRIANGLE]),
        sample_datasets.PlannedObject("gato", rings=[TRIANGLE, SQUARE], flags=TRUNCATED),
    ]
    photos = [
        sample_datasets.PlannedPhoto(0, TRAIN, objects=marks),
        sample_datasets.PlannedPhoto(
            1, TEST, objects=[sample_datasets.PlannedObject("perro", mask=blob(sample_datasets.SIZES[1], 3, 4))]
        ),
        sample_datasets.PlannedPhoto(2, TRAIN),
    ]
    return sample_datasets.DatasetPlan(("perro", "zorro", "gato"), photos, marked=True)


def form(holds: Capability, flags: int = 31) -> Format:
    """Return a format with these capabilities, to determine what would be lost."""
    return Format("x", lambda place: None, FORMATS["folders"].read, holds, supported_flags=flags)


# Losses


ALL = ~Capability(0)


def losses(dataset: Dataset, holds: Capability, flags: int = 31) -> dict[str, int]:
    return {loss.kind: loss.count for loss in adapt_to_format(dataset, form(holds, flags))[1]}


def test_a_format_that_holds_everything_loses_nothing(photos: FileImages) -> None:
    dataset = sample_datasets.build_dataset(everything(), photos)
    fitted, lost = adapt_to_format(dataset, form(ALL))
    assert lost == ()
    sample_datasets.require_same(fitted, dataset)
    assert find_required_features(dataset) == ALL & ~(
        Capability.LABELS | Capability.LABEL_SETS | Capability.EXTERNAL_PATHS | Capability.VOID
    )


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        (Capability.SPLITS, {"splits": 3}),
        (Capability.FLAGS, {"flags": 2}),
        (Capability.NEGATIVES, {"negatives": 1}),
        (Capability.CLASSES, {"classes": 3}),
        (Capability.MULTI_RING_OUTLINES, {"rings": 1}),
        (Capability.MASKS, {"masks": 1}),
        (Capability.OUTLINES, {"outlines": 2}),
        (Capability.OUTLINES | Capability.MASKS, {"outlines": 2, "masks": 1}),
        (Capability.BOXES, {"boxes": 1}),
    ],
    ids=str,
)
def test_what_is_lost_is_counted(photos: FileImages, missing: Capability, lost: dict[str, int]) -> None:
    assert losses(sample_datasets.build_dataset(everything(), photos), ALL & ~missing) == lost


def test_flags_are_held_one_by_one(photos: FileImages) -> None:
    dataset = sample_datasets.build_dataset(everything(), photos)
    assert losses(dataset, ALL, DIFFICULT | CROWD) == {"flags": 1}
    fitted, _lost = adapt_to_format(dataset, form(ALL, DIFFICULT))
    assert fitted.objects is not None
    assert fitted.objects.flags.tolist() == [DIFFICULT, 0, 0, 0]


def test_a_mask_becomes_the_outline_along_its_pixels(photos: FileImages) -> None:
    dataset = sample_datasets.build_dataset(everything(), photos)
    fitted, _lost = adapt_to_format(dataset, form(ALL & ~Capability.MASKS))
    assert fitted.objects is not None
    rings, shape = fitted.objects.get_polygons(3), sample_datasets.SIZES[1]
    assert np.array_equal(rle.counts_to_mask(rle.polygons_to_counts(rings, *shape), *shape), blob(shape, 3, 4))
    assert not fitted.objects.has_mask.any()
    assert np.array_equal(fitted.objects.boxes, dataset.objects.boxes)


def test_rings_are_joined_without_a_change_of_area(photos: FileImages) -> None:
    fitted, _lost = adapt_to_format(
        sample_datasets.build_dataset(everything(), photos), form(ALL & ~Capability.MULTI_RING_OUTLINES)
    )
    assert fitted.objects is not None
    (ring,), shape = fitted.objects.get_polygons(2), sample_datasets.SIZES[0]
    assert np.array_equal(rle.polygons_to_counts([ring], *shape), rle.polygons_to_counts([TRIANGLE, SQUARE], *shape))
    assert np.array_equal(fitted.objects.get_polygons(1)[0], TRIANGLE)


def test_an_outline_becomes_the_pixels_within(photos: FileImages) -> None:
    fitted, _lost = adapt_to_format(
        sample_datasets.build_dataset(everything(), photos),
        form(ALL & ~(Capability.OUTLINES | Capability.MULTI_RING_OUTLINES)),
    )
    assert fitted.objects is not None
    assert fitted.objects.masks[1] == rle.counts_to_string(
        rle.polygons_to_counts([TRIANGLE], *sample_datasets.SIZES[0])
    )
    assert fitted.objects.has_mask.tolist() == [False, True, True, True]


def test_a_picture_of_classes_holds_one_mask_for_each_class(photos: FileImages) -> None:
    shape = sample_datasets.SIZES[0]
    first, second, third = (blob(shape, top, left) for top, left in ((1, 1), (10, 10), (12, 12)))
    marks = [
        sample_datasets.PlannedObject(name, mask=mask) for name, mask in (("a", first), ("b", third), ("a", second))
    ]
    dataset = sample_datasets.build_dataset(
        sample_datasets.DatasetPlan(("a", "b"), [sample_datasets.PlannedPhoto(0, objects=marks)], marked=True), photos
    )
    fitted, lost = adapt_to_format(dataset, form(Capability.MASKS | Capability.CLASSES))
    assert [(loss.kind, loss.count) for loss in lost] == [("together", 2)]
    assert fitted.objects is not None
    painted = [rle.decode(text, *shape) for text in fitted.objects.masks]
    assert np.array_equal(painted[0], first | second)
    assert np.array_equal(painted[1], third & ~second)
    assert fitted.objects.boxes[1].tolist() == list(rle.compute_bounding_box(rle.mask_to_counts(painted[1]), shape[0]))
    plain = sample_datasets.build_dataset(
        sample_datasets.DatasetPlan(("a", "b"), [sample_datasets.PlannedPhoto(0, objects=marks[:2])], marked=True),
        photos,
    )
    assert adapt_to_format(plain, form(Capability.MASKS | Capability.CLASSES))[1] == ()


@pytest.mark.parametrize("holds", [Capability.LABELS, Capability.LABELS | Capability.CLASSES | Capability.NEGATIVES])
def test_nothing_left_is_refused_whatever_is_allowed(photos: FileImages, holds: Capability) -> None:
    with pytest.raises(UsageError, match="Nothing in"):
        adapt_to_format(sample_datasets.build_dataset(everything(), photos), form(holds))
    labelled = sample_datasets.DatasetPlan(
        ("a", "b"), [sample_datasets.PlannedPhoto(0, name="a"), sample_datasets.PlannedPhoto(1, name="b")], marked=False
    )
    with pytest.raises(UsageError, match="image-level classes are dropped: 2"):
        adapt_to_format(sample_datasets.build_dataset(labelled, photos), form(ALL & ~Capability.LABELS))


def test_unlabelled_images_are_no_negatives(photos: FileImages) -> None:
    plan = sample_datasets.DatasetPlan(
        ("a", "b"),
        [
            sample_datasets.PlannedPhoto(0, name="a"),
            sample_datasets.PlannedPhoto(1),
            sample_datasets.PlannedPhoto(2, name="b"),
        ],
        marked=False,
    )
    fitted, lost = adapt_to_format(sample_datasets.build_dataset(plan, photos), form(ALL))
    assert [(loss.kind, loss.count) for loss in lost] == [("unlabelled", 1)]
    assert len(fitted) == 2


def test_a_loss_is_described_in_a_message() -> None:
    assert str(ConversionLoss("masks", 1200, "masks become boxes")) == "masks become boxes: 1,200"


# Names


def test_names_that_are_free_are_kept_and_others_told_apart() -> None:
    paths = ["a/1.jpg", "b/1.jpg", "b/2.jpg", "b/c/1.jpg", "3.jpg", "3.png", "x/N.jpg", "x/n.jpg", "x/\u00e9.jpg"]
    found = make_unique_paths(paths, lambda row, name: name)
    assert found == [
        "a-1.jpg",
        "b-1.jpg",
        "2.jpg",
        "c-1.jpg",
        "3.jpg",
        "3-2.png",
        "x-N.jpg",
        "x-n-2.jpg",
        "\u00e9.jpg",
    ]
    assert make_unique_paths(["a/1.jpg", "b/1.jpg"], lambda row, name: f"{'ab'[row]}/{name}") == ["a/1.jpg", "b/1.jpg"]
    assert make_unique_paths(["a/b/1.jpg", "c/b/1.jpg", "b-1.jpg"], lambda row, name: name)[:2] == [
        "a-b-1.jpg",
        "c-b-1.jpg",
    ]


@given(st.lists(st.text("aAbB1é-", min_size=1, max_size=3), min_size=1, max_size=8), st.data())
def test_names_are_apart_whatever_the_order(parts: list[str], data: st.DataObject) -> None:
    folders = data.draw(st.lists(st.sampled_from(["", "a/", "A/", "a/b/"]), min_size=len(parts), max_size=len(parts)))
    paths = sorted({folder + name + ".jpg" for folder, name in zip(folders, parts, strict=True)})
    found = make_unique_paths(paths, lambda row, name: name)
    assert len({name.casefold() for name in found}) == len(paths)
    order = data.draw(st.permutations(range(len(paths))))
    again = make_unique_paths([paths[i] for i in order], lambda row, name: name)
    assert {paths[i]: name for i, name in zip(order, again, strict=True)} == dict(zip(paths, found, strict=True))


def test_images_get_names_that_every_system_takes(photos: FileImages, awkward: Path) -> None:
    (awkward / "odd" / "uno").mkdir(parents=True)
    (awkward / "odd" / "dos").mkdir()
    (awkward / "odd" / "uno" / "what: is\nthis?").write_bytes(photos.read_bytes(0))
    (awkward / "odd" / "dos" / "plain").write_bytes(photos.read_bytes(1))
    done = convert_dataset(open_dataset(awkward / "odd", format="folders"), awkward / "out", "csv")
    names = sorted(
        path.name
        for path in (awkward / "out").rglob("*")
        if images.detect_format(path.read_bytes()[:32] if path.is_file() else b"")
    )
    assert names == ["plain.jpg", "what_ is_this_.png"]
    assert done.images == 2


# Files


def voc(photos: FileImages) -> Dataset:
    """Return a set that VOC holds without loss."""
    plan = everything()
    for photo in plan.photos:
        photo.objects = [sample_datasets.PlannedObject(item.name, (1.5, 2.0, 20.25, 20.0)) for item in photo.objects]
    return sample_datasets.build_dataset(plan, photos)


def test_a_refusal_lists_the_losses_and_writes_nothing(photos: FileImages, awkward: Path) -> None:
    dataset = sample_datasets.build_dataset(everything(), photos)
    with pytest.raises(UsageError) as caught:
        convert_dataset(dataset, awkward / "out", "voc")
    assert "masks become boxes: 1" in caught.value.problem
    assert "polygons become boxes: 2" in caught.value.problem
    assert "--lossy" in caught.value.remedy
    assert os.listdir(awkward) == ["fuente"]
    done = convert_dataset(dataset, awkward / "out", "voc", ConvertOptions(lossy=True))
    assert {loss.kind for loss in done.losses} >= {"masks", "outlines"}
    assert "voc" in find_lossless_formats(voc(photos))
    assert "voc" not in find_lossless_formats(dataset)


def test_linked_images_are_the_same_files(photos: FileImages, awkward: Path) -> None:
    convert_dataset(voc(photos), awkward / "out", "voc", ConvertOptions(LINK_IMAGES))
    found = open_dataset(awkward / "out")
    sample_datasets.require_same(found, voc(photos))
    assert all(os.stat(found.images.get_path(row)).st_nlink == 2 for row in range(3))


def test_where_hard_links_fail_symbolic_ones_are_made(
    photos: FileImages, awkward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    convert_dataset(voc(photos), awkward / "out", "voc", ConvertOptions(LINK_IMAGES))
    sample_datasets.require_same(open_dataset(awkward / "out"), voc(photos))
    assert sum(path.is_symlink() for path in (awkward / "out").rglob("*")) == 3
    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(UsageError, match='images="copy"'):
        convert_dataset(voc(photos), awkward / "again", "voc", ConvertOptions(LINK_IMAGES))
    assert not (awkward / "again").exists()


@pytest.mark.parametrize(
    "name", [name for name in list_writable_formats() if Capability.EXTERNAL_PATHS in FORMATS[name].capabilities]
)
def test_referenced_images_stay_where_they_are(photos: FileImages, awkward: Path, name: str) -> None:
    labelled = sample_datasets.DatasetPlan(
        ("a", "b"), [sample_datasets.PlannedPhoto(i, name="ab"[i % 2]) for i in range(3)], marked=False
    )
    boxed = [
        sample_datasets.PlannedPhoto(i, objects=[sample_datasets.PlannedObject("ab"[i % 2], (1.0, 2.0, 9.0, 8.5))])
        for i in range(3)
    ]
    marked = Capability.BOXES in FORMATS[name].capabilities
    plan = sample_datasets.DatasetPlan(("a", "b"), boxed, marked=True) if marked else labelled
    convert_dataset(
        sample_datasets.build_dataset(plan, photos), awkward / "out", name, ConvertOptions(REFERENCE_IMAGES)
    )
    found = open_dataset(awkward / "out")
    sample_datasets.require_same(found, sample_datasets.build_dataset(plan, photos))
    assert {found.images.get_path(row).resolve() for row in range(3)} == {
        photos.get_path(i).resolve() for i in range(3)
    }
    assert not [path for path in (awkward / "out").rglob("*") if path.suffix.lower() in (".png", ".jpg")]


def test_images_that_are_no_files_cannot_be_referenced(awkward: Path) -> None:
    blocks = PixelBlocks((np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8),))
    names, ids = StringColumn.from_strings(f"digit-{i:02}" for i in range(12)), np.arange(12, dtype=np.int32) % 3
    table = LabelTable(awkward, "idx", names, Classes(("0", "1", "2")), ids, np.full(12, TRAIN, np.int8), pixels=blocks)
    digits = replace(build_dataset(table), root=Path("idx"))
    with pytest.raises(UsageError, match="not separate files"):
        convert_dataset(digits, awkward / "out", "csv", ConvertOptions(REFERENCE_IMAGES))
    done = convert_dataset(digits, awkward / "out", "csv")
    sample_datasets.require_same_pixels(open_dataset(awkward / "out"), digits)
    assert done.class_counts == digits.count_per_class()


@pytest.mark.parametrize(
    "name", [name for name in list_writable_formats() if Capability.EXTERNAL_PATHS not in FORMATS[name].capabilities]
)
def test_formats_without_paths_say_so(photos: FileImages, awkward: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r'images="copy" or images="link"|can be represented'):
        convert_dataset(voc(photos), awkward / "out", name, ConvertOptions(REFERENCE_IMAGES, lossy=True))
    assert not (awkward / "out").exists()


def test_a_target_that_is_taken_or_inside_the_source_is_refused(photos: FileImages, awkward: Path) -> None:
    (awkward / "full").mkdir()
    (awkward / "full" / "x").write_text("mine", "utf-8")
    for out, words in ((awkward / "full", "exists already"), (awkward / "full" / "x", "exists"),
                       (photos.root / "out", "inside the data")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            convert_dataset(voc(photos), out, "voc")
    assert (awkward / "full" / "x").read_text("utf-8") == "mine"
    (awkward / "empty").mkdir()
    convert_dataset(voc(photos), awkward / "empty", "voc")
    sample_datasets.require_same(open_dataset(awkward / "empty"), voc(photos))
    with pytest.raises(UsageError, match="to cannot be 'yolo9'"):
        convert_dataset(voc(photos), awkward / "new", "yolo9")
    with pytest.raises(UsageError, match="images cannot be 'move'"):
        ConvertOptions("move")


@dataclass(frozen=True)
class Interrupted(FileImages):
    """Images that raise KeyboardInterrupt at the third one."""

    def get_path(self, index: int) -> Path:
        """Return the file of one of the first two images."""
        if index == 2:
            raise KeyboardInterrupt
        return super().get_path(index)


def test_an_interruption_leaves_nothing(photos: FileImages, awkward: Path) -> None:
    dataset = voc(photos)
    stopped = replace(dataset, images=Interrupted(photos.root, dataset.images.names))
    with pytest.raises(KeyboardInterrupt):
        convert_dataset(stopped, awkward / "out", "voc")
    assert os.listdir(awkward) == ["fuente"]


def test_a_full_disk_leaves_nothing(photos: FileImages, awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        convert_dataset(voc(photos), awkward / "out", "voc")
    assert os.listdir(awkward) == ["fuente"]


# Images and boxes that cannot be used


def test_images_and_boxes_that_cannot_be_used_are_listed(photos: FileImages, awkward: Path) -> None:
    plan = voc(photos)
    (photos.root / plan.images.get_name(2)).write_bytes(b"words")
    objects = plan.objects
    objects.boxes[0] = (-9.0, 2.0, 20.0, 20.0)
    with pytest.raises(DataError, match="2 of 7"):
        convert_dataset(plan, awkward / "out", "voc")
    done = convert_dataset(plan, awkward / "out", "voc", ConvertOptions(allow_unusable=True))
    assert {refusal.kind for refusal in done.rejected} == {"unusable", "outside"}
    assert "by 9 px" in next(refusal.reason for refusal in done.rejected if refusal.kind == "outside")
    assert (done.images, done.objects, done.summary) == (2, 3, "used 2 photos with 3 objects; left out: 2")


def test_sizes_are_those_of_the_photos_whatever_the_labels_state(photos: FileImages, awkward: Path) -> None:
    plan = voc(photos)
    lying = replace(plan, sizes=plan.sizes * [[2, 1], [1, 1], [0, 0]])
    done = convert_dataset(lying, awkward / "out", "voc")
    assert done.misstated_size_count == 1
    assert np.array_equal(np.sort(open_dataset(awkward / "out").sizes, axis=0), np.sort(plan.sizes, axis=0))


# Several sources


def small(photos: FileImages, classes: tuple[str, ...], first: int, *names: str) -> Dataset:
    planned = [
        sample_datasets.PlannedPhoto(first + i, objects=[sample_datasets.PlannedObject(name, (1.0, 1.0, 9.0, 9.0))])
        for i, name in enumerate(names)
    ]
    return sample_datasets.build_dataset(sample_datasets.DatasetPlan(classes, planned, marked=True), photos)


def test_datasets_are_joined_by_the_names_of_classes(photos: FileImages, awkward: Path) -> None:
    one = small(photos, ("casco", "nin\u0303o"), 0, "casco", "nin\u0303o")
    other = small(photos, ("cabeza", "ni\u00f1o", "casco"), 2, "casco", "ni\u00f1o", "cabeza")
    both = merge_datasets([one, other])
    assert both.classes.names == ("casco", "ni\u00f1o", "cabeza")
    assert both.count_per_class() == {"casco": 2, "ni\u00f1o": 2, "cabeza": 1}
    assert [both.images.compute_key(i) for i in range(5)] == [photos.compute_key(i) for i in range(5)]
    assert [both.classes.names[i] for i in both.objects.class_ids] == ["casco", "niño", "casco", "niño", "cabeza"]
    assert both.images.get_name(0).startswith("fuente-1/")
    convert_dataset(both, awkward / "out", "voc")
    sample_datasets.require_same(open_dataset(awkward / "out"), both)
    part = both.select([4, 1])
    assert [part.images.compute_key(i) for i in range(2)] == [photos.compute_key(4), photos.compute_key(1)]
    assert part.images.read_image(0).shape[:2] == part.images.read_size(0) == sample_datasets.SIZES[4]


def test_names_that_differ_by_case_are_refused_until_they_are_merged(photos: FileImages) -> None:
    one, other = small(photos, ("Casco", "x"), 0, "Casco"), small(photos, ("casco ", "y"), 1, "casco ")
    with pytest.raises(UsageError, match="'Casco', 'casco '") as caught:
        merge_datasets([one, other])
    assert "--merge 'Casco=Casco,casco '" in caught.value.remedy
    both = merge_datasets([one, other], {"casco": ["Casco", "casco "]})
    assert both.count_per_class() == {"casco": 2, "x": 0, "y": 0}


def test_kinds_of_labels_are_not_mixed(photos: FileImages) -> None:
    labelled = sample_datasets.build_dataset(
        sample_datasets.DatasetPlan(("a",), [sample_datasets.PlannedPhoto(0, name="a")], marked=False), photos
    )
    with pytest.raises(UsageError, match="different types"):
        merge_datasets([labelled, small(photos, ("a",), 1, "a")])
    with pytest.raises(UsageError, match="no dataset"):
        merge_datasets([])
    assert merge_datasets([labelled]) is labelled
    both = merge_datasets([labelled, labelled])
    assert (both.objects, both.class_ids.tolist()) == (None, [0, 0])


# The command line


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line in this process."""

    def lince(*words: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        return main.main([str(word) for word in words]), *capsys.readouterr()

    return lince


def test_the_command_tells_classes_and_losses(
    photos: FileImages, awkward: Path, ask: Callable[..., tuple[int, str, str]]
) -> None:
    convert_dataset(voc(photos), awkward / "one", "voc")
    code, out, _said = ask("convert", awkward / "one", awkward / "two", "--to", "voc", "--link")
    assert code == 0
    assert [line.split() for line in out.splitlines()[2:5]] == [
        ["0", "perro", "2"],
        ["1", "zorro", "0"],
        ["2", "gato", "2"],
    ]
    assert "used 3 photos with 4 objects; left out: 0" in out
    assert out.splitlines()[-1].endswith("(voc): 3 images, 4 objects")
    code, out, said = ask("convert", awkward / "one", awkward / "three", "--to", "csv")
    assert (code, out) == (2, "")
    assert "Nothing in" in said
    code, out, _said = ask("convert", awkward / "one", awkward / "two", awkward / "four", "--to", "voc", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["classes"][0] == {"id": 0, "name": "perro", "count": 4}
    assert (document["images"], document["lost"], document["rejected"]) == (6, [], [])
    assert len(open_dataset(awkward / "four")) == 6


def test_the_command_refuses_what_cannot_be(
    photos: FileImages, awkward: Path, ask: Callable[..., tuple[int, str, str]]
) -> None:
    convert_dataset(voc(photos), awkward / "one", "voc")
    for words, said in (
        ((awkward / "one", "--to", "voc"), "Only one path was given"),
        ((awkward / "one", awkward / "one" / "in", "--to", "voc"), "inside the data"),
        ((awkward / "one", awkward / "new", "--to", "nothing"), "to cannot be 'nothing'"),
        ((awkward / "one", awkward / "new", "--to", "voc", "--fix", "clip,glue"), "fix cannot be 'glue'"),
        ((awkward / "one", awkward / "new"), "--to"),
        ((awkward / "one", awkward / "new", "--to", "voc", "--copy", "--link"), "not allowed"),
    ):
        code, out, heard = ask("convert", *words)
        assert (code, out) == (2, "")
        assert said in heard
    assert sorted(os.listdir(awkward)) == ["fuente", "one"]


def test_a_row_of_the_registry_agrees_with_its_format() -> None:
    """The command line lists formats by their rows, without importing readers and writers."""
    records = [FORMATS[name] for name in FORMATS]
    assert [record.name for record in records] == list(FORMATS)
    assert list_writable_formats() == tuple(record.name for record in records if record.write is not None)
    assert FORMATS.list_writable(boxes_only=True) == tuple(
        record.name for record in records if record.write is not None and Capability.BOXES in record.capabilities
    )


def test_the_help_lists_every_format_and_loads_none() -> None:
    code = "import sys\nfrom lince.cli.main import main\nmain(['convert', '--help'])\nprint('numpy' in sys.modules)"
    wide = {**os.environ, "COLUMNS": "500"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=wide)
    assert ", ".join(FORMATS) in done.stdout
    assert ", ".join(FORMATS.list_writable()) in done.stdout
    assert done.stdout.endswith("False\n")


HELD = (
    Capability.LABELS,
    Capability.BOXES,
    Capability.OUTLINES,
    Capability.MASKS,
    Capability.SPLITS,
    Capability.FLAGS,
    Capability.CLASSES,
    Capability.NEGATIVES,
    Capability.EXTERNAL_PATHS,
)


@pytest.mark.parametrize("page", ["docs/formats.md", "docs/es/formats.md", "docs/pt/formats.md"])
def test_the_page_says_what_each_format_holds(page: str) -> None:
    text = (Path(__file__).resolve().parents[2] / page).read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "`" in line[:5]]
    told = {row[0].strip("`"): [bool(cell) for cell in row[1:]] for row in rows if len(row) == len(HELD) + 2}
    assert told == {
        name: [*(one in form.capabilities for one in HELD), form.write is not None] for name, form in FORMATS.items()
    }
    assert {row[0].strip("`") for row in rows if len(row) == 3} == set(FORMATS)
