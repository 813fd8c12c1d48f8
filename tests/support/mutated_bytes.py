"""Test data: the bytes of a file with a piece of it replaced, repeated or dropped."""

from __future__ import annotations

from hypothesis import strategies as st


def draw_mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """Draw ``data`` with up to 30 bytes, anywhere in it, replaced by others and repeated up to four times."""

    def change(parts: tuple[int, int, bytes, int]) -> bytes:
        start, length, new, times = parts
        piece = data[start : start + length]
        return data[:start] + new + piece * times + data[start + length :]

    start = st.integers(0, len(data) - 1)
    return st.tuples(start, st.integers(0, 30), st.binary(max_size=6), st.integers(0, 4)).map(change)
