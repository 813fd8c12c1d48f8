"""How large a pixel is in reality, for areas in units of length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lince.errors import UsageError
from lince.i18n import _
from lince.validation import require_choice

UNITS = ("um", "mm", "cm", "m")
_SHOWN_UNITS = {"um": "µm"}


@dataclass(frozen=True)
class LengthScale:
    """The width and height of a pixel of the upright photo at its full size: ``length`` in ``unit``, one of ``UNITS``.

    It is the same everywhere in a photo, so the photo shows a plane from straight ahead. Raises ``UsageError`` for a
    length that is not a number above 0, and for another unit.
    """

    length: float
    unit: str

    def __post_init__(self) -> None:
        require_choice("unit", self.unit, UNITS)
        if not (math.isfinite(self.length) and self.length > 0):
            raise UsageError(
                _("A pixel cannot be {length} {unit} wide.").format(length=self.length, unit=self.unit),
                _("Expected a length above 0, such as 0.12mm."),
            )

    @property
    def area_unit(self) -> str:
        """The unit of areas, for people: ``mm²``."""
        return f"{_SHOWN_UNITS.get(self.unit, self.unit)}²"

    @property
    def area_column(self) -> str:
        """The name of a column of areas: ``area_mm2``."""
        return f"area_{self.unit}2"

    def compute_area(self, pixels: float) -> float:
        """Return the area of ``pixels`` in squares of ``unit``."""
        return pixels * self.length**2

    def to_dict(self) -> dict[str, Any]:
        """Return the scale as a JSON object."""
        return {"pixel": self.length, "unit": self.unit}
