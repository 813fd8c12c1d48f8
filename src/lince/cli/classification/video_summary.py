"""The summary of a video for ``lince predict`` with a classifier: the most frequent class and mean probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.i18n import _
from lince.number_format import format_count, format_percent

if TYPE_CHECKING:
    from lince.inference.video.classified_video import ClassifiedVideo

_MAX_CLASSES = 5


def summarise_video(result: ClassifiedVideo) -> list[str]:
    """Return the lines on the most frequent class, the mean probabilities and the other classes."""
    names, means = result.classes.names, result.means
    (best, best_count), *_rest = result.rank_classes()
    likeliest = int(means.argmax())
    lines = [
        _("most frequent: {name}, in {count} of {total} frames ({share})").format(
            name=names[best],
            count=format_count(best_count),
            total=format_count(result.frame_count),
            share=format_percent(best_count / result.frame_count),
        ),
        _("highest mean probability: {name}, {share}").format(
            name=names[likeliest], share=format_percent(means[likeliest])
        ),
    ]
    others = [(class_id, count) for class_id, count in result.class_counts.most_common() if class_id != best]
    if others:
        more = ", ..." if len(others) > _MAX_CLASSES else ""
        listed = ", ".join(f"{names[class_id]} {format_count(count)}" for class_id, count in others[:_MAX_CLASSES])
        lines.append(_("frames of other classes: {counts}").format(counts=listed + more))
    return lines
