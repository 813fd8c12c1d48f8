"""Lets an object show itself in a notebook as HTML with pictures, and elsewhere as a page in the browser.

What draws it is a dotted name that is imported when something is shown, so that no data, model or result loads it.
"""

from __future__ import annotations

import sys
import tempfile
import webbrowser
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from lince.errors import LinceError

_PAGE = (
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<title>lince</title></head><body style="color-scheme:light dark;font-family:system-ui,sans-serif;margin:1.5em">'
    "{content}</body></html>"
)


class NotebookDisplay:
    """Base class of what notebooks show as HTML.

    ``html_renderer`` is the dotted name ``module:function`` of the function that returns the HTML of the object.
    """

    html_renderer: ClassVar[str]

    def _repr_html_(self) -> str | None:
        """Return the object as HTML for a notebook; ``None``, and so its text is shown, where a file is gone."""
        try:
            return self.render_notebook_html()
        except (LinceError, OSError):
            return None

    def render_notebook_html(self) -> str:
        """Return the object as a piece of HTML without scripts, with its pictures in it.

        Raises ``LinceError`` or ``OSError`` where what it is about cannot be read any more.
        """
        module, _colon, function = self.html_renderer.partition(":")
        html: str = getattr(import_module(module), function)(self)
        return html

    def show(self) -> Path | None:
        """Show the object: in a notebook below the cell, elsewhere as a page in the browser, whose path is returned.

        The page is a file in the system's folder for temporary files.
        """
        if find_notebook_shell() is not None:
            sys.modules["IPython"].display.display(self)
            return None
        path = Path(tempfile.mkdtemp(prefix="lince-")) / "page.html"
        path.write_text(_PAGE.format(content=self.render_notebook_html()), "utf-8")
        webbrowser.open(path.as_uri())
        return path


def find_notebook_shell() -> Any | None:
    """Return the IPython shell of the notebook that this process runs; ``None`` elsewhere, in a terminal too."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    return shell if shell is not None and getattr(shell, "kernel", None) is not None else None
