"""What a run cannot learn or its figures cannot say, found in its photos and their split before it trains."""

from __future__ import annotations

from lince.datasets import Dataset
from lince.datasets.image_stats import compute_image_stats
from lince.datasets.label_sizes import find_labelled_before_rotation, find_other_sizes
from lince.evaluation.diagnosis.name_list import join_names
from lince.i18n import _, translate_plural
from lince.progress import SILENT, Progress
from lince.splits import TEST, TRAIN, VAL

MIN_TEST_IMAGES = 10  # below, the 95 % interval of an accuracy spans more than half of the scale


def list_split_warnings(dataset: Dataset) -> list[str]:
    """Return a sentence for each figure that the split of ``dataset`` makes impossible or worthless, with what to do.

    They are about validation without images or without boxes, classes that are tested but not trained, and tests on
    fewer than ``MIN_TEST_IMAGES`` images.
    """
    warnings = [
        _describe_validation(dataset),
        _describe_untrained_classes(dataset),
        describe_small_test(len(dataset.get_split_indices(TEST))),
    ]
    return [text for text in warnings if text]


def describe_small_test(count: int) -> str:
    """Return the warning about a test split of ``count`` images; empty where there are ``MIN_TEST_IMAGES``."""
    if count >= MIN_TEST_IMAGES:
        return ""
    return translate_plural(
        "Warning: {count} test image. Whatever the result on it, it says next to nothing: "
        "add photos until there are at least {enough} test images, better 100.",
        "Warning: {count} test images. Whatever the result on them, it says next to nothing: "
        "add photos until there are at least {enough} test images, better 100.",
        count,
    ).format(count=count, enough=MIN_TEST_IMAGES)


def list_box_warnings(dataset: Dataset, progress: Progress = SILENT) -> list[str]:
    """Return a sentence for each reason why boxes of ``dataset`` lie beside what they mark, with what to do."""
    stats = compute_image_stats(dataset, progress)
    turned = int(find_labelled_before_rotation(dataset, stats).sum())
    resized = int(find_other_sizes(dataset, stats).sum())
    warnings = [
        translate_plural(
            "Warning: {count} photo has boxes that ignore its Exif orientation, so they lie in the wrong place. "
            "lince check names it. Label it again, or leave it out.",
            "Warning: {count} photos have boxes that ignore their Exif orientation, so they lie in the wrong place. "
            "lince check names them. Label them again, or leave them out.",
            turned,
        ).format(count=turned)
        if turned
        else "",
        translate_plural(
            "Warning: {count} photo has another size than its labels say, so its boxes lie in the wrong place. "
            "lince check names it. Use the photo that was labelled, or leave it out.",
            "Warning: {count} photos have another size than their labels say, so their boxes lie in the wrong place. "
            "lince check names them. Use the photos that were labelled, or leave them out.",
            resized,
        ).format(count=resized)
        if resized
        else "",
    ]
    return [text for text in warnings if text]


def find_untrained_classes(dataset: Dataset) -> dict[str, int]:
    """Return the classes with test or validation examples but no training example, with the number of the former."""
    trained = dataset.select(dataset.get_split_indices(TRAIN)).count_per_class()
    others = [dataset.select(dataset.get_split_indices(split)).count_per_class() for split in (VAL, TEST)]
    return {name: sum(counts[name] for counts in others) for name in trained if not trained[name]}


def _describe_validation(dataset: Dataset) -> str:
    """Return the warning about validation images that are missing or show nothing; empty where they suffice."""
    validated = dataset.select(dataset.get_split_indices(VAL))
    if not len(validated):
        return _(
            "Warning: there are no validation images, so nothing chooses the best epoch and no validation figures are "
            "measured. Add photos, or use a larger --val."
        )
    if validated.objects is not None and not len(validated.objects):
        return _(
            "Warning: the {count} validation images have no boxes, so nothing chooses the best epoch and no validation "
            "figures are measured. Label objects in some of them, or use a larger --val."
        ).format(count=len(validated))
    return ""


def _describe_untrained_classes(dataset: Dataset) -> str:
    """Return the warning about classes that are tested or validated but not trained; empty where there are none."""
    untrained = {name: count for name, count in find_untrained_classes(dataset).items() if count}
    if not untrained:
        return ""
    return _(
        "Warning: no training example of {names}: the model cannot learn it, and its test examples will count as "
        "errors. Move some of them to the training photos, or remove the class."
    ).format(names=join_names([f"{name} ({count})" for name, count in untrained.items()]))
