"""Checks of masks: planted faults are found, clean masks are not blamed, and boxes are not said of mask images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import lince
from lince.checks import run_checks
from lince.checks.check_page import render_html
from lince.checks.check_run import CheckResult
from lince.datasets import open_dataset
from lince.findings import Severity

MASK_CODES = {"mostly-void", "crumb", "pinholes", "off-box", "claimed"}
BOX_CODES = {"beyond", "edge", "speck", "small", "whole", "doubled", "contested"}


def write_photo(path: Path, seed: int, size: tuple[int, int] = (64, 80)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def write_masks(folder: Path, masks: Mapping[str, np.ndarray]) -> Path:
    """Write a folder of photos and masks, with a legend of two classes, and return it."""
    for seed, (name, mask) in enumerate(masks.items()):
        write_photo(folder / "images" / f"{name}.png", seed, mask.shape)
        (folder / "masks").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
    (folder / "classes.txt").write_text("1 leaf\n2 stone\n", "utf-8")
    return folder


def make_mask(class_id: int = 1) -> np.ndarray:
    mask = np.zeros((64, 80), np.uint8)
    mask[8:48, 10:60] = class_id
    return mask


def check(folder: Path) -> CheckResult:
    return run_checks(open_dataset(folder))


def list_codes(result: CheckResult) -> set[str]:
    return {finding.code for finding in result.findings} & (MASK_CODES | BOX_CODES)


def list_places(result: CheckResult, code: str) -> list[str]:
    finding = result.find_by_code(code)
    return [] if finding is None else [Path(example.place).stem for example in finding.examples]


def test_clean_masks_are_not_blamed(tmp_path: Path) -> None:
    masks = {f"a{i}": make_mask(1 + i % 2) for i in range(6)}
    masks["border"] = make_mask()
    masks["border"][8:12, 10:60] = 255  # void along the contour
    masks["ring"] = make_mask()
    masks["ring"][20:30, 20:30] = 0  # a hole that belongs there
    masks["whole"] = np.full((64, 80), 2, np.uint8)
    masks["line"] = np.zeros((64, 80), np.uint8)
    masks["line"][:, 40:42] = 1  # thin, but long
    assert list_codes(check(write_masks(tmp_path / "niño ç", masks))) == set()


def test_photos_that_are_mostly_void_are_found(tmp_path: Path) -> None:
    masks = {"a": make_mask(), "b": make_mask()}
    masks["b"][:48] = 255
    result = check(write_masks(tmp_path / "data", masks))
    assert list_places(result, "mostly-void") == ["b"]
    assert result.find_by_code("mostly-void").examples[0].text == "75.0%"


@pytest.mark.parametrize(("clean", "severity"), [(1, Severity.WARNING), (12, Severity.NOTE)])
def test_masks_that_were_resized_leave_crumbs(clean: int, severity: Severity, tmp_path: Path) -> None:
    masks = {f"a{i}": make_mask() for i in range(clean)}
    masks["b"] = make_mask()
    masks["b"][8, 10:25] = 2
    result = check(write_masks(tmp_path / "data", masks))
    assert list_places(result, "crumb") == ["b"]
    finding = result.find_by_code("crumb")
    assert finding is not None
    assert (finding.severity, finding.examples[0].text) == (severity, "stone: 15 px")
    masks["b"][8, 25] = 2
    assert check(write_masks(tmp_path / "more", masks)).find_by_code("crumb") is None


def test_pinholes_are_counted_but_not_those_that_another_class_fills(tmp_path: Path) -> None:
    holes, filled, few = make_mask(), make_mask(), make_mask()
    holes[10:40:4, 12:40:4] = 0
    filled[10:40:4, 12:40:4] = 2
    few[10:46:4, 12] = 0
    assert (few == 0).sum() - (make_mask() == 0).sum() == 9
    result = check(write_masks(tmp_path / "data", {"holes": holes, "filled": filled, "few": few}))
    assert list_places(result, "pinholes") == ["holes"]
    assert result.find_by_code("pinholes").examples[0].text == "leaf: 56 holes"


def test_statistics_of_mask_images_are_of_pixels(tmp_path: Path) -> None:
    masks = {"a": make_mask(), "b": make_mask(2)}
    masks["b"][:4] = 255
    result = check(write_masks(tmp_path / "data", masks))
    statistics = result.statistics
    assert statistics.pixels == {"background": 2 * 64 * 80 - 320 - 4000, "void": 320, "leaf": 2000, "stone": 2000}
    assert statistics.box_sides is statistics.box_centres is statistics.objects_per_image is None
    assert statistics.mask_sides is not None
    assert statistics.mask_sides.counts.sum() == 2
    assert statistics.mask_sides.counts[int(20 * (2000 / (64 * 80)) ** 0.5)] == 2
    json.dumps(result.to_dict(), allow_nan=False)
    page = render_html(result)
    assert "Pixels of each class" in page
    assert "Box size" not in page


def write_coco(folder: Path, objects: list[dict[str, Any]]) -> Path:
    """Write one photo of 64 x 80 pixels with ``objects`` as COCO."""
    write_photo(folder / "a.png", 0)
    record = {
        "images": [{"id": 1, "file_name": "a.png", "height": 64, "width": 80}],
        "categories": [{"id": 1, "name": "leaf"}, {"id": 2, "name": "stone"}],
        "annotations": [{"id": i, "image_id": 1, "iscrowd": 0, **item} for i, item in enumerate(objects, 1)],
    }
    (folder / "annotations.json").write_text(json.dumps(record), "utf-8")
    return folder


def make_object(class_id: int, outline: tuple[int, int, int, int], box: tuple[int, int, int, int] | None = None) -> Any:
    """Return an object with a rectangle as its outline: left, top, right, bottom; its box is the same by default."""
    left, top, right, bottom = outline
    x0, y0, x1, y1 = box or outline
    return {
        "category_id": class_id,
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (right - left) * (bottom - top),
    }


def test_masks_off_their_boxes_and_pixels_of_two_classes_are_found(tmp_path: Path) -> None:
    objects = [
        make_object(1, (4, 4, 24, 24)),
        make_object(2, (14, 4, 34, 24)),  # half of it is leaf, too
        make_object(2, (50, 40, 60, 50), (10, 40, 20, 50)),
        make_object(1, (58, 40, 78, 60)),  # touches the stone beside it along two columns
        make_object(1, (4, 4, 24, 24)),  # the same class twice is another finding
    ]
    result = check(write_coco(tmp_path / "data", objects))
    assert list_codes(result) == {"off-box", "claimed", "doubled"}
    off, claimed = result.find_by_code("off-box"), result.find_by_code("claimed")
    assert off is not None
    assert claimed is not None
    assert (off.count, off.examples[0].objects, off.examples[0].text) == (1, (2,), "stone: IoU 0.00")
    assert {example.objects for example in claimed.examples} == {(0, 1), (1, 4)}
    assert claimed.examples[0].text == "leaf / stone: 200 px, 50% of the smaller one"


def test_crowds_may_cover_others(tmp_path: Path) -> None:
    crowd = {**make_object(1, (0, 0, 80, 64)), "iscrowd": 1}
    result = check(write_coco(tmp_path / "data", [crowd, make_object(2, (10, 10, 30, 30))]))
    assert result.find_by_code("claimed") is None


def test_masks_of_another_size_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "data", {"a": make_mask(), "b": make_mask()})
    cv2.imwrite(str(folder / "masks" / "b.png"), make_mask()[:32])
    findings = lince.check(folder).findings
    assert any("b.png" in str(example) for finding in findings for example in finding.examples)
    assert min(finding.severity for finding in findings) is Severity.ERROR


def test_the_public_pets_have_no_fault_of_masks(shared: Path, tmp_path: Path) -> None:
    trimaps = sorted((shared / "data" / "pets").rglob("trimaps/*.png"))[:40]
    if not trimaps:
        pytest.skip("no trimaps in the shared folder")
    masks = {}
    for path in trimaps:
        trimap = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        masks[path.stem] = np.array([0, 1, 0, 255], np.uint8)[trimap]
    assert list_codes(check(write_masks(tmp_path / "pets", masks))) <= {"crumb", "pinholes"}
