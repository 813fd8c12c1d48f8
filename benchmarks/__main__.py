"""Run one benchmark by its name; without a name, list them."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def names() -> dict[str, str]:
    """Return the benchmarks (modules here with a ``run`` function of their own) and the first line of each."""
    found = {}
    for module in sorted(item.name for item in pkgutil.iter_modules([str(Path(__file__).parent)])):
        source = (Path(__file__).parent / f"{module}.py").read_text("utf-8")
        if "\ndef run(" in source:
            found[module] = source.partition('"""')[2].partition("\n")[0].rstrip('"')
    return found


def main(arguments: list[str]) -> int:
    """Run the benchmark named first; return the exit code."""
    known = names()
    if not arguments:
        print("python -m benchmarks NAME, where NAME is one of:\n")
        print("\n".join(f"  {name:<19}{line}" for name, line in known.items()))
        return 0
    if arguments[0] not in known:
        print(f"There is no benchmark '{arguments[0]}'. Expected one of: {', '.join(known)}.", file=sys.stderr)
        return 2
    importlib.import_module(f"benchmarks.{arguments[0]}").run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
