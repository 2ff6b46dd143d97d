"""The wall at every exit: whatever a model wrote, no answer holds anything that a click could send.

A passage can order the model to put what it read into the address of an image, and the reader's
screen would fetch it. No model is trusted to refuse, and no guess about its intentions is made
here: what could be followed, fetched, run or unseen has a form, and what has the form stays in.

1. ``fault`` judges one sentence before it is taken, against the evidence that it cites.
2. ``Leak`` reads all that the model writes, for words that stand in its instructions alone.
3. ``Wall`` reads the answer once more as it leaves, after pseudonyms became values.
"""

import base64
import codecs
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from ragplatform.privacy.tokens import entity_of, tokens_in
from ragplatform.privacy.visible import folded, hides

# Each is looked for in the text as it stands and as it looks, in small letters.
_LINK: Final = re.compile(
    # A scheme, also with blanks where a reader would not mind them; an address without one.
    r"[a-z][a-z0-9+.-]{1,20}\s?:\s?/\s?/|//\w|\\\\\w"
    r"|\b(?:mailto|javascript|vbscript|tel|sms|ftp|file|cid|xmpp|skype|magnet|intent|blob):(?=\S)"
    r"|\bdata:\s?(?:[a-z]+/[a-z]|[^\s,]{0,60};\s?base64)"
    r"|\bwww\d?\.(?=\S)"
    # A host with a path, a port or a query behind it.
    r"|\b[\w-]{1,63}\.[a-z]{2,24}(?:/|\?[\w%]|:\d{2,5}\b)"
)
_MARKUP: Final = re.compile(
    # Images, links and their definitions in Markdown and in wikis; HTML; TeX; fences.
    r"!\[|\]\(|\]\[|\[\[|^\s{0,3}\[[^\]\n]{1,99}\]:\s?\S+\s*$|&#|&[a-z]{2,30};|```|~~~"
    # A tag; "age <or = 40" is none, and is written so.
    r"|<[/!?]|<[a-z][\w-]*\s?/?>|<[a-z][^<>]{0,300}\b(?:on\w+|src|href|style|action)\s?="
    r"|<(?:a|img|svg|math|script|style|iframe|object|embed|form|input|button|link|meta|base|video|"
    r"audio|source|track|details|marquee|body|html|template|table|textarea|select|frame\w*)\b"
    r"|<[^\s<>]{1,64}@|<[a-z][a-z0-9+.-]{1,20}:"
    r"|\\(?:href|url|html\w*|includegraphics|input)\b|\burl\(|@import",
    re.M,
)
_CALL: Final = re.compile(
    # Calls of tools, and the marks by which chats and agents tell who speaks.
    r"\{\s*[\"'][^\"'\n]{1,60}[\"']\s*:|<\||\|>|\[/?(?:inst|sys|tool_calls?|available_tools)\]"
    r"|\[\w{2,40}\([^)\n]{0,200}\)\]|^\s*action(?: input)?\s*:|\bfunctions?\.\w+\s?\("
    r"|^\s*(?:system|assistant|developer|tool)\s*:",
    re.M,
)
# A pseudonym may end in a digit too; only a number by itself is what is left of a mark.
_BROKEN_MARK: Final = re.compile(r"\[\W*\d|(?<!\w)\d{1,3}\W*\]")
# What clients make a link of although no scheme says so. Of a passage it may be quoted; a model
# that could spell one of its own would put what it read into it.
_HOST: Final = re.compile(r"(?<![\w.-])(?:[\w-]{1,63}\.)+[a-z]{2,24}\b")
_MAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*")
_PHONE: Final = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){6,14}")
_DATE: Final = re.compile(r"\b(?:\d{4}-\d\d-\d\d|\d\d?[/.-]\d\d?[/.-]\d{2,4})\b")
# Nobody reads these, so what they say is for a machine. The longest common words of medicine have
# about 24 letters, and those that stand in the evidence are free.
_BLOB: Final = re.compile(
    r"(?<![a-z0-9+/_=-])[a-z0-9+/_=-]{25,}|(?:%[0-9a-f]{2}){3,}|(?:\\[xu]\{?[0-9a-f]{2,6}\}?){2,}"
    r"|(?<![^\W_])(?:[^\W_][ .*_-]{1,2}){7,}[^\W_](?![^\W_])"
)
_OURS: Final = re.compile(r"\[[A-Z][A-Z0-9_]*(?::[a-z2-7]{16})?\]")
# No form that never leaves can do without one of these: most sentences are done with here.
_SUSPECT: Final = re.compile(r"[:/\\[\]<>&`~{|!?@]|www|url\(|action|functions?\.", re.I)
# What a mask or a value makes of brackets that stood around it: a link of "[PERSON](ward 3)", one
# of "<[EMAIL_ADDRESS:...]>". A blank between them makes none.
_BRACKET: Final = r"\](?=[(\[])|<(?=[^\s<>]{1,64}@)"
_BRACKET_BEFORE: Final = re.compile(_BRACKET)
# A link that is left out of a quote leaves the sign of a gap: no word is added to the source's.
_GAP: Final = "(...)"
_BARE: Final = (
    r"(?:\b[a-z][a-z0-9+.-]{1,20}://|//(?=[\w-]{1,63}\.[a-z])|\bwww\d?\.)"
    r"[^\s()<>\"'\[\]{}|]*(?<![.,;:!?])"
)
_ADDRESS: Final = re.compile(rf"\({_BARE}\)|<{_BARE}>|{_BARE}", re.I)
# What is a link by two characters that stand side by side, in mails, tables and wikis, is none with
# a blank between them: "Ward <ann@ward.org>", "[[]]", "SHOP.COM/CHARGE", "Tel:617".
_JOINTS: Final = re.compile(
    rf"{_BRACKET}|\[(?=\[)|&(?=[a-z]{{2,30}};)|/(?=/\w)"
    r"|\b(?:mailto|tel|sms|file):(?=\S)"
    r"|\b[\w-]{1,63}\.[a-z]{2,24}(?=/|\?[\w%]|:\d{2,5}\b)",
    re.I,
)
_OWN_MARK: Final = re.compile(r"\[(\d{1,3})\]")

# Consonants without a figure that looks like them: no word holds eight in a row, and letters
# spelt as figures are none of these.
_LETTERS: Final = "cdfhjkmnpqrvwx"
_CANARY: Final = 12
# Eight of them are as telling as all: 14 ** 8 is over 10 ** 9.
_TELLING: Final = 8
_NOT_ALNUM: Final = re.compile(r"[\W_]+")
# How much of what left is read again with what follows: longer than any form above up to the
# place where it is known.
_REREAD: Final = 80


def fault(text: str, evidence: str, reveals: Iterable[str] = ()) -> str | None:
    """Return why a sentence may not be part of an answer, or None.

    ``evidence`` is what it cites; what reads like an address, a number to call or a code may be
    repeated from there. ``reveals`` are the types of pseudonyms that will become values. A quote is
    its own evidence.
    """
    if hides(text):
        return "hidden"
    if "URL" in reveals and any(entity_of(token) == "URL" for token in tokens_in(text)):
        return "link"
    found = _form(text)
    if found or text == evidence:
        return found
    if ("[" in text or "]" in text) and _BROKEN_MARK.search(text):
        return "broken_mark"
    return _unfounded(_OURS.sub(" ", text), evidence)


def inert(text: str) -> str:
    """Return a passage's words as an answer may quote them, if ``fault`` finds nothing in them.

    Links are left out, and what two characters side by side make a link gets a blank between them.
    A paper's reference mark like [12] would read as a citation of ours that points nowhere: it is
    set in parentheses. No word is added, and what nobody writes to people is left as it is.
    """
    if not _SUSPECT.search(text):
        return text
    without = _OWN_MARK.sub(r"(\1)", _ADDRESS.sub(_GAP, text))
    return _JOINTS.sub(lambda found: f"{found[0]} ", without)


def carries(value: str) -> bool:
    """Return whether a value may not become part of an answer, whoever may see it."""
    return hides(value) or _form(value) is not None


def _form(text: str) -> str | None:
    """Return which form that never leaves is in the text, or None."""
    plain = text.isascii() and "\\" not in text
    if plain and not _SUSPECT.search(text):
        return None
    views = (text.casefold(),) if plain else (text.casefold(), folded(text.replace("\\", "")))
    for view in views:
        for name, form in (("link", _LINK), ("markup", _MARKUP), ("call", _CALL)):
            if form.search(view):
                return name
    return None


def _unfounded(text: str, evidence: str) -> str | None:
    """Return what the text holds of the forms that only evidence may bring in, or None."""
    shown, known = folded(_DATE.sub(" ", text)), folded(evidence)
    for name, form in (("link", _HOST), ("link", _MAIL), ("encoded", _BLOB)):
        if any(found[0] not in known for found in form.finditer(shown)):
            return name
    digits = re.sub(r"\D", "", known)
    numbers = (re.sub(r"\D", "", found[0]) for found in _PHONE.finditer(shown))
    return "link" if any(number not in digits for number in numbers) else None


def canary(key: bytes, scope: str) -> str:
    """Return the word that stands in the instructions of one scope and nowhere else.

    The same for equal rights, so that the model server's prefix cache still serves them.
    """
    digest = hmac.new(key, b"canary:" + scope.encode(), hashlib.sha256).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_CANARY])


class Leak:
    """Reads what a model writes for its canary: plain, spaced, reversed, shifted or encoded.

    Not for two texts. What is read is bounded by the length of a needle, not by the text's.
    """

    def __init__(self, word: str) -> None:
        self._needles = _needles(word)
        self._longest = max(map(len, self._needles))
        self._tail = ""

    def found_in(self, piece: str) -> bool:
        """Take the next piece; return whether the word, or most of it, has been written."""
        read = self._tail + _NOT_ALNUM.sub("", folded(piece))
        self._tail = read[-self._longest :]
        return any(needle in read for needle in self._needles)


# A pure function of a scope's word, of which there is one for each set of rights.
@lru_cache(maxsize=256)
def _needles(word: str) -> frozenset[str]:
    parts = {word[at : at + _TELLING] for at in range(len(word) - _TELLING + 1)}
    return frozenset(needle for part in parts for needle in _spellings(part))


def _spellings(part: str) -> Iterator[str]:
    """Yield the ways to write a few letters, as small letters and digits alone."""
    raw = part.encode()
    yield part
    yield part[::-1]
    yield codecs.encode(part, "rot13")
    for step in range(1, 26):
        yield "".join(chr((ord(c) - 97 + step) % 26 + 97) for c in part)
    yield raw.hex()
    yield part.upper().encode().hex()
    yield "".join(str(byte) for byte in raw)
    yield "".join(f"{byte:08b}" for byte in raw)
    for before in range(3):
        # Where in a longer text it stands shifts the bits; the edges depend on the neighbours.
        coded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        yield _NOT_ALNUM.sub("", coded[before + 1 if before else 0 : -2]).casefold()
    for before in range(5):
        coded = base64.b32encode(b"\0" * before + raw).decode().rstrip("=")
        yield coded[-(-before * 8 // 5) : -2].casefold()


class Wall:
    """Reads one answer as it leaves, over the edges of its pieces. Not for two answers."""

    def __init__(self, word: str) -> None:
        """``word`` is the canary of the instructions."""
        self._leak = Leak(word)
        self._tail = ""

    def mended(self, text: str) -> str:
        """Return the next piece so that a mask or a value beside a bracket makes no link."""
        if self._tail.endswith("]") and text[:1] in {"(", "["}:
            text = f" {text}"
        if self._tail.endswith("<") and text[:1].isalnum():
            text = f" {text}"
        return _BRACKET_BEFORE.sub(lambda found: f"{found[0]} ", text)

    def stops(self, text: str) -> str | None:
        """Take the next piece; return why it may not leave, or None."""
        read = self._tail + text
        self._tail = read[-_REREAD:]
        if hides(text):
            return "hidden"
        return "canary" if self._leak.found_in(text) else _form(read)
