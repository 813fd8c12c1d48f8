"""Make ``src/lince/models/timm.csv``, the table of timm's backbones that lince reads without timm or torch.

check      compare the table with the installed timm; exit code 1 and a diff where they differ
write      replace the table

One row for each published weight of each architecture in the installed timm, whose exact version ``constraints.txt``
pins. Run ``write`` after changing that pin, and read the diff: licences and repositories are part of it.

Rows are in timm's natural order of architectures (``resnet18`` before ``resnet101``); within one, the default weights
come first, the others in natural order of their tags. An architecture for which timm names no source of weights has
one row with an empty tag. Columns:

name            architecture, as ``timm.create_model`` takes it
tag             name of the weights, without the architecture; empty where timm publishes none
size            longer side of the input, in pixels, at which the weights are evaluated
normalisation   a key of ``registry.NORMALISATIONS``, or the mean and the standard deviation of red, green and blue in
                0..1, six significant digits, separated by spaces
licence         as timm states it; ``unknown`` where it states none, ``none`` where there are no weights
repository      on the Hugging Face hub; empty for ``timm/NAME.TAG``, ``-`` where the hub has none
"""

from __future__ import annotations

import csv
import difflib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import timm
from timm.models import PretrainedCfg, get_arch_pretrained_cfgs, get_pretrained_cfg

from lince.models.classification.registry import NORMALISATIONS

TABLE = Path(__file__).resolve().parents[1] / "src" / "lince" / "models" / "timm.csv"
COLUMNS = ("name", "tag", "size", "normalisation", "licence", "repository")
_NO_REPOSITORY = "-"
_NAME_BY_VALUES = {tuple(map(float, values.split())): name for name, values in NORMALISATIONS.items()}
Row = tuple[str, str, int, str, str, str]


def make_table() -> str:
    """Return the table of the installed timm as CSV text."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name in timm.list_models():
        writer.writerows(_rows_of_architecture(name))
    return stream.getvalue()


def _rows_of_architecture(name: str) -> Iterator[Row]:
    """Yield the rows of the architecture ``name``, its default weights first."""
    default = get_pretrained_cfg(name)
    if not default.has_weights:
        yield name, "", max(default.input_size[1:]), _format_normalisation(default), "none", _NO_REPOSITORY
        return
    configs = get_arch_pretrained_cfgs(name)
    tags = [full_name.partition(".")[2] for full_name in timm.list_pretrained(name)]
    for tag in sorted(tags, key=lambda tag: tag != default.tag):
        config = configs[f"{name}.{tag}"]
        licence, repository = config.license or "unknown", config.hf_hub_id or _NO_REPOSITORY
        if repository in ("timm/", f"timm/{name}.{tag}"):
            repository = ""
        yield name, tag, max(config.input_size[1:]), _format_normalisation(config), licence, repository


def _format_normalisation(config: PretrainedCfg) -> str:
    """Return the name of the mean and standard deviation of ``config``, or the six numbers."""
    values = (*config.mean, *config.std)
    return _NAME_BY_VALUES.get(values) or " ".join(f"{value:.6g}" for value in values)


def compare_with_file() -> list[str]:
    """Return the unified diff from the file to the table of the installed timm; empty where they are equal."""
    old, new = TABLE.read_text("utf-8").splitlines(), make_table().splitlines()
    return list(difflib.unified_diff(old, new, str(TABLE), f"timm {timm.__version__}", lineterm="", n=0))


def main(arguments: list[str]) -> int:
    """Run the command line ``arguments``; return the exit code."""
    if arguments == ["check"]:
        difference = compare_with_file()
        print("\n".join(difference) if difference else f"The table is that of timm {timm.__version__}.")
        return 1 if difference else 0
    if arguments == ["write"]:
        TABLE.write_text(make_table(), "utf-8", newline="\n")
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
