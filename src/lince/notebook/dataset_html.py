"""Shows a dataset in a notebook: how much it holds, its classes and splits, what was left out, and some photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lince.checks.contact_sheet import describe_labels, draw_annotated_image
from lince.datasets import Dataset
from lince.datasets.image_source import TreeImages
from lince.errors import ImageError
from lince.evaluation.report.texts import NamedTexts, translate_split
from lince.i18n import _
from lince.notebook.picture import PICTURE_SIDE, TINY_SIDE, Picture, make_picture
from lince.notebook.shown_object import Bar, ShownObject
from lince.number_format import format_count
from lince.option_phrases import reword_for_python
from lince.sampling import sample_evenly
from lince.splits import SPLITS, UNASSIGNED

_MAX_CLASSES, _MAX_REASONS, _PICTURES = 12, 4, 8


def render_dataset(dataset: Dataset) -> str:
    """Return ``dataset`` as HTML in the current language."""
    counts = dataset.count_per_class()
    shown = sorted(counts, key=lambda name: -counts[name])[:_MAX_CLASSES]
    largest = max(counts.values(), default=0) or 1
    bars: list[Bar] = [(name, format_count(counts[name]), counts[name] / largest) for name in shown]
    title = _("photos per class") if dataset.objects is None else _("objects per class")
    others = len(counts) - len(shown)
    return ShownObject(
        kind=_("Dataset"),
        name=dataset.root.name or str(dataset.root),
        lines=(dataset.summarise(),),
        facts=_list_facts(dataset),
        bars=[(title, bars)] if bars else (),
        galleries=[("", draw_examples(dataset))],
        footer=[
            *(
                [_("The largest classes; {n} smaller ones are not shown.").format(n=format_count(others))]
                if others
                else ()
            ),
            *_describe_left_out(dataset),
        ],
    ).render()


def draw_examples(dataset: Dataset, count: int = _PICTURES) -> list[Picture]:
    """Return up to ``count`` photos of all classes with their labels; none of a dataset that is read from the network.

    Photos that cannot be opened are left out.
    """
    if isinstance(dataset.images, TreeImages) and dataset.images.tree.is_remote:
        return []
    rows = _order_by_class(dataset)
    pictures = []
    for row in rows[sample_evenly(len(rows), count)].tolist():
        try:
            size = dataset.images.read_size(row)
            image = draw_annotated_image(dataset, row, side=PICTURE_SIDE // (2 if 0 < max(size) <= TINY_SIDE else 1))
        except ImageError:
            continue
        pictures.append(make_picture(image, describe_labels(dataset, row), dataset.images.get_name(row)))
    return pictures


def _order_by_class(dataset: Dataset) -> NDArray[np.int64]:
    """Return the rows of the images in the order of their classes; of a dataset with objects, those that show some."""
    if dataset.objects is not None:
        with_objects = np.flatnonzero(np.diff(dataset.objects.starts))
        return with_objects if len(with_objects) else np.arange(len(dataset))
    return np.argsort(dataset.label_codes, kind="stable")


def _list_facts(dataset: Dataset) -> NamedTexts:
    """Return the format, the number of classes and the sizes of the splits, as (name, value)."""
    facts = [(_("format"), dataset.format), (_("classes"), format_count(len(dataset.classes)))]
    sizes = {name: len(dataset.get_split_indices(number)) for name, number in SPLITS.items()}
    if any(sizes.values()):
        sizes["unassigned"] = len(dataset.get_split_indices(UNASSIGNED))
        text = ", ".join(f"{translate_split(name)} {format_count(size)}" for name, size in sizes.items() if size)
        facts.append((_("split"), text))
    return facts


def _describe_left_out(dataset: Dataset) -> Sequence[str]:
    """Return the commonest reasons for which something was left out, each with how often and where it occurs first."""
    if not dataset.rejected:
        return []
    reasons = Counter(item.reason for item in dataset.rejected)
    first = {item.reason: item for item in reversed(dataset.rejected)}
    lines = [
        f"{format_count(count)} × {reword_for_python(str(first[reason]))}"
        for reason, count in reasons.most_common(_MAX_REASONS)
    ]
    lines.insert(0, _("Told while reading ({name} has all):").format(name="dataset.rejected"))
    return lines
