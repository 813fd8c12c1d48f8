"""Run the slow tests within a time limit: first those of changed packages, then the others.

``python scripts/slow_tests.py --minutes 45`` compares with the commit named by ``CI_BASE``, else with the one where the
branch began, else with the one before the last. Tests that did not fit are listed and do not fail the run; a test
that failed, or a file that cannot be collected, does. The order of the others depends on the commit, so that not
always the same ones are left out.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GROUP = 20  # tests per pytest process, so that a long file is not left out as a whole
GRACE_SECONDS = 20  # for pytest to end after an interrupt
_PACKAGE = re.compile(r"(?:src/lince|tests)/(\w+)(?:/|\.py$)")
# A line of pytest -v with workers: [gw1] [ 50%] PASSED tests/models/test_models.py::test_it[a b]
_RESULT = re.compile(r"^\[gw\d+\].*? (PASSED|FAILED|SKIPPED|ERROR|XFAIL) (\S+::.*?)\s*$")
_TEST = re.compile(r"\S+\.py::")  # a line of pytest --collect-only -q
_BROKEN = re.compile(r"ERROR (\S.*?\.py)\b")  # a line of its summary
_NO_TESTS = 5  # pytest's exit code when nothing was collected


@dataclass
class Outcome:
    """Counts of tests by result, groups that failed, and tests that were not completed."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def collect_tests(pytest: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of all slow tests, and the files that cannot be collected, after printing why."""
    command = [*pytest, "--collect-only", "-q", "-m", "slow"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, _NO_TESTS):
        print(done.stdout, done.stderr, sep="\n", flush=True)
    tests = [line for line in done.stdout.splitlines() if _TEST.match(line)]
    broken = [found[1] for line in done.stdout.splitlines() if (found := _BROKEN.match(line))]
    unknown = ["the collection of the tests"] if done.returncode not in (0, _NO_TESTS) and not broken else []
    return tests, broken + unknown


def find_base() -> str:
    """Return the commit to compare with: ``CI_BASE``, else where the branch began, else the one before the last."""
    chosen, began = os.environ.get("CI_BASE"), ask_git("merge-base", "HEAD", "origin/main")
    return chosen or (began if began != get_commit() else "") or "HEAD~1"


def find_touched_packages(base: str) -> set[str]:
    """Return the packages with files that differ between commit ``base`` and the working tree."""
    lines = ask_git("diff", "--name-only", base).splitlines()
    return {package for line in lines if (package := find_package(line))}


def get_commit() -> str:
    """Return the name of the commit that is checked out."""
    return ask_git("rev-parse", "HEAD")


def ask_git(*words: str) -> str:
    """Return git's output; an empty text where git is missing or fails."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def make_groups(tests: Sequence[str], touched: set[str], commit: str) -> list[list[str]]:
    """Return ``tests`` in groups of one file each, those of the packages ``touched`` first."""
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(test.partition("::")[0], []).append(test)
    order = sorted(files)
    random.Random(commit).shuffle(order)
    order.sort(key=lambda file: find_package(file) not in touched)
    return [files[file][start : start + GROUP] for file in order for start in range(0, len(files[file]), GROUP)]


def find_package(file: str) -> str:
    """Return the package that ``file``, source or test, belongs to; empty where it belongs to no package."""
    found = _PACKAGE.match(file)
    return found[1] if found else ""


def run_groups(groups: Sequence[list[str]], pytest: Sequence[str], workers: int, deadline: float) -> Outcome:
    """Run one group after the other until ``deadline``, a time of ``time.monotonic``."""
    outcome = Outcome()
    for number, group in enumerate(groups, 1):
        left = deadline - time.monotonic()
        if left <= 0:
            outcome.left_out += group
            continue
        file = group[0].partition("::")[0]
        print(f"--- {number} of {len(groups)}: {file}, {len(group)} tests, {left / 60:.0f} minutes left", flush=True)
        command = [*pytest, "-v", "-m", "slow", "-n", str(min(workers, len(group))), *group]
        code, results = run_command(command, left)
        outcome.counts.update(results.values())
        if code is None:
            outcome.left_out += [test for test in group if test not in results]
        if code or {"failed", "error"} & set(results.values()):
            outcome.failed.append(file)
    return outcome


def run_command(command: Sequence[str], seconds: float) -> tuple[int | None, dict[str, str]]:
    """Run pytest and show its output; return its exit code (None after the time limit) and each test's result."""
    results: dict[str, str] = {}
    stopped = threading.Event()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # a process group of its own, so that the workers end with it
    ) as process:

        def interrupt() -> None:
            stopped.set()
            process.send_signal(signal.SIGINT)

        timers = [
            threading.Timer(seconds, interrupt),
            threading.Timer(seconds + GRACE_SECONDS, os.killpg, (process.pid, signal.SIGKILL)),
        ]
        for timer in timers:
            timer.start()
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                if found := _RESULT.search(line):
                    results[found[2]] = found[1].lower()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            for timer in timers:
                timer.cancel()
    return None if stopped.is_set() else process.returncode, results


def print_outcome(outcome: Outcome, minutes: float) -> None:
    """Print what was left out and what failed by name, and the counts in one line."""
    if outcome.left_out:
        print(f"\nLeft out after {minutes:g} minutes, {len(outcome.left_out)} tests:")
        print("\n".join(f"  {test}" for test in outcome.left_out))
    if outcome.failed:
        print("\nFailed:")
        print("\n".join(f"  {file}" for file in dict.fromkeys(outcome.failed)))
    counts = outcome.counts
    failed = counts["failed"] + counts["error"]
    print(f"\nslow: {counts['passed']} passed, {failed} failed, {counts['skipped']} skipped", flush=True)


def main(arguments: list[str]) -> int:
    """Run the tests that fit into the time; return 1 when something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=45.0, help="time limit; running tests are stopped then")
    parser.add_argument("--workers", type=int, default=2, help="number of parallel processes")
    chosen, options = parser.parse_known_args(arguments)  # remaining arguments are for pytest
    deadline = time.monotonic() + 60 * chosen.minutes
    pytest = [sys.executable, "-m", "pytest", *options]
    touched = find_touched_packages(find_base())
    tests, broken = collect_tests(pytest)
    print(f"{len(tests)} slow tests; changed packages: {', '.join(sorted(touched)) or 'none'}", flush=True)
    outcome = run_groups(make_groups(tests, touched, get_commit()), pytest, chosen.workers, deadline)
    outcome.failed += broken
    print_outcome(outcome, chosen.minutes)
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
