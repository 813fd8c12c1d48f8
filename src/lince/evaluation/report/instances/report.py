"""The report of a run that learnt masks."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from lince.evaluation.report.detection.report import DetectionReport
from lince.evaluation.report.instances import texts


@dataclass(frozen=True, eq=False, kw_only=True)
class InstancesReport(DetectionReport):
    """The report of ``DetectionReport``, with figures of masks first and those of boxes beside them.

    A record of ``history`` also has ``val_segm_map50`` and ``val_segm_map50_95``.
    """

    monitor: ClassVar[str] = "val_segm_map50_95"
    texts: ClassVar[ModuleType] = texts

    def summarise_train_val(self) -> dict[str, Any]:
        """Return the training boxes of each class, and the best mask mAP50-95 on the validation images."""
        return {**super().summarise_train_val(), "val": {"segm_map50_95": self.val_primary_metric}}
