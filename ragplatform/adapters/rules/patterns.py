"""Recognisers that a deployment brings as patterns in a TOML file.

A file holds tables ``[[recogniser]]``::

    name = "badge"                      # the source that each finding names
    entity = "UNIQUE_CODE"              # one of the types of ragplatform.entities
    regex = 'B-(?P<v>\\d{6})'            # the value is the group v, or the whole match
    score = 0.6                         # 0..1
    ignore_case = false
    keywords = ["badge"]                # only where one of these stands shortly before
    context = ["employee", "staff"]     # one of these shortly before lifts the score
    finds = [{ text = "badge B-123456", value = "123456" }]
    leaves = ["badge B-12"]             # texts in which nothing may be found

Both lists of cases must hold something, hold true, and the pattern must take time by the length of
the text only, or the file is refused as a whole.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from ragplatform.adapters.rules.rule import REACH, Family, any_of, said_before, span
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import ConfigurationError
from ragplatform.model import Span

_CONTEXT_GAIN: Final = 0.35
_ESCAPED_OR_CLASS: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_UNBOUNDED: Final = re.compile(r"(?:[*+]|\{\d*,\})(?!\+)")
_TIMEOUT_S: Final = 10
# Each text is searched at one length and at four times that; a square would take sixteen times as
# long. What takes less than the floor is no stall at any growth.
_TIMER: Final = """
import json, re, sys, time
for one in json.load(sys.stdin):
    pattern = re.compile(one["regex"], re.IGNORECASE if one["ignore_case"] else 0)
    slow = False
    for head, unit in one["repeated"]:
        took = []
        for length in (5000, 20000):
            text = (head + unit * length)[:length] + chr(0)
            best = 9e9
            for _ in range(2):
                began = time.process_time()
                for found in pattern.finditer(text): pass
                best = min(best, time.process_time() - began)
            took.append(best)
        slow = slow or (took[1] > 0.05 and took[1] > 9 * took[0])
    print(json.dumps(slow), flush=True)
"""


@dataclass(frozen=True, slots=True)
class PatternRecogniser:
    """One table of the file."""

    name: str
    entity: str
    regex: str
    score: float
    finds: tuple[tuple[str, str], ...]
    leaves: tuple[str, ...]
    ignore_case: bool = False
    keywords: tuple[str, ...] = ()
    context: tuple[str, ...] = ()

    def find(self, text: str) -> Iterator[Span]:
        """Yield what the pattern finds in the text."""
        pattern = re.compile(self.regex, re.IGNORECASE if self.ignore_case else 0)
        group = "v" if "v" in pattern.groupindex else 0
        context = any_of(" ".join(word.replace(" ", "_") for word in self.context) or "\0")
        for found in self._candidates(pattern, text):
            start, end = found.span(group)
            if 0 <= start < end:
                gain = _CONTEXT_GAIN if said_before(context, text, start) else 0.0
                yield span(start, end, self.entity, min(1.0, self.score + gain), self.name)

    def _candidates(self, pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
        if not self.keywords:
            yield from pattern.finditer(text)
            return
        at = 0
        keywords = any_of(" ".join(word.replace(" ", "_") for word in self.keywords))
        for keyword in keywords.finditer(text):
            for found in pattern.finditer(text, max(at, keyword.start())):
                if found.start() > keyword.end() + REACH:
                    break
                yield found
                at = found.end()


def load_patterns(path: Path) -> Family:
    """Return the file's recognisers as a family of rules.

    Raises ``ConfigurationError`` with every problem that ``check_patterns`` names.
    """
    recognisers, problems = _read(path)
    problems += _wrong_cases(recognisers) if not problems else []
    problems += _slow(recognisers) if not problems else []
    if problems:
        raise ConfigurationError(f"{path} is refused: " + "; ".join(problems))
    return Family(
        path.stem,
        finders=tuple(one.find for one in recognisers),
        finds=tuple(sorted({one.entity for one in recognisers})),
    )


def check_patterns(path: Path) -> list[str]:
    """Return what is wrong with a file of patterns, one sentence each; nothing when it is sound."""
    recognisers, problems = _read(path)
    return problems or _wrong_cases(recognisers) or _slow(recognisers)


def _read(path: Path) -> tuple[list[PatternRecogniser], list[str]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("recogniser", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        return [], [f"it cannot be read: {error}"]
    if not isinstance(tables, list) or not tables:
        return [], ["it holds no [[recogniser]]"]
    recognisers: list[PatternRecogniser] = []
    problems: list[str] = []
    for place, table in enumerate(tables, 1):
        try:
            recognisers.append(_recogniser(table))
        except (ConfigurationError, re.error) as error:
            problems.append(f"{table.get('name', f'recogniser {place}')}: {error}")
    names = [one.name for one in recognisers]
    problems += [
        f"{name}: the name stands twice" for name in {n for n in names if names.count(n) > 1}
    ]
    return recognisers, problems


def _recogniser(table: dict[str, object]) -> PatternRecogniser:
    known = {field.name for field in fields(PatternRecogniser)}
    if unknown := sorted(set(table) - known):
        raise ConfigurationError(f"unknown keys {', '.join(unknown)}")
    name, entity, regex, score = (table.get(key) for key in ("name", "entity", "regex", "score"))
    if not isinstance(name, str) or not isinstance(regex, str):
        raise ConfigurationError("name and regex are texts that must be given")
    if not isinstance(entity, str) or entity not in CATEGORY_OF:
        raise ConfigurationError(f"entity {entity!r} is no type of ragplatform.entities")
    if not isinstance(score, int | float) or not 0 < score <= 1:
        raise ConfigurationError("score must be a number over 0 and up to 1")
    finds, leaves = table.get("finds", []), _texts(table, "leaves")
    if not isinstance(finds, list) or not finds or not leaves:
        raise ConfigurationError("finds and leaves must each hold a case")
    pairs = [(one.get("text"), one.get("value")) for one in finds if isinstance(one, dict)]
    cases = [
        (text, value) for text, value in pairs if isinstance(text, str) and isinstance(value, str)
    ]
    if len(cases) < len(finds):
        raise ConfigurationError("each case of finds is a table of text and value")
    re.compile(regex)
    if _UNBOUNDED.search(_ESCAPED_OR_CLASS.sub("x", regex)):
        raise ConfigurationError("a repetition has no bound: write {0,40} in place of * and +")
    return PatternRecogniser(
        name,
        entity,
        regex,
        float(score),
        tuple(cases),
        leaves,
        table.get("ignore_case") is True,
        _texts(table, "keywords"),
        _texts(table, "context"),
    )


def _texts(table: dict[str, object], key: str) -> tuple[str, ...]:
    listed = table.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise ConfigurationError(f"{key} is a list of texts")
    return tuple(listed)


def _wrong_cases(recognisers: Sequence[PatternRecogniser]) -> list[str]:
    problems: list[str] = []
    for one in recognisers:
        for place, (text, value) in enumerate(one.finds, 1):
            if value not in {text[found.start : found.end] for found in one.find(text)}:
                problems.append(f"{one.name}: case {place} of finds does not find its value")
        for place, text in enumerate(one.leaves, 1):
            if any(True for _ in one.find(text)):
                problems.append(f"{one.name}: case {place} of leaves finds something")
    return problems


def _slow(recognisers: Sequence[PatternRecogniser]) -> list[str]:
    """Return the patterns whose time grows faster than the text.

    They run in a process of their own: nothing else can stop a pattern that runs on.
    """
    asked = [
        {"regex": one.regex, "ignore_case": one.ignore_case, "repeated": _hostile(one)}
        for one in recognisers
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _TIMER],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S * (1 + len(asked)),
        )
        verdicts = done.stdout.splitlines()
    except subprocess.TimeoutExpired as error:
        # Bytes here, whatever was asked for, or nothing.
        verdicts = (error.stdout or b"").decode().splitlines()
    slow = [
        one.name for one, verdict in zip(recognisers, verdicts, strict=False) if verdict == "true"
    ]
    slow += [one.name for one in recognisers[len(verdicts) : len(verdicts) + 1]]
    return [f"{name}: its time grows faster than the text" for name in slow]


def _hostile(one: PatternRecogniser) -> list[tuple[str, str]]:
    """Return what a text may start with, and what it may then repeat."""
    pattern = re.compile(one.regex, re.IGNORECASE if one.ignore_case else 0)
    matches = [found[0] for text, _ in one.finds for found in pattern.finditer(text)]
    singles = sorted({char for match in matches for char in match} | set("a1A-. "))
    nearly = [match[:-1] for match in matches if len(match) > 1]
    heads = ["", *dict.fromkeys(matches[:2])]
    units = dict.fromkeys([*matches, *nearly, *singles, "a1", "A-", "1.", "a "])
    return [(head, unit) for head in heads for unit in units]
