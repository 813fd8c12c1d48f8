"""The words that the pages of the studio show, by key; the scripts ask for them with ``say(key, values)``."""

from __future__ import annotations

from lince.i18n import _
from lince.studio import annotate_texts, gallery_texts, shell_texts


def translate() -> dict[str, str]:
    """Return all words in the current language."""
    parts = (shell_texts, gallery_texts, annotate_texts)
    return {"title": _("lince studio")} | {key: text for part in parts for key, text in part.translate().items()}
