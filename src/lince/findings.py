"""Severities and findings, shared by the dataset checks and by the diagnosis of trained models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from lince.i18n import _


class Severity(IntEnum):
    """How much a finding matters: the lower the value, the graver, so sorting puts the gravest first.

    The lower-case name (``"error"``) is what JSON files hold. Dataset checks use ERROR, WARNING and NOTE; the
    diagnosis of a model uses SERIOUS, WARNING, NOTE and GOOD.

    ``ERROR``: labels are lost, or results will be wrong. ``SERIOUS``: the model cannot be relied on as it is.
    ``WARNING``: results are at risk. ``NOTE``: good to know. ``GOOD``: no problem was found.
    """

    ERROR = 0
    SERIOUS = 1
    WARNING = 2
    NOTE = 3
    GOOD = 4

    def get_label(self) -> str:
        """Return the name of the severity in the current language, in lower case."""
        return (_("error"), _("serious"), _("warning"), _("note"), _("good"))[self]


@dataclass(frozen=True)
class Finding:
    """One observation about a dataset or a model, with its explanation.

    ``code`` identifies the kind of finding for programs and does not depend on the language; ``title``, ``text`` and
    the sentences of ``advice`` are for people, in the language that was current when the finding was made.
    ``figures`` holds the numbers and names that the finding is based on; every value can be written as JSON.
    """

    code: str
    severity: Severity
    title: str
    text: str
    advice: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as a JSON object, as ``report.json`` holds it."""
        return {
            "code": self.code,
            "severity": self.severity.name.lower(),
            "title": self.title,
            "text": self.text,
            "advice": list(self.advice),
            "figures": dict(self.figures),
        }
