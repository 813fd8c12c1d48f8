"""Runs all dataset checks and collects their findings and the statistics of the dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lince.checks import (
    box_checks,
    class_checks,
    dataset_stats,
    duplicate_checks,
    image_checks,
    label_errors,
    mask_checks,
    rejected_labels,
    split_shift,
)
from lince.checks.check_context import CheckContext, CheckFinding, FeatureModel
from lince.checks.dataset_stats import DatasetStats
from lince.datasets import Dataset, image_stats
from lince.display import NotebookDisplay
from lince.findings import Severity
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.version import __version__

FORMAT_VERSION = 1  # version of the JSON document
CheckFunction = Callable[[CheckContext], list[CheckFinding]]
# All checks, in the order in which they run. One that does not apply to a dataset returns no findings.
CHECKS: tuple[CheckFunction, ...] = (
    rejected_labels.check_rejected_labels,
    image_checks.check_images,
    box_checks.check_boxes,
    mask_checks.check_masks,
    class_checks.check_classes,
    split_shift.check_split_shift,
    duplicate_checks.check_duplicates,
    duplicate_checks.check_group_leaks,
    label_errors.check_label_errors,
)


@dataclass(frozen=True, eq=False, repr=False)
class CheckResult(NotebookDisplay):
    """Result of checking a dataset.

    ``findings`` are ordered by severity, the gravest first, then by count, the most frequent first. ``usable`` is the
    dataset without the images that cannot be decoded, which are among its rejected items instead: what a training uses.
    """

    html_renderer = "lince.notebook.check_html:render_check"

    dataset: Dataset
    findings: tuple[CheckFinding, ...]
    statistics: DatasetStats
    usable: Dataset

    def __repr__(self) -> str:
        titles = "".join(f"\n  {item.severity.get_label()}: {item.title} ({item.count:,})" for item in self.findings)
        return f"<CheckResult {self.dataset.root.name or self.dataset.root}: {self.summarise()}{titles}>"

    def filter_by_severity(self, severity: Severity) -> list[CheckFinding]:
        """Return the findings of one severity, in their order."""
        return [finding for finding in self.findings if finding.severity is severity]

    def summarise(self) -> str:
        """Return one sentence with the number of errors, warnings and notes."""
        severities = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
        errors, warnings, notes = (len(self.filter_by_severity(severity)) for severity in severities)
        if not self.findings:
            return _("No problems were found.")
        return _("Errors: {errors}. Warnings: {warnings}. Notes: {notes}.").format(
            errors=errors, warnings=warnings, notes=notes
        )

    def find_by_code(self, code: str) -> CheckFinding | None:
        """Return the first finding with ``code``; ``None`` when there is none."""
        return next((finding for finding in self.findings if finding.code == code), None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON object.

        ``used`` and ``total`` count images and annotated objects; the difference is what was left out.
        """
        return {
            "format": FORMAT_VERSION,
            "lince": __version__,
            "data": str(self.dataset.root),
            "read_as": self.dataset.format,
            "used": self.usable.used_count,
            "total": self.usable.total_count,
            "classes": list(self.dataset.classes.names),
            "findings": [finding.to_dict() for finding in self.findings],
            "statistics": self.statistics.to_dict(),
        }


def run_checks(dataset: Dataset, progress: Progress = SILENT, feature_model: FeatureModel | None = None) -> CheckResult:
    """Run every check on ``dataset`` and return the findings with the statistics of the dataset.

    Each image is decoded once; measurements are cached by content, so that a second run only reads the files. With
    ``feature_model`` the labels are also compared with the content of the images, which needs the training extra.
    Raise ``UsageError`` when that is asked for and fewer than two classes have enough images.
    """
    context = CheckContext(dataset, image_stats.compute_image_stats(dataset, progress), feature_model, progress)
    findings = [finding for check in CHECKS for finding in check(context)]
    statistics = dataset_stats.compute_dataset_stats(context)
    usable = dataset.reject_rows(context.image_stats.unreadable_images)
    return CheckResult(dataset, tuple(sorted(findings, key=_severity_key)), statistics, usable)


def _severity_key(finding: CheckFinding) -> tuple[int, int, str]:
    """Return the key that sorts findings: severity, then count (descending), then code."""
    return (finding.severity, -finding.count, finding.code)
