"""Training texts without end: templates filled with invented values, real prose, annotated texts."""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from train import corpora
from train.corpora import IGNORE, Labelled
from train.values import Values

TEMPLATES: Final = Path(__file__).parent / "templates"
# What of all texts comes from where. Court judgments are few and long: they come again and again.
_SHARES: Final = {
    "mixed": 0.62, "borrowed": 0.10, "court": 0.09, "spanish": 0.03, "messages": 0.06, "prose": 0.10,
}  # fmt: skip
_KINDS: Final = {
    "chat": 6, "clinic": 6, "finance": 4, "forms": 5, "legal": 2, "plain": 6,
}  # fmt: skip
_PIECE: Final = re.compile(r"\\(.)|\{([a-z_]+)\}|([()|])", re.DOTALL)
_LONGEST: Final = 1000


class Template:
    """One line of a template file: slots, choices, and text."""

    def __init__(self, line: str, values: Values) -> None:
        self._values = values
        self._parts = _Reader(line).sequence()
        unknown = set(_slots(self._parts)) - values.known()
        if unknown:
            raise ValueError(f"template {line!r} has unknown slots {sorted(unknown)}")

    def fill(self, chance: random.Random) -> Labelled:
        """Return one text made from the template."""
        text, spans = "", []
        for kind, content in _chosen(self._parts, chance):
            if kind == "text":
                text += content
                continue
            for value, label in self._values.make(content):
                if label:
                    spans.append((len(text), len(text) + len(value), label))
                text += value
        return Labelled(text, tuple(spans))


class _Reader:
    """Reads a template into nested sequences: text, slot, or a choice between sequences."""

    def __init__(self, line: str) -> None:
        self._pieces = list(self._split(line))
        self._at = 0
        self._depth = 0

    @staticmethod
    def _split(line: str) -> Iterator[tuple[str, str]]:
        done = 0
        for found in _PIECE.finditer(line):
            if found.start() > done:
                yield "text", line[done : found.start()]
            done = found.end()
            if found[1]:
                yield "text", {"n": "\n", "t": "\t"}.get(found[1], found[1])
            elif found[2]:
                yield "slot", found[2]
            else:
                yield "mark", found[3]
        if done < len(line):
            yield "text", line[done:]

    def sequence(self) -> list:
        parts: list = []
        while self._at < len(self._pieces):
            kind, content = self._pieces[self._at]
            if kind == "mark" and content != "(":
                if self._depth:
                    return parts
                kind = "text"
            self._at += 1
            parts.append(("choice", self._choice()) if kind == "mark" else (kind, content))
        return parts

    def _choice(self) -> list:
        self._depth += 1
        options = [self.sequence()]
        while self._at < len(self._pieces) and self._pieces[self._at] == ("mark", "|"):
            self._at += 1
            options.append(self.sequence())
        self._at += 1
        self._depth -= 1
        return options


def _slots(parts: Sequence) -> Iterator[str]:
    for kind, content in parts:
        if kind == "slot":
            yield content
        elif kind == "choice":
            for option in content:
                yield from _slots(option)


def _chosen(parts: Sequence, chance: random.Random) -> Iterator[tuple[str, str]]:
    for kind, content in parts:
        if kind == "choice":
            yield from _chosen(chance.choice(content), chance)
        else:
            yield kind, content


class Texts:
    """An endless, seeded supply of labelled texts of up to about ``_LONGEST`` characters."""

    def __init__(self, data: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        values = Values(seed)
        self._templates = {
            kind: [Template(line, values) for line in _template_lines(TEMPLATES / f"{kind}.txt")]
            for kind in _KINDS
        }
        self._borrowed = [Template(line, values) for line in corpora.borrowed_templates(data)]
        self._court = [part for one in corpora.court_judgments(data) for part in _cut(one)]
        self._spanish = [part for one in corpora.spanish_cases(data) for part in _cut(one)]
        self._messages = corpora.short_messages(data)
        self._prose = corpora.carriers(data)

    def __iter__(self) -> Iterator[Labelled]:
        while True:
            kind = self._chance.choices(list(_SHARES), list(_SHARES.values()))[0]
            yield _rewritten(getattr(self, f"_make_{kind}")(), self._chance)

    def _make_mixed(self) -> Labelled:
        """Return some templates and sentences of prose, one after the other."""
        length = self._chance.choice([1, 1, 1, 2, 2, 3, 4, 6, 8])
        parts = []
        kind = self._chance.choices(list(_KINDS), list(_KINDS.values()))[0]
        for _ in range(length):
            if self._chance.random() < 0.25:
                kind = self._chance.choices(list(_KINDS), list(_KINDS.values()))[0]
            if self._chance.random() < 0.2:
                parts.append(self._chance.choice(self._prose))
            else:
                parts.append(self._chance.choice(self._templates[kind]).fill(self._chance))
        return _joined(parts, self._chance)

    def _make_borrowed(self) -> Labelled:
        return self._chance.choice(self._borrowed).fill(self._chance)

    def _make_court(self) -> Labelled:
        return self._chance.choice(self._court)

    def _make_spanish(self) -> Labelled:
        return self._chance.choice(self._spanish)

    def _make_messages(self) -> Labelled:
        count = self._chance.choice([1, 1, 2, 3])
        return _joined(self._chance.sample(self._messages, count), self._chance)

    def _make_prose(self) -> Labelled:
        start = self._chance.randrange(len(self._prose))
        return _joined(self._prose[start : start + self._chance.randint(1, 5)], self._chance)


def _template_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _joined(parts: Sequence[Labelled], chance: random.Random) -> Labelled:
    text, spans = "", []
    joint = chance.choice([" ", " ", " ", "\n", "\n", "\n\n"])
    for part in parts:
        if text and len(text) + len(part.text) > _LONGEST:
            break
        at = len(text) + (len(joint) if text else 0)
        text = f"{text}{joint}{part.text}" if text else part.text
        spans += [(start + at, end + at, label) for start, end, label in part.spans]
    return Labelled(text, tuple(spans))


def _cut(one: Labelled) -> Iterator[Labelled]:
    """Yield a long text in parts that end at a line or a sentence and inside no span."""
    start = 0
    while start < len(one.text):
        end = min(len(one.text), start + _LONGEST)
        if end < len(one.text):
            ends = [found.end() + start for found in re.finditer(r"\n|[.;] ", one.text[start:end])]
            free = [e for e in ends if not any(s < e < t for s, t, _ in one.spans)]
            end = free[-1] if free else end
        inside = [(s - start, e - start, k) for s, e, k in one.spans if start <= s and e <= end]
        yield Labelled(one.text[start:end], tuple(inside))
        start = end


def _rewritten(one: Labelled, chance: random.Random) -> Labelled:
    """Return the text as careless people write it, now and then; offsets stay."""
    kind = chance.random()
    text = one.text
    if kind < 0.10:
        text = _same_length(text, str.lower)
    elif kind < 0.13:
        text = _same_length(text, str.upper)
    elif kind < 0.15:
        text = _same_length(text, lambda char: " " if char == "\n" else char)
    elif kind < 0.19:
        # Only the names lose their capitals.
        letters = list(text)
        for start, end, label in one.spans:
            if label in {"PERSON", "LOCATION", "ORGANIZATION"}:
                letters[start:end] = _same_length(text[start:end], str.lower)
        text = "".join(letters)
    return Labelled(text, one.spans)


def _same_length(text: str, change) -> str:
    return "".join(new if len(new := change(char)) == 1 else char for char in text)


__all__ = ["IGNORE", "Labelled", "Template", "Texts"]
