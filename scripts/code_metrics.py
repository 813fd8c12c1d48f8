"""Code metrics of src/lince (names, sizes, docstrings, task branches), each with a limit; exit code 1 beyond one.

``python scripts/code_metrics.py`` prints the metrics; ``--list`` adds what they count, with file and
line. ``./check metrics`` runs it. It needs the standard library alone.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "lince"

# Folders for the code of one task are named as the modules of ``tasks``, which holds the registry of all tasks.
_TASK_MODULES = [path for path in (PACKAGE / "tasks").glob("*.py") if path.stem not in ("__init__", "task")]
TASK_FOLDERS = {"tasks", *(path.stem for path in _TASK_MODULES)}
TASK_NAMES = {name for path in _TASK_MODULES for name in re.findall(r'^    name = "(\w+)"$', path.read_text(), re.M)}
_TASK_CLASS = re.compile(r"(Classification|Classifier|Classified|Detection|Detector|Detected)[A-Za-z]*$")
_TASK_CONSTANT = re.compile(r"_?(CLASSIFY|DETECT)(_TASK)?$")
_TASK_QUESTION = re.compile(r"((is|has|holds|finds)_(classif|detect)\w*|(holds|finds)_objects|detects)$")
_TASK_IN_SCRIPT = re.compile(
    r"""\.task\b\s*[!=]==?|[!=]==?\s*["'](classify|detect)["']|(objects|label|classes) === undefined"""
    r"""|record\??\.(objects|classes)\s*(\)|&&|\?|;)"""
)
_CLASS_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module


@dataclass(frozen=True)
class Place:
    """A line of a file, or a whole file (line 0), with its text."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.path.relative_to(ROOT)}:{self.line}" if self.line else str(self.path.relative_to(ROOT))
        return f"{where}  {self.text}"


@dataclass(frozen=True)
class Metric:
    """One metric with its limit: a maximum, or a minimum where ``is_minimum``."""

    label: str
    value: float
    limit: float
    unit: str = ""
    is_minimum: bool = False
    places: tuple[Place, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the value is within its limit."""
        return self.value >= self.limit if self.is_minimum else self.value <= self.limit

    def format_line(self) -> str:
        """Return value, limit and verdict as one line."""
        sign = ">=" if self.is_minimum else "<="
        value = f"{self.value:.2f}".rstrip("0").rstrip(".")
        verdict = "ok    " if self.holds else "BEYOND"
        return f"{verdict}  {self.label}: {value}{self.unit} ({sign} {self.limit:g}{self.unit})"


@dataclass
class Counts:
    """Counts over all files of the package."""

    functions: list[Place] = field(default_factory=list)
    classes: list[Place] = field(default_factory=list)
    modules: list[Place] = field(default_factory=list)
    task_branches: list[Place] = field(default_factory=list)
    body_lengths: list[int] = field(default_factory=list)
    file_lengths: list[int] = field(default_factory=list)
    documented_lines: int = 0
    code_lines: int = 0

    def add_file(self, path: Path) -> None:
        """Add the counts of the Python file ``path``."""
        text = path.read_text("utf-8")
        tree, lines = ast.parse(text), text.splitlines()
        self.file_lengths.append(len(lines))
        if path.stem != "__init__":
            self.modules.append(Place(path, 0, path.stem))
        self._add_public_names(path, tree)
        self._add_lines(tree, lines)
        if not TASK_FOLDERS & set(path.relative_to(PACKAGE).parts[:-1]):
            numbers = find_task_branches(tree)
            self.task_branches += [Place(path, number, lines[number - 1].strip()) for number in sorted(numbers)]

    def _add_public_names(self, path: Path, tree: ast.Module) -> None:
        for node in tree.body:
            if isinstance(node, Function) and not node.name.startswith("_"):
                self.functions.append(Place(path, node.lineno, node.name))
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                self.classes.append(Place(path, node.lineno, node.name))

    def _add_lines(self, tree: ast.Module, lines: list[str]) -> None:
        documented = 0
        for node in ast.walk(tree):
            if not isinstance(node, Documented):
                continue
            docstring = node.body[0] if ast.get_docstring(node) is not None else None
            documented += count_lines([docstring]) if docstring else 0
            if isinstance(node, Function):
                self.body_lengths.append(count_lines(node.body[1:] if docstring else node.body))
        self.documented_lines += documented
        self.code_lines += sum(1 for line in lines if line.strip() and not line.strip().startswith("#")) - documented


def count_lines(statements: list[ast.stmt]) -> int:
    """Return the number of lines from the first of ``statements`` to the end of the last."""
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def find_task_branches(tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that branch on the task."""
    nodes = list(ast.walk(tree))
    tests = [node.test for node in nodes if isinstance(node, ast.If | ast.IfExp | ast.While)]
    asked = [part for test in tests for part in ast.walk(test) if _is_question(part)]
    found = [node for node in nodes if _compares_tasks(node) or _asks_for_class(node)]
    return {node.lineno for node in (*found, *asked) if isinstance(node, ast.expr | ast.pattern)}


def _compares_tasks(node: ast.AST) -> bool:
    """Return whether ``node`` compares a task's name or class, or looks something up by a task's name."""
    match node:
        case ast.Compare(left=left, comparators=others):
            parts = [part for one in (left, *others) for part in _iter_parts(one)]
            return any(_is_task_name(part) or _is_task_class(part) for part in parts)
        case ast.MatchValue(value=value):
            return _is_task_name(value)
        case ast.Dict(keys=keys):
            return any(key is not None and _is_task_name(key) for key in keys)
    return False


def _asks_for_class(node: ast.AST) -> bool:
    """Return whether ``node`` tests for a class of one task, or calls a function that does."""
    match node:
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
            return any(map(_is_task_class, _iter_parts(kinds)))
        case ast.Call(func=function):
            return _TASK_QUESTION.match(_get_name(function)) is not None
        case ast.MatchClass(cls=kind):
            return _is_task_class(kind)
    return False


def _iter_parts(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the members of a tuple, a list, a set or a union; any other node is its own only part."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        yield from node.elts
    elif isinstance(node, ast.BinOp):
        yield from _iter_parts(node.left)
        yield from _iter_parts(node.right)
    else:
        yield node


def _get_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_task_class(node: ast.expr) -> bool:
    return _TASK_CLASS.match(_get_name(node)) is not None


def _is_task_name(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in TASK_NAMES
    inner = node.value if isinstance(node, ast.Attribute) and node.attr == "name" else node
    return _TASK_CONSTANT.match(_get_name(inner)) is not None


def _is_question(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and _TASK_QUESTION.match(node.attr) is not None


def count_package() -> Counts:
    """Return the counts over the Python files of the package."""
    counts = Counts()
    for path in sorted(PACKAGE.rglob("*.py")):
        counts.add_file(path)
    return counts


def find_script_branches() -> list[Place]:
    """Return the lines of the page's JavaScript that branch on the task; they have no limit."""
    return [
        Place(path, number, line.strip())
        for path in sorted(PACKAGE.rglob("*.js"))
        if path.stem not in TASK_FOLDERS
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if _TASK_IN_SCRIPT.search(line)
    ]


def make_metrics(counts: Counts) -> list[Metric]:
    """Return the metrics of ``counts`` with their limits."""
    short_functions = [place for place in counts.functions if "_" not in place.text]
    short_classes = [place for place in counts.classes if len(_CLASS_WORD.findall(place.text)) == 1]
    verbs = [place for place in counts.modules if re.search(r"(ing|ed)$", place.text)]
    ninetieth = sorted(counts.body_lengths)[int(0.9 * len(counts.body_lengths))]
    return [
        make_share("public functions of one word", short_functions, counts.functions, 25),
        make_share("public classes of one word", short_classes, counts.classes, 35),
        make_share("modules named -ing or -ed", verbs, counts.modules, 3),
        Metric("docstring lines per line of code", counts.documented_lines / counts.code_lines, 0.25, is_minimum=True),
        Metric("lines of a function's body, 90th percentile", ninetieth, 16),
        Metric("lines of the longest file", max(counts.file_lengths), 400),
        Metric(
            "lines that branch on the task outside its folders",
            len(counts.task_branches),
            6,
            places=tuple(counts.task_branches),
        ),
    ]


def make_share(label: str, part: Iterable[Place], whole: list[Place], limit: float) -> Metric:
    """Return the percentage of ``whole`` that ``part`` makes up, as a metric."""
    places = tuple(part)
    return Metric(f"{label}, of {len(whole)}", 100 * len(places) / max(1, len(whole)), limit, " %", places=places)


def main() -> int:
    """Print the metrics; return 1 when one of them is beyond its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="also print the names and lines that are counted")
    is_full = parser.parse_args().list
    metrics = make_metrics(count_package())
    for metric in metrics:
        print(metric.format_line())
        for place in metric.places if is_full else ():
            print(f"          {place}")
    branches = find_script_branches()
    print(f"        lines of the page's scripts that branch on the task: {len(branches)} (no limit)")
    for place in branches if is_full else ():
        print(f"          {place}")
    return 0 if all(metric.holds for metric in metrics) else 1


if __name__ == "__main__":
    raise SystemExit(main())
