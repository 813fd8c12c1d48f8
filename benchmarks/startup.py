"""Start-up time: `lince --help`, `import lince` and a first prediction against a bare Python."""

from __future__ import annotations

import subprocess
import sys
import time

ROUNDS = 15
WAYS = {
    "python -c pass": ["-c", "pass"],
    "import lince": ["-c", "import lince"],
    "lince --help": ["-m", "lince", "--help"],
    "import numpy, cv2": ["-c", "import numpy, cv2"],
    "lince.load": ["-c", "import lince; lince.load"],
}
LIMITS = {"import lince": 0.05, "lince --help": 0.3}


def run() -> None:
    """Print the seconds of each command and of a bare Python, with the limits."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _round in range(ROUNDS):
        for name, words in WAYS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            taken[name].append(time.perf_counter() - start)
    bare = min(taken["python -c pass"])
    print(f"seconds from start to end of a process, best and median of {ROUNDS} alternating runs")
    for name, found in taken.items():
        best, middle = min(found), sorted(found)[ROUNDS // 2]
        line = f"  {name:<20}{best:7.3f}  {middle:7.3f}   {best / bare:5.1f} x a bare Python"
        if name in LIMITS:
            # The limits apply to what lince adds to the start of a bare Python.
            own = best - bare if name.startswith("import") else best
            line += f"   {own / LIMITS[name]:4.2f} of the limit of {LIMITS[name]} s"
        print(line)
