"""What a reader sees of a text: characters that show nothing, and letters that look like others.

A document can carry words to a model, and a model can carry words out, in characters that nobody
sees; a link can be spelt with letters of another alphabet.
"""

import re
import unicodedata
from typing import Final

# Controls, format characters (zero width, bidirectional controls, tags that spell whole sentences
# unseen), private use, half characters, line separators. Then those that are letters, marks or
# symbols by their category and show nothing all the same: fillers, the blank of Braille, variation
# selectors, of which there are enough to spell any byte.
_UNSEEN: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160"
    r"\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    r"\U0001d159\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)
# More marks on one letter than any script sets are drawn over the lines around it.
_MARK: Final = r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_STACKED: Final = re.compile(rf"({_MARK}{{4}}){_MARK}+")
# Source: Unicode UTS 39, confusables, as far as links and orders are spelt with them.
_LOOK_ALIKES: Final = str.maketrans(
    dict(
        pair.split("=")
        for pair in (
            "а=a б=b в=b е=e ё=e з=3 і=i ї=i ј=j к=k м=m н=h о=o р=p с=c т=t у=y х=x ѕ=s ԁ=d ԛ=q "
            "ԝ=w һ=h ҽ=e ӏ=l ɡ=g α=a β=b ε=e ι=i κ=k ν=v ο=o ρ=p τ=t υ=u χ=x ω=w օ=o ս=u ո=n հ=h "
            "ց=g ı=i ℓ=l ∕=/ ⁄=/ ⧸=/ ⟋=/ ։=: ꞉=: ∶=: ․=. 。=. ‥=.. ⧵=\\ ∖=\\ ＠=@"
        ).split()
    )
)


def visible(text: str) -> str:
    """Return the text without what no reader would see. A visible text comes back as it is."""
    if text.isascii() and text.isprintable():
        return text
    return _STACKED.sub(r"\1", _UNSEEN.sub("", text))


def hides(text: str) -> bool:
    """Return whether the text holds anything that ``visible`` takes out."""
    return visible(text) != text


def folded(text: str) -> str:
    """Return the text as it looks, in small letters: what orders and links are looked for in.

    Letters of other alphabets become the Latin ones that they look like, so words of those
    alphabets do not survive; offsets do not either.
    """
    seen = unicodedata.normalize("NFKC", visible(text)).casefold()
    if seen.isascii():
        return seen
    bare = unicodedata.normalize("NFD", seen.translate(_LOOK_ALIKES))
    return "".join(c for c in bare if not unicodedata.combining(c))
