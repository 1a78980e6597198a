"""Words that every page needs: lists and numbers of things."""

from collections.abc import Sequence


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def counted(count: int, word: str, plural: str = "") -> str:
    """`1 seed`, `2 seeds`, `12,000 frames`."""
    return f"{count:,} {word if count == 1 else plural or word + 's'}"
