"""Check folders against the house rules.

Use: ``python -m script.house_rules [FOLDER_OR_FILE ...]``, from the root of the repository. Prints
``file:line: rule: message`` and exits with 1 when there is a finding. Nothing is imported from the
code under test, so a broken module is reported too, not skipped.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from script.house_rules import rules, sealed
from script.house_rules.module import Hit, Module, parse

OWN_CODE: Final = ("ragplatform", "ingest", "script", "bench", "demo")

# A rule, and the folders whose files it is meant for.
PRODUCT: Final = ("ragplatform", "ingest")
RULES: Final[tuple[tuple[Callable[[Module], Iterator[Hit]], tuple[str, ...]], ...]] = (
    (sealed.sealed_types, OWN_CODE),
    (sealed.sealed_copies, OWN_CODE),
    (rules.network_clients, PRODUCT),
    (rules.guards_in_generators, ("ragplatform/api",)),
    (rules.printing, PRODUCT),
    (rules.code_from_data, OWN_CODE),
    (rules.broad_except, OWN_CODE),
    (rules.negative_filters, ("ragplatform/adapters",)),
    (rules.text_in_messages, PRODUCT),
    (rules.vague_names, OWN_CODE),
    (rules.long_functions, OWN_CODE),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that breaks one rule."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        """Return ``file:line: rule: message``, as editors like it."""
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def check_source(source: str, path: str) -> list[Finding]:
    """Return the findings of one file; ``path`` is relative to the root, with forward slashes."""
    try:
        module = parse(source, path)
    except SyntaxError as error:
        return [Finding(path, error.lineno or 1, "syntax", "the file cannot be parsed")]
    found = {
        Finding(path, line, rule.__name__, message)
        for rule, places in RULES
        if module.within(*places)
        for line, message in rule(module)
    }
    return sorted(found, key=lambda finding: (finding.line, finding.rule))


def check_paths(root: Path, places: Iterable[str]) -> list[Finding]:
    """Return the findings of all Python files under the places; absent places hold none."""
    findings: list[Finding] = []
    for place in places:
        start = root / place
        for file in sorted(start.rglob("*.py") if start.is_dir() else [start]):
            if file.is_file():
                path = file.relative_to(root).as_posix()
                findings += check_source(file.read_text(encoding="utf-8"), path)
    return findings


def main(arguments: Sequence[str], *, root: Path) -> int:
    """Check the places named, or all of our code; return the exit code."""
    findings = check_paths(root, arguments or OWN_CODE)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], root=Path(__file__).resolve().parents[2]))
