"""The format KITTI: ``label_2/000000.txt`` beside ``image_2/000000.png``; boxes with notes on occlusion."""

from __future__ import annotations

from lince.annotations import OCCLUDED, TRUNCATED
from lince.formats.format import Capability, Format
from lince.formats.text_rows import KITTI

FORMAT = Format(
    KITTI.name,
    KITTI.detect,
    KITTI.read,
    Capability.BOXES | Capability.SPLITS | Capability.FLAGS | Capability.NEGATIVES,
    supported_flags=OCCLUDED | TRUNCATED,
)
