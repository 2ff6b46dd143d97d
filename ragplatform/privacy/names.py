"""What the parts of a person's name are, as charts, letters and statements write them."""

import re
from dataclasses import dataclass
from typing import Final

TITLES: Final = frozenset(
    "dr doctor mr mrs ms miss mx prof professor sir dame rev fr sr herr frau dott dra sra señor "
    "señora mme mlle monsieur madame lord lady judge".split()
)
CREDENTIALS: Final = frozenset(
    "md m.d do d.o phd ph.d rn np pa pa-c dds dmd dvm esq cpa jd mph mba facp facs lpn bsn".split()
)
GENERATIONS: Final = frozenset("jr sr ii iii iv".split())
# They belong to the family name and are nobody's name by themselves.
PARTICLES: Final = frozenset(
    "van von der den de del della di da dos das du la le el al bin ibn ben ter ten zu zur y e "
    "and &".split()
)
_WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_POSSESSIVE: Final = re.compile(r"['’]s$|(?<=s)['’]$", re.I)
_MOST_WORDS: Final = 7


@dataclass(frozen=True, slots=True)
class Name:
    """A person's name; ``given`` are first and middle names or initials, as they were written.

    ``family`` is the last word of the family name; the only word of a name of one word.
    """

    given: tuple[str, ...]
    family: str

    @property
    def initials(self) -> str:
        """The first letters of the given names, in lower case and in order."""
        return "".join(word[0] for word in self.given).lower()


def parse(value: str) -> Name | None:
    """Return the parts of a name, or None when it is no name of one person.

    "Smith, John A., M.D.", "Dr. John A. Smith" and "SMITH^JOHN^A" have the same parts.
    """
    value = _POSSESSIVE.sub("", value.strip())
    parts = [part.split() for part in re.split(r",|\^(?!\^)", value) if part.strip("^ \t\r\n")]
    while len(parts) > 1 and all(_bare(word) in CREDENTIALS | GENERATIONS for word in parts[-1]):
        parts.pop()
    if not parts or len(parts) > (5 if "^" in value else 2):
        return None
    family = _words(parts[0])
    if len(parts) > 1:
        given = [word for part in parts[1:] for word in _words(part)]
    else:
        family, given = family[-1:], family[:-1]
    if not family or len(given) > _MOST_WORDS:
        return None
    return Name(tuple(given), family[-1])


def _words(words: list[str]) -> list[str]:
    """Return the words that are names: no titles before, no credentials behind, no particles."""
    left = list(words)
    while left and _bare(left[0]) in TITLES:
        left.pop(0)
    while len(left) > 1 and _bare(left[-1]) in CREDENTIALS | GENERATIONS:
        left.pop()
    # "J.A." is two initials.
    parts = [match[0] for word in left for match in _WORD.finditer(word)]
    return [word for word in parts if word[0].isalpha() and word.lower() not in PARTICLES]


def _bare(word: str) -> str:
    return word.strip(".,").casefold()
