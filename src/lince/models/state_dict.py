"""Renames and splits the tensors of published state dicts that use other names than this implementation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

RenameRules = tuple[tuple[re.Pattern[str], str], ...]


@dataclass(frozen=True)
class FusedTensor:
    """A tensor in a file that holds several of ours, of equal size, concatenated along the first axis.

    ``pattern`` matches its full name; each of ``names`` is the template of one part's name, with groups of the pattern
    as in ``re.sub``.
    """

    pattern: re.Pattern[str]
    names: tuple[str, ...]


def compile_rules(*pairs: tuple[str, str]) -> RenameRules:
    """Return compiled rules from ``pairs`` of a regular expression and its replacement."""
    return tuple((re.compile(old), new) for old, new in pairs)


def rename_key(name: str, rename_rules: RenameRules) -> str:
    """Return ``name`` after applying all rules in order; each replaces every match."""
    for old, new in rename_rules:
        name = old.sub(new, name)
    return name


def split_fused_tensors(
    state: Mapping[str, Tensor], fused_tensors: Sequence[FusedTensor]
) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, tensor) of ``state``, with tensors that match one of ``fused_tensors`` split into their parts.

    A scalar, or a tensor whose first axis cannot be divided equally, is yielded as it is.
    """
    for name, value in state.items():
        for fused in fused_tensors:
            match = fused.pattern.fullmatch(name)
            if match and value.ndim and len(value) % len(fused.names) == 0:
                yield from zip((match.expand(part) for part in fused.names), value.chunk(len(fused.names)), strict=True)
                break
        else:
            yield name, value
