"""Whether a passage says a sentence, judged by rules that share no code with the product's checks.

Stricter than those: a sentence that is not in the passage word for word, but for masks, must have
every figure and every capitalised word in it, a negation where it negates, and four in five of its
longer words, all in one stretch of the passage that is at most three times as long.
"""

import re

_MARK = re.compile(r"\s*\[(?:\d{1,3}|unsupported)\]\s*$")
_MASK = re.compile(r"[\w-]*\[[A-Z][A-Z0-9_]*\][\w-]*")
_LED = re.compile(r"^(?:Also|In addition|Further|But another passage says):\s+")
_WORD = re.compile(r"[^\W_]+(?:[.,:'’-][^\W_]+)*")
_NOT = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|cannot|denies|denied|\w+n['’]t)\b", re.I
)
_ENOUGH = 0.8
_ROOT = 5
_SHORT = 4
_STEP = 3


def bare(sentence: str) -> str:
    """Return the sentence without its citation mark and without the words that join it."""
    return _LED.sub("", _MARK.sub("", sentence.strip())).strip()


def says(passage: str, sentence: str) -> bool:
    """Return whether the passage says the sentence."""
    claim = bare(sentence)
    # A mask says less than the passage, and nothing else.
    if all(_flat(part) in _flat(passage) for part in _MASK.split(claim)):
        return True
    words = _WORD.findall(claim)
    there = _WORD.findall(passage)
    length = min(len(there), 3 * max(len(words), 8))
    return any(
        _in(words, claim, there[at : at + length])
        # In steps, the last of which reaches the passage's last word.
        for at in range(0, max(1, len(there) - length + _STEP), _STEP)
    )


def _in(words: list[str], claim: str, stretch: list[str]) -> bool:
    text = " ".join(stretch)
    held = {word.lower() for word in stretch}
    exact = [w for w in words[1:] if w[0].isupper()] + [w for w in words if w[0].isdigit()]
    if not all(word.lower() in held for word in exact):
        return False
    if len(_NOT.findall(claim)) > 0 and not _NOT.search(text):
        return False
    roots = {word[:_ROOT] for word in held}
    long = [word.lower() for word in words if len(word) >= _SHORT]
    return sum(word[:_ROOT] in roots for word in long) >= _ENOUGH * len(long)


def _flat(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
