"""Checks of the classes: too rare, never used, out of balance, missing from a part, or named almost alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED
from lince.checks.finding import CheckContext, Example, Finding, FindingText, Severity, make_findings
from lince.i18n import _
from lince.number_format import format_count, format_percent

MIN_IMAGES, MIN_OBJECTS = 20, 50  # below which a class can hardly be learned or judged
IMBALANCE_RATIO = 10.0  # times that the commonest class is larger than the rarest
MIN_FUZZY_LENGTH = 7  # letters from which one letter more, less or other is a slip rather than another word


def check_classes(evidence: CheckContext) -> list[Finding]:
    """Return what is wrong with the classes."""
    return [
        *_unused_classes(evidence),
        *_rare_classes(evidence),
        *_class_imbalance(evidence),
        *_classes_missing_in_split(evidence),
        *_similar_names(evidence),
        *_unlabelled_images(evidence),
    ]


def count_per_class(evidence: CheckContext, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return how many objects (or images, where none are marked) each class has, int64 (C,), on the images ``rows``."""
    dataset = evidence.dataset if rows is None else evidence.dataset.select(rows)
    return np.array(list(dataset.count_per_class().values()), np.int64)


def _unused_classes(evidence: CheckContext) -> list[Finding]:
    names = [name for name, size in evidence.dataset.count_per_class().items() if not size]
    words = FindingText(
        Severity.WARNING,
        _("Classes that nothing shows"),
        _("They are declared, and no usable label names them: {names}."),
        _("If that is a surprise, the ids may be shifted. Else leave them out of the list."),
    )
    return make_findings("unused", words, (Example(name) for name in names), len(names), {"names": ", ".join(names)})


def _rare_classes(evidence: CheckContext) -> list[Finding]:
    parts = evidence.get_split_rows()
    sizes = count_per_class(evidence, parts.get("train"))
    total, marked = int(sizes.sum()), evidence.dataset.objects is not None
    everywhere = count_per_class(evidence)
    few = (sizes < (MIN_OBJECTS if marked else MIN_IMAGES)) & (everywhere > 0)
    said = []
    for class_id in np.flatnonzero(few).tolist():
        share = float(sizes[class_id]) / max(total, 1)
        said.append(
            (evidence.get_class_name(class_id), _rare_text(int(sizes[class_id]), share, marked, "train" in parts))
        )
    words = FindingText(
        Severity.WARNING,
        _("Classes too rare to learn"),
        _("Too few examples to learn from, or to judge by: {names}."),
        _("Collect more photos of them, merge them with a class they resemble (--merge), or leave them out."),
    )
    names = "; ".join(f"{name} ({text})" for name, text in said)
    return make_findings("rare", words, (Example(name, text) for name, text in said), len(said), {"names": names})


def _rare_text(size: int, share: float, marked: bool, train: bool) -> str:
    if marked and train:
        text = _("{size:,} boxes to train on, {share} of them")
    elif marked:
        text = _("{size:,} boxes, {share} of all")
    elif train:
        text = _("{size:,} images to train on, {share} of them")
    else:
        text = _("{size:,} images, {share} of all")
    return text.format(size=size, share=format_percent(share))


def _class_imbalance(evidence: CheckContext) -> list[Finding]:
    sizes = count_per_class(evidence)
    used = np.flatnonzero(sizes)
    if len(used) < 2:
        return []
    most, least = int(used[np.argmax(sizes[used])]), int(used[np.argmin(sizes[used])])
    ratio = float(sizes[most] / sizes[least])
    words = FindingText(
        Severity.WARNING,
        _("Classes out of balance"),
        _("“{most}” has {ratio:.0f} times as many examples as “{least}” ({large} to {little})."),
        _("Collect more of the rare ones. Judge each class by its own figures; the mean hides the rare ones."),
    )
    figures = {
        "most": evidence.get_class_name(most),
        "least": evidence.get_class_name(least),
        "ratio": ratio,
        "large": format_count(int(sizes[most])),
        "little": format_count(int(sizes[least])),
    }
    return make_findings("unbalanced", words, (), int(ratio >= IMBALANCE_RATIO), figures)


def _classes_missing_in_split(evidence: CheckContext) -> list[Finding]:
    parts = evidence.get_split_rows()
    if len(parts) < 2:
        return []
    present = {name: count_per_class(evidence, rows) > 0 for name, rows in parts.items()}
    somewhere = np.any(list(present.values()), axis=0)
    missing = [
        (evidence.get_class_name(class_id), part)
        for part, found in present.items()
        for class_id in np.flatnonzero(somewhere & ~found).tolist()
    ]
    grave = any(part == "train" for _name, part in missing)
    words = FindingText(
        Severity.ERROR if grave else Severity.WARNING,
        _("Classes missing from a part"),
        _("A class that training lacks cannot be learned, one that the test lacks cannot be judged: {names}."),
        _("Divide the data anew with lince split, which gives every part its share of each class."),
    )
    names = "; ".join(_("{name} in {part}").format(name=name, part=part) for name, part in missing)
    examples = (Example(name, part) for name, part in missing)
    return make_findings("absent", words, examples, len(missing), {"names": names})


def _similar_names(evidence: CheckContext) -> list[Finding]:
    sizes = evidence.dataset.count_per_class()
    pairs = [pair for pair in combinations(evidence.dataset.classes.names, 2) if are_names_similar(*pair)]
    words = FindingText(
        Severity.WARNING,
        _("Class names almost alike"),
        _("They differ by case, an accent, a plural or one letter: {names}."),
        _("If they mean the same, make them one: --merge {example}."),
    )
    if not pairs:
        return []
    words = FindingText(
        words.severity, words.title, words.text, words.advice.format(example=_format_merge_option(pairs[0], sizes))
    )
    names = "; ".join(f"{a} / {b}" for a, b in pairs)
    return make_findings("names-alike", words, (Example(a, b) for a, b in pairs), len(pairs), {"names": names})


def are_names_similar(one: str, other: str) -> bool:
    """Whether two class names are probably one, written in two ways."""
    a, b = _normalise_name(one), _normalise_name(other)
    if not (a and b):
        return False
    short, long = sorted((a, b), key=len)
    if a == b or (len(short) > 2 and long in (short + "s", short + "es")):
        return True
    return len(short) >= MIN_FUZZY_LENGTH and _digit_groups(a) == _digit_groups(b) and _is_one_edit_apart(short, long)


def _unlabelled_images(evidence: CheckContext) -> list[Finding]:
    if evidence.dataset.objects is not None:
        return []
    rows = np.flatnonzero(evidence.dataset.class_ids == UNLABELLED)
    words = FindingText(
        Severity.WARNING,
        _("Photos without a class"),
        _("Nobody has said what they show. Training does not use them."),
        _("Give them a class, or leave them for later."),
    )
    return evidence.make_image_findings("no-class", words, rows, {})


def _normalise_name(name: str) -> str:
    """Return ``name`` without case, accents and whatever stands between its letters and digits."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def _digit_groups(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _is_one_edit_apart(short: str, long: str) -> bool:
    """Whether one letter put in, left out, exchanged with its neighbour or replaced makes ``short`` into ``long``."""
    if len(long) - len(short) > 1:
        return False
    if len(long) > len(short):
        return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    differing = [i for i in range(len(short)) if short[i] != long[i]]
    if len(differing) == 2:
        first, second = differing
        return second == first + 1 and short[first] == long[second] and short[second] == long[first]
    return len(differing) == 1


def _format_merge_option(pair: tuple[str, str], sizes: Mapping[str, int]) -> str:
    kept = max(pair, key=lambda name: sizes[name])
    return f"{kept}={','.join(pair)}"
