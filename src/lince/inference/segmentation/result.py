"""The result of a segmentation model for one image: the class of each pixel, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.class_maps import resize_class_map
from lince.i18n import NARROW_SPACE, _
from lince.inference import drawing, mask_drawing
from lince.inference.image_loading import Image
from lince.inference.length_scale import LengthScale
from lince.inference.result import PredictionResult, require_same_size
from lince.inference.segmentation import cutouts
from lince.number_format import format_percent, format_significant
from lince.postprocess import class_map as class_maps
from lince.postprocess.class_runs import ClassRuns, encode_masks
from lince.preprocess import PreprocessSpec

_LEVELS = 255  # of a probability that is kept
_MAX_WRITTEN_CLASSES = 5  # on a picture
_COLUMNS = (
    "file", "class", "pixels", "share", "confidence", "centre_x", "centre_y", "left", "top", "right", "bottom",
)  # fmt: skip
_AREA_DIGITS = 6


@dataclass(frozen=True)
class ClassRegion:
    """The pixels of one class in an image.

    Attributes:
        class_id: of the class.
        name: of the class.
        pixels: their number.
        share: of all pixels of the image, in 0..1.
        confidence: mean probability of the class where it is the most probable one, in 0..1.
        centre: x and y of their mean, in pixels of the upright image.
        box: left, top, right and bottom around them.
        area: in the unit of the scale of the image, squared, where that is known.
    """

    class_id: int
    name: str
    pixels: int
    share: float
    confidence: float
    centre: tuple[float, float]
    box: tuple[float, float, float, float]
    area: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the region as a JSON object, rounded."""
        return {
            "class": self.name,
            "pixels": self.pixels,
            "share": round(self.share, 6),
            "confidence": round(self.confidence, 4),
            "centre": [round(value, 3) for value in self.centre],
            "box": [round(value) for value in self.box],
            **({"area": _round_digits(self.area)} if self.area is not None else {}),
        }


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationResult(PredictionResult):
    """The class of each pixel of one image.

    Attributes:
        name: identifies the image.
        runs: the class map: 0 is the background, ``class id + 1`` a class.
        planes: the probability of each channel at the resolution of the network's map, uint8 (C + 1, h, w), 255 for 1.
        classes: of the model.
        spec: how the image became the network's input.
        scale: how large a pixel is in reality, where that is known.
        path: file of the image, where it is in one.
        source: the image itself, where it is in no file.
    """

    task: ClassVar[str] = "segment"
    name: str
    runs: ClassRuns
    planes: NDArray[np.uint8]
    classes: Classes
    spec: PreprocessSpec
    scale: LengthScale | None = None
    path: str | None = None
    source: Any = field(default=None, repr=False)

    def with_scale(self, length: float, unit: str) -> SegmentationResult:
        """Return the same result with areas in ``unit`` squared; raises ``UsageError`` as ``LengthScale`` does."""
        return replace(self, scale=LengthScale(length, unit))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright image in pixels."""
        return self.runs.size

    @property
    def class_map(self) -> NDArray[np.uint8]:
        """The class of each pixel, uint8 (H, W): 0 is the background, ``class id + 1`` a class."""
        return self.runs.to_map()

    @property
    def areas(self) -> dict[str, int]:
        """The number of pixels of each class by its name, in the order of the classes, zeros too."""
        counts = self.runs.count_pixels(len(self.classes) + 1).tolist()
        return dict(zip(self.classes.names, counts[1:], strict=True))

    @property
    def shares(self) -> dict[str, float]:
        """The part of the image, in 0..1, that each class covers, in the order of the classes, zeros too."""
        total = self.size[0] * self.size[1]
        return {name: count / total for name, count in self.areas.items()}

    @property
    def background_share(self) -> float:
        """The part of the image, in 0..1, that has no class."""
        return float(self.runs.count_pixels(1)[0]) / (self.size[0] * self.size[1])

    def list_regions(self) -> list[ClassRegion]:
        """Return the classes that are in the image, the largest area first."""
        counts = self.runs.count_pixels(len(self.classes) + 1)
        present = [value for value in np.argsort(-counts, kind="stable").tolist() if value and counts[value]]
        return [self._measure_region(value, int(counts[value])) for value in present]

    def encode_masks(self) -> list[str]:
        """Return the pixels of each of ``list_regions`` as COCO's compressed run lengths (see ``lince.rle``)."""
        return encode_masks(self.class_map, [region.class_id + 1 for region in self.list_regions()])

    def _measure_region(self, value: int, pixels: int) -> ClassRegion:
        """Return the region of the pixels with ``value``, of which there are some."""
        centre, box = self.runs.compute_centre(value), self.runs.compute_box(value)
        if centre is None or box is None:
            raise ValueError(f"no pixel has the class {value}")
        share = pixels / (self.size[0] * self.size[1])
        name = self.classes.names[value - 1]
        area = self.scale.compute_area(pixels) if self.scale else None
        return ClassRegion(value - 1, name, pixels, share, self._compute_confidence(value), centre, box, area)

    def _compute_confidence(self, value: int) -> float:
        """Return the mean probability of a class over the cells of the map where it is on top, else its highest."""
        rows, columns = class_maps.locate_pixels(self.planes.shape[1:], self.size, self.spec)
        used = np.ix_(np.unique((rows.lower, rows.upper)), np.unique((columns.lower, columns.upper)))
        plane, is_top = self.planes[value][used], self.planes.argmax(axis=0)[used] == value
        values = plane[is_top] if is_top.any() else plane.max(keepdims=True)
        return float(values.mean()) / _LEVELS

    def cut_out(self, image: Image, class_name: str) -> Image:
        """Return the pixels of a class cut out of ``image``, uint8 RGBA (h, w, 4), as large as the class is.

        On the edge the opacity is what the network makes of it: half where the class ends, less outside, more inside.
        Where the class is not in the image, one transparent pixel is left. Raises ``UsageError`` for an unknown class,
        and ``DataError`` when the size of ``image``, uint8 RGB (H, W, 3), is not that of the image of the prediction.
        """
        require_same_size(image, self.name, self.size)
        value = self.classes.index(class_name) + 1
        return cutouts.cut_out_class(image, self.class_map, value, self.planes, self.spec)

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the result as a JSON object; ``top`` limits the classes to those with the largest areas.

        Areas are in pixels of the upright image; a box is left, top, right, bottom.
        """
        height, width = self.size
        return {
            "file": self.name,
            "width": width,
            "height": height,
            **({"scale": self.scale.to_dict()} if self.scale else {}),
            "background": round(self.background_share, 6),
            "classes": [region.to_dict() for region in self.list_regions()[:top]],
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``to_rows``."""
        return (*_COLUMNS, *([self.scale.area_column] if self.scale else []))

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row for each class of the model, in their order; lengths in pixels.

        A class that is not in the image has 0 pixels, and ``None`` where nothing can be said.
        """
        found = {region.name: region for region in self.list_regions()}
        rows = []
        for name in self.classes.names:
            if name not in found:
                values: list[Any] = [0, 0.0, *[None] * (len(_COLUMNS) - 4)]
                values += [0.0] if self.scale else []
            else:
                record = found[name].to_dict()
                values = [record["pixels"], record["share"], record["confidence"], *record["centre"], *record["box"]]
                values += [record["area"]] if self.scale else []
            rows.append(dict(zip(self.columns, [self.name, name, *values], strict=True)))
        return rows

    def describe(self) -> str:
        """Return the part of the image that each class covers: "cat 31.2%, dog 4.0%", with areas where known."""
        return ", ".join(map(self.describe_region, self.list_regions())) or _("background only")

    def describe_region(self, region: ClassRegion) -> str:
        """Return a class and the part of the image that it covers: "cat 31.2%" or "cat 31.2% (5.4 mm²)"."""
        text = f"{region.name} {format_percent(region.share)}"
        if self.scale is None or region.area is None:
            return text
        return f"{text} ({format_significant(region.area)} {self.scale.area_unit})"

    def list_scores(self, most: int) -> list[tuple[str, float]]:
        """Return the classes that cover most of the image, with their shares."""
        return [(region.name, region.share) for region in self.list_regions()[:most]]

    def list_written_lines(self) -> list[tuple[str, int]]:
        """Return the lines of a legend with the ids of their classes: those with the largest areas."""
        regions = self.list_regions()[:_MAX_WRITTEN_CLASSES]
        return [(self.describe_region(region).replace(NARROW_SPACE, " "), region.class_id) for region in regions]

    def draw_small(self, image: Image, side: int) -> Image:
        """Return ``image``, uint8 RGB (H, W, 3), at ``side`` pixels on its longer side, with the classes as colours.

        It may be a smaller copy of the image of the prediction.
        """
        small = drawing.resize_to_side(image, side)
        class_map = resize_class_map(self.class_map, small.shape[:2])
        return mask_drawing.draw_class_map(small, class_map)

    def draw(self, image: Image) -> Image:
        """Return ``image``, uint8 RGB (H, W, 3), with the classes as transparent colours and a legend.

        Raises ``DataError`` when its size is not that of the image of the prediction.
        """
        require_same_size(image, self.name, self.size)
        return mask_drawing.draw_legend(mask_drawing.draw_class_map(image, self.class_map), self.list_written_lines())


def _round_digits(value: float) -> float:
    """Return ``value`` with ``_AREA_DIGITS`` significant digits."""
    return float(f"{value:.{_AREA_DIGITS}g}")


def make_result(
    name: str, probabilities: NDArray[np.float32], size: tuple[int, int], classes: Classes, spec: PreprocessSpec
) -> SegmentationResult:
    """Return the result of an image of ``size`` (height, width) with ``probabilities`` float32 (C + 1, h, w)."""
    class_map = class_maps.compute_class_map(probabilities, size, spec)
    planes = np.rint(probabilities * _LEVELS).astype(np.uint8)
    return SegmentationResult(name, ClassRuns.from_map(class_map), planes, classes, spec)
