"""List the files that the built documentation site would load from other sites; there must be none.

python scripts/check_site.py build/site
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

_ELSEWHERE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
# Attributes that a browser loads by itself; links to click (a, form) are not among them.
_LOADING = {
    ("audio", "src"), ("embed", "src"), ("iframe", "src"), ("image", "href"), ("img", "src"), ("img", "srcset"),
    ("input", "src"), ("object", "data"), ("script", "src"), ("source", "src"), ("source", "srcset"),
    ("track", "src"), ("use", "href"), ("use", "xlink:href"), ("video", "poster"), ("video", "src"),
}  # fmt: skip
_LOADING_RELATIONS = {
    "dns-prefetch", "icon", "manifest", "modulepreload", "preconnect", "prefetch", "preload", "stylesheet",
}  # fmt: skip
_CSS_LOAD = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""", re.IGNORECASE)
_SCRIPT_LOAD = re.compile(r"""(?:import|from)\s*\(?\s*["']((?:https?:)?//[^"']+)""")


class _Page(HTMLParser):
    """Collects what a page loads, including loads from inline scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record what the tag loads."""
        values = {name: value or "" for name, value in attrs}
        self._within = tag if tag in ("script", "style") else ""
        for name, value in values.items():
            if (tag, name) in _LOADING:
                self.found += value.split(",") if name == "srcset" else [value]
        if tag == "link" and _LOADING_RELATIONS & set(values.get("rel", "").lower().split()):
            self.found.append(values.get("href", ""))
        self.found += _CSS_LOAD.findall(values.get("style", ""))
        if "mermaid" in values.get("class", "").split():
            self.found.append("https://unpkg.com/mermaid (the theme fetches it for such a block)")

    def handle_data(self, data: str) -> None:
        """Record what an inline style or script loads."""
        if self._within == "style":
            self.found += _CSS_LOAD.findall(data)
        elif self._within == "script":
            self.found += _SCRIPT_LOAD.findall(data)


def list_external_loads(site: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of ``site`` with an address on another site that a browser would load for it."""
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".svg", ".css"):
            text = path.read_text("utf-8")
            loads = _CSS_LOAD.findall(text) if path.suffix == ".css" else _page_loads(text)
            yield from ((path.relative_to(site), load.strip()) for load in loads if _ELSEWHERE.match(load))


def _page_loads(text: str) -> list[str]:
    page = _Page()
    page.feed(text)
    page.close()
    return page.found


def main(arguments: Sequence[str]) -> int:
    """Print what is loaded from other sites; return the exit code."""
    if len(arguments) != 1 or not (site := Path(arguments[0])).is_dir():
        print(__doc__)
        return 2
    pages = len(list(site.rglob("*.html")))
    found = list(list_external_loads(site))
    for path, load in found:
        print(f"{path}: loads {load}")
    if not pages:
        print(f"{site} holds no page.")
    elif not found:
        print(f"{pages} pages; none of them loads anything from another site.")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
