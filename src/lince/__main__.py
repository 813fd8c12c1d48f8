"""Lets ``python -m lince`` be the command line."""

from __future__ import annotations

from lince.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
