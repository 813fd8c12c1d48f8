"""Input and output of the dataset checks: the context that each check reads, and the findings that it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import ObjectTable
from lince.checks.mask_measures import MaskMeasures, measure_masks
from lince.datasets import Dataset
from lince.datasets.duplicates.search import (
    DuplicatePair,
    DuplicateSearch,
    ImageFingerprints,
    find_duplicates,
    get_fingerprints,
)
from lince.datasets.groups import ImageGroups, find_groups
from lince.datasets.image_stats import ImageStats
from lince.findings import Finding, Severity
from lince.models.classification.registry import DEFAULT_MODEL
from lince.progress import SILENT, Progress
from lince.splits import SPLITS

MAX_EXAMPLES = 10_000  # kept with a finding; its ``count`` has no limit


@dataclass(frozen=True)
class FindingExample:
    """One place where a finding applies.

    ``place`` is the name of an image, a label file with its line (``labels/1.txt:3``), or a class name. ``row`` is the
    row of the image in the dataset, ``None`` when there is none (a rejected file, a class); ``objects`` are the indices
    of the objects concerned in the dataset's ``ObjectTable``. ``other_row`` and ``other_place`` are a second image to
    compare with, for duplicates.
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

    def to_dict(self) -> dict[str, Any]:
        """Return the example as a JSON object; ``image`` and ``other`` are rows of the dataset."""
        record: dict[str, Any] = {"place": self.place, "text": self.text}
        if self.row is not None:
            record |= {"image": self.row, "objects": list(self.objects)}
        if self.other_row is not None:
            record |= {"other": self.other_row, "other_place": self.other_place}
        return record


@dataclass(frozen=True)
class CheckFinding(Finding):
    """A finding about a dataset, with how often it applies and where.

    ``count`` is the number of images, objects, classes or pairs concerned; ``examples`` are the first ``MAX_EXAMPLES``
    of them, in the order of the dataset, and may be empty.
    """

    count: int = 0
    examples: tuple[FindingExample, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as a JSON object, as ``lince check --json`` prints it."""
        return {
            "code": self.code,
            "severity": self.severity.name.lower(),
            "count": self.count,
            "title": self.title,
            "text": self.text,
            "remedy": " ".join(self.advice),
            "examples": [example.to_dict() for example in self.examples],
            "figures": dict(self.figures),
        }


@dataclass(frozen=True)
class FindingText:
    """Severity and wording of a finding, before its examples are known.

    ``text`` may contain the placeholders ``{count}`` and ``{name}`` for each name among the figures.
    """

    severity: Severity
    title: str
    text: str
    advice: str


@dataclass(frozen=True)
class FeatureModel:
    """The pretrained network whose image features are used to find wrong labels.

    ``model`` is a preset or the name of a network, ``weights`` is ``auto``, a file or a folder as in ``train``, and
    ``size`` the side of its input in pixels (``None``: the network's own).
    """

    model: str = DEFAULT_MODEL
    weights: str = "auto"
    size: int | None = None


@dataclass(frozen=True, eq=False)
class CheckContext:
    """Everything that a check may read: the dataset, measurements of its images, and options.

    Without ``feature_model`` no check looks for wrong labels. Expensive results that several checks need are computed
    once, when first asked for, and report to ``progress``.
    """

    dataset: Dataset
    image_stats: ImageStats
    feature_model: FeatureModel | None = None
    progress: Progress = SILENT

    @property
    def objects(self) -> ObjectTable:
        """The annotated objects; a table without objects when the dataset has classes of whole images."""
        return self.dataset.objects or ObjectTable.empty(len(self.dataset))

    @cached_property
    def duplicate_pairs(self) -> tuple[DuplicatePair, ...]:
        """The pairs of images that are exact or near duplicates, ordered by row."""
        return find_duplicates(self.dataset, self.progress, self.fingerprints)

    @cached_property
    def mask_measures(self) -> MaskMeasures:
        """The measures of the masks and outlines."""
        return measure_masks(self.dataset, self.image_stats.sizes, self.progress)

    @property
    def fingerprints(self) -> ImageFingerprints:
        """What the search for duplicates compares of each image."""
        return get_fingerprints(self.image_stats)

    @cached_property
    def groups(self) -> ImageGroups:
        """The images that ``lince split`` keeps together."""
        search = DuplicateSearch(self.fingerprints, self.duplicate_pairs)
        return find_groups(self.dataset, self.progress, search=search)

    def make_example(
        self, row: int, text: str = "", objects: Sequence[int] = (), other_row: int | None = None
    ) -> FindingExample:
        """Return the example of the image at ``row``, with the names of both images filled in."""
        other_place = "" if other_row is None else self.dataset.images.get_name(other_row)
        return FindingExample(self.dataset.images.get_name(row), text, row, tuple(objects), other_row, other_place)

    def make_image_findings(
        self, code: str, finding_text: FindingText, rows: Iterable[int], texts: Mapping[int, str]
    ) -> list[CheckFinding]:
        """Return a list with the finding on the images at ``rows``, empty when there are none.

        ``texts`` holds a remark for some of the rows.
        """
        row_list = [int(row) for row in rows]
        examples = (self.make_example(row, texts.get(row, "")) for row in row_list)
        return make_findings(code, finding_text, examples, len(row_list))

    def make_object_findings(
        self, code: str, finding_text: FindingText, indices: NDArray[np.int64], format_object: Callable[[int], str]
    ) -> list[CheckFinding]:
        """Return a list with the finding on the objects at ``indices``, empty when there are none.

        An example has the class of the object and a remark by ``format_object``.
        """
        rows, class_ids = self.objects.image_ids, self.objects.class_ids
        examples = (
            self.make_example(
                int(rows[index]), f"{self.get_class_name(int(class_ids[index]))}: {format_object(index)}", (index,)
            )
            for index in indices.tolist()
        )
        return make_findings(code, finding_text, examples, len(indices))

    def get_split_rows(self) -> dict[str, NDArray[np.int64]]:
        """Return the rows of each split by its name (``train``, ``val``, ``test``), without empty splits."""
        rows_by_split = {name: self.dataset.get_split_indices(split) for name, split in SPLITS.items()}
        return {name: rows for name, rows in rows_by_split.items() if len(rows)}

    def get_class_name(self, class_id: int) -> str:
        """Return the name of a class; an empty string for ``UNLABELLED`` (-1)."""
        return self.dataset.classes.names[class_id] if class_id >= 0 else ""


def make_findings(
    code: str,
    finding_text: FindingText,
    examples: Iterable[FindingExample],
    count: int,
    figures: Mapping[str, Any] | None = None,
) -> list[CheckFinding]:
    """Return a list with one finding on ``count`` cases; an empty list when ``count`` is 0.

    ``figures`` and the count are filled into the placeholders of the text. Of ``examples`` only the first
    ``MAX_EXAMPLES`` are consumed.
    """
    if not count:
        return []
    return [
        CheckFinding(
            code=code,
            severity=finding_text.severity,
            title=finding_text.title,
            text=finding_text.text.format(count=count, **(figures or {})),
            advice=(finding_text.advice,),
            figures=dict(figures or {}),
            count=count,
            examples=tuple(islice(examples, MAX_EXAMPLES)),
        )
    ]
