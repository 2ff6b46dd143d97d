"""What counts as found, and the rates that follow."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.privacy.examples import Example, Gold

Finding = tuple[int, int, str]


@dataclass
class Tally:
    """What one detector did on one set, counted by gold's types and by the detector's.

    A gold span is hit when any finding overlaps it, and full when findings cover all its letters
    and digits, whatever type they name. A finding is right when it overlaps any gold; one that
    touches only neutral places is not counted.
    """

    seen: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    full: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    missed: list[tuple[Example, Gold]] = field(default_factory=list)
    false: list[tuple[Example, Finding]] = field(default_factory=list)

    def add(self, example: Example, findings: Sequence[Finding]) -> None:
        """Count one text."""
        covered = _marked(len(example.text), findings)
        for gold in example.gold:
            start, end, kind = gold
            self.seen[kind] += 1
            if any(covered[start:end]):
                self.hit[kind] += 1
            else:
                self.missed.append((example, gold))
            letters = (at for at in range(start, end) if example.text[at].isalnum())
            self.full[kind] += all(covered[at] for at in letters)
        wanted = _marked(len(example.text), example.gold)
        neutral = _marked(len(example.text), example.neutral)
        for finding in findings:
            start, end, kind = finding
            if any(wanted[start:end]):
                self.right[kind] += 1
            elif any(neutral[start:end]):
                continue
            else:
                self.false.append((example, finding))
            self.findings[kind] += 1

    @property
    def recall(self) -> float:
        """The share of gold spans that any finding overlaps."""
        return self.hit.total() / max(self.seen.total(), 1)

    @property
    def full_recall(self) -> float:
        """The share of gold spans that findings cover."""
        return self.full.total() / max(self.seen.total(), 1)

    @property
    def precision(self) -> float:
        """The share of findings that overlap gold; 1 when nothing was found."""
        return self.right.total() / self.findings.total() if self.findings else 1.0

    @property
    def f2(self) -> float:
        """The harmonic mean that weighs recall twice as much as precision."""
        return 5 * self.precision * self.recall / max(4 * self.precision + self.recall, 1e-9)

    def figures(self) -> dict[str, object]:
        """Return all rates, as plain data."""
        return {
            "recall": round(self.recall, 4),
            "full_recall": round(self.full_recall, 4),
            "precision": round(self.precision, 4),
            "f2": round(self.f2, 4),
            "gold": self.seen.total(),
            "findings": self.findings.total(),
            "by_gold_type": {
                kind: {
                    "gold": count,
                    "recall": round(self.hit[kind] / count, 4),
                    "full_recall": round(self.full[kind] / count, 4),
                }
                for kind, count in sorted(self.seen.items())
            },
            "by_found_type": {
                kind: {"findings": count, "precision": round(self.right[kind] / count, 4)}
                for kind, count in sorted(self.findings.items())
            },
        }


def tally(examples: Sequence[Example], answers: Sequence[Sequence[Finding]]) -> Tally:
    """Return the count over a set; answers are in the order of the examples."""
    result = Tally()
    for example, answer in zip(examples, answers, strict=True):
        result.add(example, answer)
    return result


def _marked(length: int, ranges: Sequence[tuple[int, int, str]]) -> bytearray:
    marks = bytearray(length)
    for start, end, _ in ranges:
        marks[start:end] = b"\1" * (end - start)
    return marks


def shown(example: Example, place: tuple[int, int, str], around: int = 45) -> Iterator[str]:
    """Yield a place with the words around it, on one line, for reading on a terminal."""
    start, end, kind = place
    text = example.text
    parts = (text[max(0, start - around) : start], text[start:end], text[end : end + around])
    before, value, after = (" ".join(part.split(" ")).replace("\n", "⏎") for part in parts)
    yield f"{kind:<22} {before}⟦{value}⟧{after}"
