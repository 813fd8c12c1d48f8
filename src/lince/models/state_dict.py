"""Reads published files whose tensors bear other names than ours, or hold several of ours in one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

RenameRules = tuple[tuple[re.Pattern[str], str], ...]


@dataclass(frozen=True)
class FusedTensor:
    """Tensors whose whole name is ``pattern`` hold equal pieces, one below the other, named by each of ``names``.

    Groups of the pattern stand in the names as in ``re.sub``.
    """

    pattern: re.Pattern[str]
    names: tuple[str, ...]


def compile_rules(*pairs: tuple[str, str]) -> RenameRules:
    """Return ``pairs`` of a regular expression and what stands in its place, made ready."""
    return tuple((re.compile(old), new) for old, new in pairs)


def rename_key(name: str, rename_rules: RenameRules) -> str:
    """Return ``name`` after all rules, one after the other."""
    for old, new in rename_rules:
        name = old.sub(new, name)
    return name


def split_fused_tensors(
    state: Mapping[str, Tensor], fused_tensors: Sequence[FusedTensor]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of ``state`` by name, those that are ``joined`` taken apart."""
    for name, value in state.items():
        for one in fused_tensors:
            match = one.pattern.fullmatch(name)
            if match and value.ndim and len(value) % len(one.names) == 0:
                yield from zip((match.expand(part) for part in one.names), value.chunk(len(one.names)), strict=True)
                break
        else:
            yield name, value
