"""Checks of the classes: unused, rare, unbalanced, missing from a split, or with similar names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lince.checks.check_context import CheckContext, CheckFinding, FindingExample, FindingText, make_findings
from lince.findings import Severity
from lince.i18n import _
from lince.number_format import format_count, format_percent

MIN_IMAGES, MIN_OBJECTS = 20, 50  # a class with fewer training examples can hardly be learned or evaluated
IMBALANCE_RATIO = 10.0  # largest class over smallest class from which the finding is made
_MAX_NAMED = 8  # classes in the sentence of a finding
MIN_FUZZY_LENGTH = 7  # letters; in shorter names one different letter usually makes another word


def check_classes(context: CheckContext) -> list[CheckFinding]:
    """Return the findings on the classes.

    Codes: ``unused``, ``rare``, ``unbalanced``, ``absent``, ``names-alike``, ``no-class``.
    """
    return [
        *_unused_classes(context),
        *_rare_classes(context),
        *_class_imbalance(context),
        *_classes_missing_in_split(context),
        *_similar_names(context),
        *_unlabelled_images(context),
    ]


def count_per_class(context: CheckContext, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the number of examples of each class, int64 (C,): objects, or images in a dataset without objects.

    Only the images at ``rows`` are counted; ``None`` counts all.
    """
    dataset = context.dataset if rows is None else context.dataset.select(rows)
    return np.array(list(dataset.count_per_class().values()), np.int64)


def _unused_classes(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``unused``: classes without an example, neither an object nor an image as a whole.

    Figures: ``names``, separated by commas.
    """
    dataset = context.dataset
    sets = () if dataset.label_sets is None else dataset.label_sets.class_ids.tolist()
    image_class_ids = {*np.unique(dataset.class_ids).tolist(), *sets}
    sizes = context.dataset.count_per_class().items()
    names = [name for class_id, (name, size) in enumerate(sizes) if not size and class_id not in image_class_ids]
    finding_text = FindingText(
        Severity.WARNING,
        _("Classes without examples"),
        _("No usable label has them: {names}."),
        _("If this is unexpected, the class ids may be shifted. Otherwise remove them from the list."),
    )
    return make_findings(
        "unused",
        finding_text,
        (FindingExample(name) for name in names),
        len(names),
        {"names": _join_names(names, ", ")},
    )


def _rare_classes(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``rare``: classes with fewer than ``MIN_IMAGES`` images or ``MIN_OBJECTS`` objects.

    Counted in the training split where there is one, else in all of the data. Unused classes are left out. Figures:
    ``names``, each with its number of examples in words.
    """
    split_rows = context.get_split_rows()
    sizes = count_per_class(context, split_rows.get("train"))
    total, has_objects = int(sizes.sum()), _counts_boxes(context)
    is_used = count_per_class(context) > 0
    is_rare = (sizes < (MIN_OBJECTS if has_objects else MIN_IMAGES)) & is_used
    texts = []
    for class_id in np.flatnonzero(is_rare).tolist():
        share = float(sizes[class_id]) / max(total, 1)
        text = _rare_text(int(sizes[class_id]), share, has_objects, "train" in split_rows)
        texts.append((context.get_class_name(class_id), text))
    finding_text = FindingText(
        Severity.WARNING,
        _("Classes with too few examples"),
        _("Too few examples to train or to evaluate: {names}."),
        _("Collect more photos of them, merge them with a similar class (--merge), or remove them."),
    )
    names = _join_names([f"{name} ({text})" for name, text in texts])
    return make_findings(
        "rare", finding_text, (FindingExample(name, text) for name, text in texts), len(texts), {"names": names}
    )


def _counts_boxes(context: CheckContext) -> bool:
    """Return whether the examples of a class are boxes; those of mask images are images that show it."""
    return context.dataset.objects is not None and not context.dataset.is_pixelwise


def _rare_text(size: int, share: float, has_objects: bool, has_train_split: bool) -> str:
    """Return how many examples a class has and which share of the total that is, in words."""
    if has_objects and has_train_split:
        text = _("{size:,} training boxes, {share} of them")
    elif has_objects:
        text = _("{size:,} boxes, {share} of all")
    elif has_train_split:
        text = _("{size:,} training images, {share} of them")
    else:
        text = _("{size:,} images, {share} of all")
    return text.format(size=size, share=format_percent(share))


def _class_imbalance(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``unbalanced``: the largest class has ``IMBALANCE_RATIO`` times the examples of the smallest.

    Unused classes do not count. Figures: the classes ``most`` and ``least``, their numbers of examples in words
    ``large`` and ``little``, and the ``ratio``.
    """
    sizes = count_per_class(context)
    used = np.flatnonzero(sizes)
    if len(used) < 2:
        return []
    most, least = int(used[np.argmax(sizes[used])]), int(used[np.argmin(sizes[used])])
    ratio = float(sizes[most] / sizes[least])
    finding_text = FindingText(
        Severity.WARNING,
        _("Class imbalance"),
        _("“{most}” has {ratio:.0f} times as many examples as “{least}” ({large} to {little})."),
        _("Collect more examples of the rare classes. Look at the metrics of each class; averages hide the rare ones."),
    )
    figures = {
        "most": context.get_class_name(most),
        "least": context.get_class_name(least),
        "ratio": ratio,
        "large": format_count(int(sizes[most])),
        "little": format_count(int(sizes[least])),
    }
    return make_findings("unbalanced", finding_text, (), int(ratio >= IMBALANCE_RATIO), figures)


def _classes_missing_in_split(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``absent``: classes that other splits have and one lacks; an error when that is ``train``.

    Nothing is reported when fewer than two splits have images. Figures: ``names``, each with its split.
    """
    split_rows = context.get_split_rows()
    if len(split_rows) < 2:
        return []
    present = {name: count_per_class(context, rows) > 0 for name, rows in split_rows.items()}
    is_used = np.any(list(present.values()), axis=0)
    missing = [
        (context.get_class_name(class_id), split)
        for split, is_present in present.items()
        for class_id in np.flatnonzero(is_used & ~is_present).tolist()
    ]
    train_lacks_class = any(split == "train" for _name, split in missing)
    finding_text = FindingText(
        Severity.ERROR if train_lacks_class else Severity.WARNING,
        _("Classes missing from a split"),
        _(
            "A class that is missing from the training split cannot be learned; one that is missing from the "
            "test split cannot be evaluated: {names}."
        ),
        _("Split the data again with lince split --ignore-existing-split, which stratifies by class."),
    )
    names = _join_names([_("{name} in {part}").format(name=name, part=split) for name, split in missing])
    examples = (FindingExample(name, split) for name, split in missing)
    return make_findings("absent", finding_text, examples, len(missing), {"names": names})


def _similar_names(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``names-alike``: pairs of class names that are probably the same class.

    The advice shows the ``--merge`` option for the first pair. Figures: ``names``, the pairs.
    """
    sizes = context.dataset.count_per_class()
    pairs = [pair for pair in combinations(context.dataset.classes.names, 2) if are_names_similar(*pair)]
    finding_text = FindingText(
        Severity.WARNING,
        _("Similar class names"),
        _("They differ by case, an accent, a plural or one letter: {names}."),
        _("If they mean the same, make them one: --merge {example}."),
    )
    if not pairs:
        return []
    finding_text = FindingText(
        finding_text.severity,
        finding_text.title,
        finding_text.text,
        finding_text.advice.format(example=_format_merge_option(pairs[0], sizes)),
    )
    names = _join_names([f"{first} / {second}" for first, second in pairs])
    return make_findings(
        "names-alike",
        finding_text,
        (FindingExample(first, second) for first, second in pairs),
        len(pairs),
        {"names": names},
    )


def are_names_similar(name: str, other_name: str) -> bool:
    """Whether two class names probably mean the same class.

    Names are compared without case, accents, spaces and punctuation. They are similar when they are then equal, when
    one is the English plural of the other, or when they differ by one edit and have at least ``MIN_FUZZY_LENGTH``
    letters and the same numbers. A name without letters and digits is similar to nothing.
    """
    first, second = _normalise_name(name), _normalise_name(other_name)
    if not (first and second):
        return False
    short, long = sorted((first, second), key=len)
    if first == second or (len(short) > 2 and long in (short + "s", short + "es")):
        return True
    return (
        len(short) >= MIN_FUZZY_LENGTH
        and _digit_groups(first) == _digit_groups(second)
        and _is_one_edit_apart(short, long)
    )


def _unlabelled_images(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``no-class``: images without a class, in a dataset without objects."""
    if context.dataset.objects is not None:
        return []
    rows = np.flatnonzero(~context.dataset.has_image_labels)
    finding_text = FindingText(
        Severity.WARNING,
        _("Unlabelled photos"),
        _("They have no class. Training does not use them."),
        _("Label them, or leave them for later."),
    )
    return context.make_image_findings("no-class", finding_text, rows, {})


def _join_names(names: Sequence[str], separator: str = "; ") -> str:
    """Return the first ``_MAX_NAMED`` of ``names`` in one line, and how many more there are; examples have them all."""
    shown = separator.join(names[:_MAX_NAMED])
    if len(names) <= _MAX_NAMED:
        return shown
    return _("{shown} and {more} more").format(shown=shown, more=len(names) - _MAX_NAMED)


def _normalise_name(name: str) -> str:
    """Return ``name`` without case, accents, and everything that is neither a letter nor a digit."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in decomposed if character.isalnum())


def _digit_groups(name: str) -> list[str]:
    """Return the numbers in ``name``, as text."""
    return re.findall(r"\d+", name)


def _is_one_edit_apart(shorter: str, longer: str) -> bool:
    """Whether inserting or replacing one letter of ``shorter``, or swapping two neighbours, gives ``longer``.

    ``shorter`` must not have more letters than ``longer``. This is a Damerau-Levenshtein distance of 1.
    """
    if len(longer) - len(shorter) > 1:
        return False
    if len(longer) > len(shorter):
        return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))
    differing = [i for i in range(len(shorter)) if shorter[i] != longer[i]]
    if len(differing) == 2:
        first, second = differing
        return second == first + 1 and shorter[first] == longer[second] and shorter[second] == longer[first]
    return len(differing) == 1


def _format_merge_option(pair: tuple[str, str], sizes: Mapping[str, int]) -> str:
    """Return the value of ``--merge`` that makes two classes one, under the name of the larger one."""
    kept = max(pair, key=lambda name: sizes[name])
    return f"{kept}={','.join(pair)}"
