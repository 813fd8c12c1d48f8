"""What is shown of one object: its name, lines, figures, findings, tables and pictures, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lince.evaluation.report.texts import NamedTexts, TextTable
from lince.findings import Finding
from lince.notebook.picture import Picture, render_template
from lince.number_format import format_count

Bar = tuple[str, str, float]  # name, value as text, length in 0..1
Gallery = tuple[str, Sequence[Picture]]


@dataclass(frozen=True, kw_only=True)
class ShownObject:
    """The content of the HTML of one object; every part may be empty.

    ``kind`` says what it is ("dataset"), ``name`` which one. ``lead`` is a picture beside the bars.
    ``finding_pictures`` are those of each of ``findings``.
    Bars, tables and galleries have titles.
    """

    kind: str
    name: str = ""
    lines: Sequence[str] = ()
    facts: NamedTexts | tuple[()] = ()
    lead: Picture | None = None
    findings: Sequence[Finding] = ()
    finding_pictures: Sequence[Sequence[Picture]] = ()
    bars: Sequence[tuple[str, Sequence[Bar]]] = ()
    tables: Sequence[tuple[str, TextTable]] = ()
    galleries: Sequence[Gallery] = ()
    footer: Sequence[str] = ()

    def render(self) -> str:
        """Return the content as HTML."""
        values = dict(vars(self))
        counts = [getattr(finding, "count", 0) for finding in self.findings]
        values["finding_titles"] = [
            f"{finding.title} ({format_count(count)})" if count else finding.title
            for finding, count in zip(self.findings, counts, strict=True)
        ]
        values["finding_pictures"] = [*self.finding_pictures, *[()] * len(self.findings)]
        return render_template("object.html.j2", values)
