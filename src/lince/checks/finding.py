"""The nouns of the doctor: what it looks at, what it finds, and where that can be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import ObjectTable
from lince.checks.image_stats import ImageStats
from lince.datasets import Dataset
from lince.i18n import _
from lince.splits import SPLITS

MAX_EXAMPLES = 10_000  # kept with a finding; its count goes on


class Severity(IntEnum):
    """How much a finding matters, the gravest first: labels lost or wrong, results at risk, good to know."""

    ERROR = 0
    WARNING = 1
    NOTE = 2

    def get_label(self) -> str:
        """Return its name for people."""
        return (_("error"), _("warning"), _("note"))[self]


@dataclass(frozen=True)
class Example:
    """Where a finding can be seen: ``place`` is a file, with the line after a colon where a label file is meant.

    ``row`` is the image of the dataset and ``objects`` those of its objects that are meant; ``other`` is a second image
    to hold beside it, the file ``other_place``. What was rejected has no row.
    """

    place: str
    text: str = ""
    row: int | None = None
    objects: tuple[int, ...] = ()
    other_row: int | None = None
    other_place: str = ""

    def __str__(self) -> str:
        places = " = ".join(filter(None, (self.place, self.other_place)))
        return f"{places}: {self.text}" if self.text else places


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing: ``code`` for programs, words for people, and what to do.

    ``count`` is how often it was met; ``examples`` are the first of them; ``figures`` what it rests on (JSON).
    """

    code: str
    severity: Severity
    count: int
    title: str
    text: str
    advice: str
    examples: tuple[Example, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        return {
            "code": self.code,
            "severity": self.severity.name.lower(),
            "count": self.count,
            "title": self.title,
            "text": self.text,
            "remedy": self.advice,
            "examples": [_example_to_dict(item) for item in self.examples],
            "figures": dict(self.figures),
        }


@dataclass(frozen=True)
class FindingText:
    """What a check says when it finds something; ``text`` may hold places for its figures."""

    severity: Severity
    title: str
    text: str
    advice: str


@dataclass(frozen=True, eq=False)
class CheckContext:
    """What the checks look at: the labels as read, and what one look at every photo told."""

    dataset: Dataset
    image_stats: ImageStats

    @property
    def objects(self) -> ObjectTable:
        """What is marked on the images; nothing when the format marks no objects."""
        return self.dataset.objects or ObjectTable.empty(len(self.dataset))

    def make_example(self, row: int, text: str = "", objects: Sequence[int] = (), other: int | None = None) -> Example:
        """Return the example of one image."""
        beside = "" if other is None else self.dataset.images.get_name(other)
        return Example(self.dataset.images.get_name(row), text, row, tuple(objects), other, beside)

    def make_image_findings(
        self, code: str, words: FindingText, rows: Iterable[int], texts: Mapping[int, str]
    ) -> list[Finding]:
        """Return the finding on the images ``rows``, if there are any; ``texts`` says something of each."""
        found = [int(row) for row in rows]
        return make_findings(code, words, (self.make_example(row, texts.get(row, "")) for row in found), len(found))

    def get_split_rows(self) -> dict[str, NDArray[np.int64]]:
        """Return the rows of each split that the data brings along, by its name."""
        rows = {name: self.dataset.get_split_indices(number) for name, number in SPLITS.items()}
        return {name: found for name, found in rows.items() if len(found)}

    def get_class_name(self, class_id: int) -> str:
        """Return the name of a class; empty for none."""
        return self.dataset.classes.names[class_id] if class_id >= 0 else ""


def make_findings(
    code: str, words: FindingText, examples: Iterable[Example], count: int, figures: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Return one finding with ``words`` on ``count`` examples, in a list; an empty list when there are none."""
    if not count:
        return []
    kept = tuple(islice(examples, MAX_EXAMPLES))
    text = words.text.format(count=count, **(figures or {}))
    return [Finding(code, words.severity, count, words.title, text, words.advice, kept, dict(figures or {}))]


def _example_to_dict(item: Example) -> dict[str, Any]:
    record: dict[str, Any] = {"place": item.place, "text": item.text}
    if item.row is not None:
        record |= {"image": item.row, "objects": list(item.objects)}
    if item.other_row is not None:
        record |= {"other": item.other_row, "other_place": item.other_place}
    return record
