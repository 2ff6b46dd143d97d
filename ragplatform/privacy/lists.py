"""The allow-lists: words that are nobody's name by themselves, and where that may be said."""

from functools import cache
from importlib.resources import files


@cache
def words(name: str) -> frozenset[str]:
    """Return the lower-case words of ``lists/<name>.txt``; lines from ``#`` on are notes."""
    text = (files("ragplatform.privacy") / "lists" / f"{name}.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.split())


def is_plain(word: str) -> bool:
    """Return whether the word alone says nothing of a person: ordinary English or clinical."""
    folded = word.lower()
    return folded in words("ordinary") or folded in words("clinical") or folded in words("eponyms")
