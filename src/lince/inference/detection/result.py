"""The result of a detector for one image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lince import rle
from lince.annotations import Classes, Detections
from lince.i18n import _
from lince.inference import drawing, mask_drawing
from lince.inference.image_loading import Image
from lince.inference.result import PredictionResult, require_same_size
from lince.number_format import format_count

_BOX_COLUMNS = ("left", "top", "right", "bottom")
MASK_COLUMNS = ("area", "share")


@dataclass(frozen=True, eq=False, repr=False)
class DetectionResult(PredictionResult):
    """The detections on one image.

    Attributes:
        name: identifies the image.
        detections: in descending order of score.
        classes: of the model.
        size: height and width of the upright image in pixels.
        path: file of the image, where it is in one.
        source: the image itself, where it is in no file.
    """

    task: ClassVar[str] = "detect"
    gives_masks: ClassVar[bool] = False  # whether each detection has a mask
    name: str
    detections: Detections
    classes: Classes
    size: tuple[int, int]
    path: str | None = None
    source: Any = field(default=None, repr=False)

    def counts(self) -> dict[str, int]:
        """Return the number of detections of each class by its name, in the order of the classes, without zeros."""
        counts_by_id = Counter(self.detections.class_ids.tolist())
        return {
            name: counts_by_id[class_id] for class_id, name in enumerate(self.classes.names) if counts_by_id[class_id]
        }

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the result as a JSON object; ``top`` has no effect.

        A box is left, top, right, bottom in pixels of the upright image, rounded to 0.001. Where the model gives masks,
        an object has its ``area`` in pixels, its ``share`` of the image, and its ``mask`` as COCO's compressed RLE.
        """
        del top  # every object is in the record
        detections = self.detections
        rows = zip(
            detections.class_ids.tolist(),
            detections.scores.tolist(),
            detections.boxes.tolist(),
            detections.masks,
            strict=True,
        )
        height, width = self.size
        return {
            "file": self.name,
            "width": width,
            "height": height,
            "counts": self.counts(),
            "objects": [
                {
                    "class": self.classes.names[class_id],
                    "score": round(score, 6),
                    "box": [round(side, 3) for side in box],
                    **(self._describe_mask(mask) if self.gives_masks else {}),
                }
                for class_id, score, box, mask in rows
            ],
        }

    def _describe_mask(self, text: str) -> dict[str, Any]:
        """Return what the record of an object has of its mask."""
        height, width = self.size
        area = rle.compute_area(rle.string_to_counts(text)) if text else 0
        mask = {"size": [height, width], "counts": text}
        return {"area": area, "share": round(area / max(1, height * width), 6), "mask": mask if text else None}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``to_rows``."""
        return "file", "class", "score", *_BOX_COLUMNS, *(MASK_COLUMNS if self.gives_masks else ())

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row per detection, the highest score first; boxes in pixels of the upright image."""
        return [
            {
                "file": self.name,
                "class": record["class"],
                "score": record["score"],
                **dict(zip(_BOX_COLUMNS, record["box"], strict=True)),
                **{name: record[name] for name in MASK_COLUMNS if self.gives_masks},
            }
            for record in self.to_dict()["objects"]
        ]

    def describe(self) -> str:
        """Return the number of objects of each class: "2 helmet, 1 head"."""
        return ", ".join(f"{format_count(count)} {name}" for name, count in self.counts().items()) or _("no objects")

    def draw_small(self, image: Image, side: int) -> Image:
        """Return ``image`` at ``side`` pixels on its longer side, with the boxes drawn on it.

        Raises ``DataError`` when its size is not that of the image of the prediction.
        """
        self.require_same_size(image)
        small = drawing.resize_to_side(image, side, enlarge=True)
        small = mask_drawing.draw_object_masks(small, self.detections, self.size)
        return drawing.draw_shapes(small, drawing.make_detection_shapes(self.detections, self.classes), self.size, side)

    def list_scores(self, most: int) -> list[tuple[str, float]]:
        """Return the objects with the highest scores, by class name."""
        ids, scores = self.detections.class_ids.tolist(), self.detections.scores.tolist()
        return [(self.classes.names[class_id], score) for class_id, score in zip(ids, scores, strict=True)][:most]

    def draw(self, image: Image) -> Image:
        """Return ``image``, uint8 RGB (H, W, 3), with the boxes drawn on it.

        Raises ``DataError`` when its size is not that of the image of the prediction.
        """
        self.require_same_size(image)
        with_masks = mask_drawing.draw_object_masks(image, self.detections, self.size)
        return drawing.draw_detections(with_masks, self.detections, self.classes)

    def require_same_size(self, image: Image) -> None:
        """Raise ``DataError`` when ``image`` (H, W, 3) is not of the size of the predicted image."""
        require_same_size(image, self.name, self.size)
