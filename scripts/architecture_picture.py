"""Draw docs/pictures/architecture.svg: the packages of lince in their layers, with the imports between them.

The layers are those of the contract in pyproject.toml; the imports are read from the source, those for type checkers
left out. An import that a chain of other arrows already implies is not drawn. Uses the standard library alone, and
writes the same bytes for the same source.

python scripts/architecture_picture.py          write the picture
python scripts/architecture_picture.py --check  exit with 1 when the picture in docs/ is not current
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lince"
PICTURE = ROOT / "docs" / "pictures" / "architecture.svg"

ROOM_HEIGHT, ROW_HEIGHT, MARGIN = 26, 62, 16
LANE_WIDTH, GAP = 12.0, 18.0  # width of a line that passes through a layer; gap between two neighbours of a layer
CHARACTER_WIDTH = 7.4  # pixels of one character of a name
SWEEPS = 24  # passes over the layers to order them; twice as many to place them
STRAIGHTNESS = 6  # weight of the next piece of the same line, relative to other neighbours
STYLE = """
  text { font: 13px "DejaVu Sans", Verdana, Arial, sans-serif; fill: #1c2430; text-anchor: middle; }
  text.note { font-size: 12px; fill: #4a5563; text-anchor: start; }
  rect.layer { fill: #f7f9fb; }
  rect.package { fill: #eef2f7; stroke: #7d8a9c; }
  rect.torch { fill: #fdebd8; stroke: #c77d2e; }
  path.import { fill: none; stroke: #8793a5; stroke-width: 1.2; }
  path.head { fill: #5b6779; }
"""

Edges = dict[str, set[str]]
# A node of a layer: a package, or a line that passes through (its target, and the layer).
Node = tuple[str, int]


@dataclass(frozen=True)
class Graph:
    """The packages in ``layers``, top first, the imports of each, and the arrows left after transitive reduction."""

    layers: list[list[str]]
    imports: Edges
    arrows: Edges
    may_import_torch: frozenset[str]


def read_graph() -> Graph:
    """Return the packages and imports of the current source tree."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = parse_layers(next(item["layers"] for item in contracts if item["type"] == "layers"))
    packages = {name for layer in layers for name in layer}
    imports = {package: read_imports(SOURCE, package) & packages - {package} for package in sorted(packages)}
    light = next(item["source_modules"] for item in contracts if "torch" in item.get("forbidden_modules", ()))
    free = {name.removeprefix("lince.") for name in light}
    heavy = {package for package in packages if package not in free and imports_torch(package, imports)}
    return Graph(layers, imports, reduce_edges(imports), frozenset(heavy))


def parse_layers(lines: Iterable[str]) -> list[list[str]]:
    """Return the package names of each layer of an import-linter contract, top first; packages not built left out."""
    layers = [[name.strip(" ()") for name in line.replace(":", "|").split("|")] for line in lines]
    return [found for layer in layers if (found := [name for name in layer if _package_files(SOURCE, name)])]


def read_imports(source: Path, package: str) -> set[str]:
    """Return the packages of lince that the modules of ``package`` import when they are run."""
    found: set[str] = set()
    for path in _package_files(source, package):
        found.update(imported_packages(ast.parse(path.read_text("utf-8"))))
    return found


def imported_packages(tree: ast.AST) -> Iterator[str]:
    """Yield the packages of lince that ``tree`` imports; the names after ``from lince import`` are taken for such."""
    for node in _runtime_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("lince."))
        elif isinstance(node, ast.ImportFrom) and node.module == "lince":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lince."):
            yield (node.module or "").split(".")[1]


def imports_torch(package: str, imports: Edges) -> bool:
    """Return whether ``package`` imports torch, by itself or through the packages below it."""
    below = reachable(package, imports) | {package}
    files = (path for name in sorted(below) for path in _package_files(SOURCE, name))
    return any(_names_torch(path.read_text("utf-8")) for path in files)


def reachable(package: str, edges: Edges) -> set[str]:
    """Return the nodes that are reachable from ``package`` along ``edges``."""
    found: set[str] = set()
    queue = [package]
    while queue:
        new = edges.get(queue.pop(), set()) - found
        found |= new
        queue += sorted(new)
    return found


def reduce_edges(edges: Edges) -> Edges:
    """Return the edges of a graph without cycles that no chain of other edges implies (its transitive reduction)."""
    below = {package: reachable(package, edges) for package in edges}
    return {
        package: {target for target in targets if not any(target in below.get(other, ()) for other in targets)}
        for package, targets in edges.items()
    }


def _package_files(source: Path, package: str) -> list[Path]:
    single = source / f"{package}.py"
    return [single] if single.is_file() else sorted((source / package).rglob("*.py"))


def _names_torch(text: str) -> bool:
    return any(line.split()[1].split(".")[0] == "torch" for line in text.splitlines() if _is_import(line))


def _is_import(line: str) -> bool:
    return line.startswith(("import ", "from "))


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below ``tree``, except those under ``if TYPE_CHECKING:``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            continue
        yield node
        yield from _runtime_nodes(node)


@dataclass(frozen=True)
class Layout:
    """The layout: the nodes of each row in order, the lines between rows, and the x of each node's centre."""

    rows: list[list[Node]]
    links: list[tuple[Node, Node]]
    x: dict[Node, float]
    width: float


def lay_out(graph: Graph) -> Layout:
    """Return the layout: rows ordered so that few lines cross, then placed so that lines are nearly straight.

    All lines to one package run together (a layered drawing after Sugiyama, Tagawa and Toda 1981).
    """
    rows, links = _make_rows(graph)
    rows = _order_rows(rows, links)
    x = _place_rows(rows, links)
    left = min(x[node] - _node_width(node, rows) / 2 for node in x)
    shifted = {node: round(value - left + MARGIN, 1) for node, value in x.items()}
    return Layout(rows, links, shifted, max(shifted[node] + _node_width(node, rows) / 2 for node in x) + MARGIN)


def _make_rows(graph: Graph) -> tuple[list[list[Node]], list[tuple[Node, Node]]]:
    level = {name: number for number, layer in enumerate(graph.layers) for name in layer}
    rows: list[list[Node]] = [[(name, number) for name in layer] for number, layer in enumerate(graph.layers)]
    links: set[tuple[Node, Node]] = set()
    for source in sorted(graph.arrows, key=lambda name: (level[name], name)):
        for target in sorted(graph.arrows[source]):
            path: list[Node] = [(source, level[source])]
            path += [(target, number) for number in range(level[source] + 1, level[target] + 1)]
            for node in path[1:-1]:
                if node not in rows[node[1]]:
                    rows[node[1]].append(node)
            links.update(pairwise(path))
    return rows, sorted(links)


def _order_rows(rows: list[list[Node]], links: Sequence[tuple[Node, Node]]) -> list[list[Node]]:
    """Return the rows in the best order found by sorting each row by its neighbours' mean position, down and up."""
    upper, lower = _neighbours(links)
    best = rows = [list(row) for row in rows]
    fewest = count_crossings(rows, links)
    for sweep in range(SWEEPS):
        neighbours, order = (upper, range(1, len(rows))) if sweep % 2 == 0 else (lower, range(len(rows) - 2, -1, -1))
        rows = [list(row) for row in rows]
        for number in order:
            place = _fractions(rows)
            rows[number].sort(key=lambda node: _mean([place[other] for other in neighbours.get(node, [])], place[node]))
        crossings = count_crossings(rows, links)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def count_crossings(rows: Sequence[Sequence[Node]], links: Iterable[tuple[Node, Node]]) -> int:
    """Return how many pairs of lines cross between neighbouring rows."""
    place = {node: number for row in rows for number, node in enumerate(row)}
    by_row: dict[int, list[tuple[int, int]]] = {}
    for start, end in links:
        by_row.setdefault(start[1], []).append((place[start], place[end]))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for pairs in by_row.values()
        for number, one in enumerate(pairs)
        for other in pairs[:number]
    )


def _place_rows(rows: Sequence[Sequence[Node]], links: Sequence[tuple[Node, Node]]) -> dict[Node, float]:
    upper, lower = _neighbours(links)
    x: dict[Node, float] = {}
    for row in rows:
        x.update(zip(row, _spread([0.0] * len(row), row, rows), strict=True))
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [
                _mean([x[other] for other in _pull(node, upper.get(node, []) + lower.get(node, []))], x[node])
                for node in row
            ]
            x.update(zip(row, _spread(wanted, row, rows), strict=True))
    return x


def _spread(wanted: Sequence[float], row: Sequence[Node], rows: Sequence[Sequence[Node]]) -> list[float]:
    """Return the positions nearest to ``wanted`` (least squares) at which the nodes of ``row`` do not overlap."""
    widths = [_node_width(node, rows) for node in row]
    offsets = list(accumulate(((one + other) / 2 + GAP for one, other in pairwise(widths)), initial=0.0))
    blocks: list[tuple[float, int]] = []  # mean and count: the pool-adjacent-violators algorithm
    for value, offset in zip(wanted, offsets, strict=True):
        mean, count = value - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, number = blocks.pop()
            mean, count = (mean * count + before * number) / (count + number), count + number
        blocks.append((mean, count))
    flat = [mean for mean, count in blocks for _repeat in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]


def _pull(node: Node, neighbours: Sequence[Node]) -> list[Node]:
    """Return ``neighbours``, with those on the same line repeated, so that long lines become straight."""
    return [other for other in neighbours for _repeat in range(STRAIGHTNESS if other[0] == node[0] else 1)]


def _neighbours(links: Iterable[tuple[Node, Node]]) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    upper: dict[Node, list[Node]] = {}
    lower: dict[Node, list[Node]] = {}
    for start, end in links:
        upper.setdefault(end, []).append(start)
        lower.setdefault(start, []).append(end)
    return upper, lower


def _fractions(rows: Iterable[Sequence[Node]]) -> dict[Node, float]:
    return {node: (number + 0.5) / len(row) for row in rows for number, node in enumerate(row)}


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _node_width(node: Node, rows: Sequence[Sequence[Node]]) -> float:
    return _package_width(node[0]) if _is_package(node, rows) else LANE_WIDTH


def _is_package(node: Node, rows: Sequence[Sequence[Node]]) -> bool:
    """Return whether ``node`` is a package itself: the line to it passes through higher layers only."""
    return not any((node[0], number) in rows[number] for number in range(node[1] + 1, len(rows)))


def _package_width(name: str) -> float:
    return CHARACTER_WIDTH * len(_label(name)) + 22


def _label(name: str) -> str:
    return f"{name}.py" if (SOURCE / f"{name}.py").is_file() else name


def draw(graph: Graph) -> str:
    """Return the picture as SVG."""
    layout = lay_out(graph)
    width, height = round(layout.width), MARGIN + ROW_HEIGHT * len(layout.rows) + 44
    packages = [node for row in layout.rows for node in row if _is_package(node, layout.rows)]
    notes = _notes(graph)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<title>The packages of lince and the imports between them</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(
            f'<rect class="layer" y="{_row_y(row) - 8}" width="{width}" height="{ROOM_HEIGHT + 16}"/>'
            for row in range(len(layout.rows))
        ),
        *_draw_lines(layout),
        *(_draw_package(node, layout, graph) for node in packages),
        *(
            f'<text class="note" x="{MARGIN}" y="{height - 18 * (len(notes) - number)}">{escape(note)}</text>'
            for number, note in enumerate(notes)
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _notes(graph: Graph) -> list[str]:
    drawn, all_imports = (sum(map(len, edges.values())) for edges in (graph.arrows, graph.imports))
    return [
        f"A → B: A imports B. Drawn are {drawn} of {all_imports} imports; the others follow from these.",
        "Orange: needs PyTorch for part of its work. Everything else runs without.",
    ]


def _draw_lines(layout: Layout) -> Iterator[str]:
    starts = _start_points(layout)
    for start, end in layout.links:
        top, bottom = _row_y(start[1]), _row_y(end[1])
        y = top + ROOM_HEIGHT
        target = layout.x[end]
        middle = (y + bottom) / 2
        tail = f"M{starts[start, end]:.1f} {y} C{starts[start, end]:.1f} {middle} {target:.1f} {middle} {target:.1f}"
        if _is_package(end, layout.rows):
            yield f'<path class="import" d="{tail} {bottom - 6}"/>'
            yield f'<path class="head" d="M{target:.1f} {bottom} l-4 -8 h8 z"/>'
        else:
            yield f'<path class="import" d="{tail} {bottom} v{ROOM_HEIGHT}"/>'


def _start_points(layout: Layout) -> dict[tuple[Node, Node], float]:
    """Return the start x of each line on the lower side of its package; lines of one package fan out."""
    points = {}
    _upper, lower = _neighbours(layout.links)
    for start, ends in lower.items():
        package = _package_width(start[0]) * 0.7 if _is_package(start, layout.rows) else 0.0
        ordered = sorted(ends, key=lambda node: layout.x[node])
        for number, end in enumerate(ordered):
            points[start, end] = layout.x[start] + package * ((number + 0.5) / len(ordered) - 0.5)
    return points


def _draw_package(node: Node, layout: Layout, graph: Graph) -> str:
    name, row = node
    width, y = _package_width(name), _row_y(row)
    kind = "package torch" if name in graph.may_import_torch else "package"
    tip = f"{name} imports {', '.join(sorted(graph.imports[name])) or 'no other package of lince'}"
    return (
        f'<g><title>{escape(tip)}</title><rect class="{kind}" x="{layout.x[node] - width / 2:.1f}" y="{y}" '
        f'width="{width:.1f}" height="{ROOM_HEIGHT}" rx="5"/>'
        f'<text x="{layout.x[node]:.1f}" y="{y + 18}">{escape(_label(name))}</text></g>'
    )


def _row_y(row: int) -> int:
    return MARGIN + ROW_HEIGHT * row


def main(arguments: Sequence[str]) -> int:
    """Write the picture, or check it; return the exit code."""
    if list(arguments) not in ([], ["--check"]):
        print(__doc__)
        return 2
    picture = draw(read_graph())
    current = PICTURE.is_file() and PICTURE.read_text("utf-8") == picture
    if not arguments:
        PICTURE.write_text(picture, "utf-8", newline="\n")
        print(f"{PICTURE.relative_to(ROOT)}: {'as it was' if current else 'written'}")
        return 0
    if current:
        print("The picture is current.")
        return 0
    print(f"{PICTURE.relative_to(ROOT)} is not current; run: python scripts/architecture_picture.py")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
