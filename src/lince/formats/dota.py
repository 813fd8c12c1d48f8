"""The format DOTA: ``labelTxt/P0.txt`` beside ``images/P0.png``; boxes that are turned, read as outlines."""

from __future__ import annotations

from lince.annotations import DIFFICULT
from lince.formats.format import Capability, Format
from lince.formats.text_rows import DOTA

FORMAT = Format(
    DOTA.name,
    DOTA.detect,
    DOTA.read,
    Capability.BOXES | Capability.OUTLINES | Capability.SPLITS | Capability.FLAGS | Capability.NEGATIVES,
    supported_flags=DIFFICULT,
)
