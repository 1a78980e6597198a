"""Text out of files, made harmless to look at: nothing in it can hide, reorder or rewrite what stands beside it."""

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
"""Controls, formats (bidi overrides among them), half characters, unassigned and private ones, separators of lines."""
_JOINERS = "\u200c\u200d"
"""Formats that belong to the spelling of Persian words, and to emoji."""


def plain(text: str, most: int = 0) -> str:
    r"""`text` on one line, with an escape such as `\n` or `\u202e` for each character that cannot be seen.

    With `most`, no more than that many characters of it, and how many were left out.
    """
    shown = text[:most] if most else text
    left = len(text) - len(shown)
    seen = shown if shown.isprintable() else "".join(map(_visible, shown))
    return f"{seen}… ({left:,} more characters)" if left else seen


def _visible(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _INVISIBLE:
        return character
    return character.encode("ascii", "backslashreplace").decode() if ord(character) > 127 else _ascii(character)


def _ascii(character: str) -> str:
    return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character, f"\\x{ord(character):02x}")
