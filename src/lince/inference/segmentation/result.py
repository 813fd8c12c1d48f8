"""The result of a segmentation model for one image: the class of each pixel, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.i18n import _
from lince.inference import mask_drawing
from lince.inference.image_loading import Image
from lince.inference.result import PredictionResult, require_same_size
from lince.number_format import format_percent
from lince.postprocess import class_map as class_maps
from lince.postprocess.class_runs import ClassRuns
from lince.preprocess import PreprocessSpec

_LEVELS = 255  # of a probability that is kept
_MAX_WRITTEN_CLASSES = 5  # on a picture


@dataclass(frozen=True)
class ClassRegion:
    """The pixels of one class in an image.

    Attributes:
        class_id: of the class, ``None`` for the background.
        name: of the class.
        pixels: their number.
        share: of all pixels of the image, in 0..1.
        confidence: mean probability of the class where it is the most probable one, in 0..1.
        centre: x and y of their mean, in pixels of the upright image.
        box: left, top, right and bottom around them.
    """

    class_id: int | None
    name: str
    pixels: int
    share: float
    confidence: float
    centre: tuple[float, float]
    box: tuple[float, float, float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the region as a JSON object, rounded."""
        return {
            "class": self.name,
            "pixels": self.pixels,
            "share": round(self.share, 6),
            "confidence": round(self.confidence, 4),
            "centre": [round(value, 3) for value in self.centre],
            "box": [round(value) for value in self.box],
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
        path: file of the image, where it is in one.
        source: the image itself, where it is in no file.
    """

    task: ClassVar[str] = "segment"
    name: str
    runs: ClassRuns
    planes: NDArray[np.uint8]
    classes: Classes
    spec: PreprocessSpec
    path: str | None = None
    source: Any = field(default=None, repr=False)

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

    def _measure_region(self, value: int, pixels: int) -> ClassRegion:
        """Return the region of the pixels with ``value``, of which there are some."""
        centre, box = self.runs.compute_centre(value), self.runs.compute_box(value)
        if centre is None or box is None:
            raise ValueError(f"no pixel has the class {value}")
        share = pixels / (self.size[0] * self.size[1])
        name = self.classes.names[value - 1]
        return ClassRegion(value - 1, name, pixels, share, self._compute_confidence(value), centre, box)

    def _compute_confidence(self, value: int) -> float:
        """Return the mean probability of a class over the cells of the map where it is on top, else its highest."""
        rows, columns = class_maps.locate_pixels(self.planes.shape[1:], self.size, self.spec)
        used = np.ix_(np.unique((rows.lower, rows.upper)), np.unique((columns.lower, columns.upper)))
        plane, is_top = self.planes[value][used], self.planes.argmax(axis=0)[used] == value
        values = plane[is_top] if is_top.any() else plane.max(keepdims=True)
        return float(values.mean()) / _LEVELS

    def compute_plane(self, class_name: str) -> NDArray[np.float32]:
        """Return the probability of a class at each pixel, float32 (H, W), to 1/255 at the network's resolution.

        Raises ``UsageError`` for an unknown class.
        """
        rows, columns = class_maps.locate_pixels(self.planes.shape[1:], self.size, self.spec)
        plane = self.planes[self.classes.index(class_name) + 1].astype(np.float32) / _LEVELS
        return class_maps.interpolate_plane(plane, rows, columns)

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the result as a JSON object; ``top`` limits the classes to those with the largest areas.

        Areas are in pixels of the upright image; a box is left, top, right, bottom.
        """
        height, width = self.size
        return {
            "file": self.name,
            "width": width,
            "height": height,
            "background": round(self.background_share, 6),
            "classes": [region.to_dict() for region in self.list_regions()[:top]],
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``to_rows``."""
        return (
            "file",
            "class",
            "pixels",
            "share",
            "confidence",
            "centre_x",
            "centre_y",
            "left",
            "top",
            "right",
            "bottom",
        )

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row for each class that is in the image, the largest area first; lengths in pixels."""
        rows = []
        for record in self.to_dict()["classes"]:
            values = [record["pixels"], record["share"], record["confidence"], *record["centre"], *record["box"]]
            rows.append(dict(zip(self.columns, [self.name, record["class"], *values], strict=True)))
        return rows

    def describe(self) -> str:
        """Return the part of the image that each class covers: "cat 31.2%, dog 4.0%"."""
        parts = [f"{region.name} {format_percent(region.share)}" for region in self.list_regions()]
        return ", ".join(parts) or _("background only")

    def list_scores(self, most: int) -> list[tuple[str, float]]:
        """Return the classes that cover most of the image, with their shares."""
        return [(region.name, region.share) for region in self.list_regions()[:most]]

    def list_written_lines(self) -> list[tuple[str, int]]:
        """Return the lines of a legend with the ids of their classes: those with the largest areas."""
        return [
            (f"{region.name} {format_percent(region.share)}", region.class_id or 0)
            for region in self.list_regions()[:_MAX_WRITTEN_CLASSES]
        ]

    def draw(self, image: Image) -> Image:
        """Return ``image``, uint8 RGB (H, W, 3), with the classes as transparent colours and a legend.

        Raises ``DataError`` when its size is not that of the image of the prediction.
        """
        require_same_size(image, self.name, self.size)
        return mask_drawing.draw_legend(mask_drawing.draw_class_map(image, self.class_map), self.list_written_lines())


def make_result(
    name: str, probabilities: NDArray[np.float32], size: tuple[int, int], classes: Classes, spec: PreprocessSpec
) -> SegmentationResult:
    """Return the result of an image of ``size`` (height, width) with ``probabilities`` float32 (C + 1, h, w)."""
    class_map = class_maps.compute_class_map(probabilities, size, spec)
    planes = np.rint(probabilities * _LEVELS).astype(np.uint8)
    return SegmentationResult(name, ClassRuns.from_map(class_map), planes, classes, spec)
