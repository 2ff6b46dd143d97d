"""Commands on personal data: find it in texts, and take it out of them."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.markup import escape

from ragplatform import openers
from ragplatform.commands import bulk, console, texts
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import ConfigurationError, DetectorError, PlatformError
from ragplatform.model import Json, Labels, Mode, Span
from ragplatform.privacy.gate import Inspector
from ragplatform.privacy.verdict import Verdict, verdict

app = typer.Typer(help="Find personal data, and take it out.", no_args_is_help=True)

Collection = Annotated[
    str | None, typer.Option(help="Apply the rules of this collection; default: the general ones.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line for each file.")]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which findings are reported: of these types, and certain enough.

    Without ``min_score`` the thresholds of ``privacy.toml`` decide, as they do in ingest.
    """

    inspector: Inspector
    collection: str | None
    types: frozenset[str]
    min_score: float | None

    def verdict(self, span: Span) -> Verdict:
        """Return what the rules say about the finding."""
        return verdict(self.inspector.rules, span, self.collection)

    def reports(self, span: Span) -> bool:
        """Return whether the finding is reported."""
        if self.types and span.entity not in self.types:
            return False
        if self.min_score is not None:
            return span.score >= self.min_score
        return self.verdict(span).counts

    def find(self, batch: Sequence[str]) -> list[list[Span]]:
        """Return what is reported of each text, in order."""
        found = self.inspector.inspect(batch)
        return [[span for span in spans if self.reports(span)] for spans in found]


@app.command("scan")
def scan(
    files: Annotated[
        list[str] | None, typer.Argument(help="Text files; - is standard input.")
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(help='Bulk: a file of lines {"id", "text"}; - is standard input.'),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the lines of --jsonl here, not to standard output.")
    ] = None,
    collection: Collection = None,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Report from this score on, not by the rules' thresholds."),
    ] = None,
    types: Annotated[str, typer.Option(help="Only these types, comma-separated.")] = "",
    explain: Annotated[
        bool, typer.Option(help="Say why each was found, and what the rules do with it.")
    ] = False,
    show_values: Annotated[bool, typer.Option(help="Show the values themselves.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find personal data in texts. Needs no deployment; nothing is written down.

    Exit code 0: none found, 1: some found, 2: something could not be searched. With --jsonl, 0:
    every line was answered, 2: not all were; then the lines written are right as far as they go.
    """
    with console.exits():
        console.require(bool(files) != bool(jsonl), "give files to scan, or --jsonl and one file")
        console.require(jsonl is not None or output is None, "--output goes with --jsonl")
        alone = not (explain or show_values)
        console.require(jsonl is None or alone, "--jsonl tells offsets alone, and no values")
        inspector = openers.open_inspector(console.settings())
        selection = Selection(inspector, collection, _types(types), min_score)
        if jsonl is not None:
            _scan_lines(jsonl, output, selection)
            return
    show = _Show(selection, explain=explain, values=show_values)
    verdicts = [_scan_file(name, show, as_json=as_json) for name in files or []]
    if not as_json:
        show.table()
    if code := max(verdicts):
        raise typer.Exit(code)


def _types(given: str) -> frozenset[str]:
    names = frozenset(part.strip().upper() for part in given.split(",") if part.strip())
    unknown = sorted(names - set(CATEGORY_OF))
    console.require(not unknown, f"--types: {', '.join(unknown)} is none of {sorted(CATEGORY_OF)}")
    return names


def _scan_file(name: str, show: "_Show", *, as_json: bool) -> int:
    """Scan one file and return its exit code; one that fails does not hide the others."""
    try:
        text = texts.read_text(name)
        [spans] = show.selection.inspector.inspect([text])
    except DetectorError as error:
        return _failed(DetectorError(f"{name}: {error}"))
    except PlatformError as error:
        return _failed(error)
    lines = list(show.lines(name, text, spans))
    if as_json:
        console.print_json({"file": name, "characters": len(text), "spans": lines})
    found = any(map(show.selection.reports, spans))
    return console.EXIT_BAD if found else 0


def _failed(error: PlatformError) -> int:
    console.err.print(f"error ({error.code}): {error}", markup=False)
    return console.EXIT_UNABLE


class _Show:
    """Collects what is shown of findings."""

    def __init__(self, selection: Selection, *, explain: bool, values: bool) -> None:
        self.selection = selection
        self._explain = explain
        self._values = values
        self._rows: list[tuple[str, ...]] = []

    def lines(self, name: str, text: str, spans: Sequence[Span]) -> Iterator[Json]:
        """Yield each finding as JSON and remember it as a row of the table.

        An explanation also lists what was found and left alone, and says so.
        """
        places = texts.Places(text)
        types = self.selection.types
        for span in spans:
            reported = self.selection.reports(span)
            if not reported and not (self._explain and (not types or span.entity in types)):
                continue
            line, column = places.at(span.start)
            found: dict[str, Json] = {
                **bulk.span_json(span),
                "line": line,
                "column": column,
                "recogniser": span.source,
            }
            row = [name, f"{line}:{column}", span.entity, str(span.category)]
            row += [f"{span.score:.2f}", span.source]
            if self._explain:
                said = self.selection.verdict(span)
                word, proven = openers.reason(text, span)
                found["explanation"] = {
                    "context": word,
                    "check_holds": proven,
                    "threshold": said.threshold,
                    "reaches_threshold": said.counts,
                    "reported": reported,
                    "mode": str(said.mode),
                    "rule": said.line,
                }
                row += [_printable(word), "holds" if proven else "", f"{said.threshold:.2f}"]
                row += [str(said.mode) if reported else "left", said.line]
            if self._values:
                found["value"] = text[span.start : span.end]
                row.append(_printable(text[span.start : span.end]))
            self._rows.append(tuple(map(escape, row)))
            yield found

    def table(self) -> None:
        """Print all rows."""
        columns = ["file", "line", "type", "category", "score", "recogniser"]
        if self._explain:
            columns += ["context", "check", "acts from", "mode", "by"]
        columns += ["value"] if self._values else []
        if self._rows:
            console.table(columns, self._rows)
        else:
            console.out.print("no personal data found")


def _printable(value: str) -> str:
    # A value may hold sequences that a terminal would obey.
    return "".join(c if c.isprintable() else " " for c in value)


def _scan_lines(name: str, output: Path | None, selection: Selection) -> None:
    with _writer(output) as out, _progress() as told:
        for line in bulk.answers(texts.read_lines(name), selection.find, told):
            out.write(line)


@contextmanager
def _writer(path: Path | None) -> Iterator[TextIO]:
    """Yield where lines go: the file, or standard output. All of them are there in the end."""
    try:
        if path is None:
            yield sys.stdout
            sys.stdout.flush()
            return
        with path.open("w", encoding="utf-8") as file:
            yield file
    except BrokenPipeError:
        raise  # the reader has seen enough, which is no failure of ours
    except OSError as error:
        where = path or "standard output"
        raise ConfigurationError(f"{where}: cannot be written ({error.strerror})") from error


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Yield what tells how many texts are done, on standard error if that is a terminal."""
    if not console.err.is_terminal:
        yield lambda done: None
        return
    with console.err.status("loading") as status:
        yield lambda done: status.update(f"{done:,} texts searched")


class RedactMode(StrEnum):
    """What stands in place of a value: its type, or what the deployment's rules say."""

    MASK = "mask"
    POLICY = "policy"


@app.command("redact")
def redact(
    file: Annotated[str, typer.Argument(help="A text file; - is standard input.")],
    mode: Annotated[
        RedactMode, typer.Option(help="mask: [TYPE]; policy: as in an index of this deployment.")
    ] = RedactMode.MASK,
    collection: Collection = None,
    tenant: Annotated[
        str | None, typer.Option(help="With --mode policy: whose pseudonyms to write.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the text here, not to standard output.")
    ] = None,
) -> None:
    """Write a text without its personal data, in UTF-8. What was done is told by counts.

    Masks need no deployment. Pseudonyms need its keys; the values behind them are not kept.
    Exit code 1: a rule keeps such a text out, and nothing was written. 2: it was not searched.
    """
    with console.exits():
        settings = console.settings()
        text = texts.read_text(file)
        if mode is RedactMode.POLICY:
            console.require(bool(tenant and collection), "give --tenant and --collection")
            labels = Labels(tenant or "", collection or "")
            result = openers.redact_by_policy(settings, text, labels)
            done, reason = result.text, result.quarantine
            counts: Counter[Mode] = Counter()
            for (_, how), count in result.methods.items():
                counts[how] += count
        else:
            inspector = openers.open_inspector(settings)
            [spans] = inspector.inspect([text])
            done, reason = inspector.masked(text, spans, collection), None
            counts = Counter({Mode.MASK: len(inspector.acted_on(spans, collection))})
        if reason is None:
            with _writer(output) as out:
                out.write(done)
    if reason is not None:
        console.err.print(f"not written: {reason}", markup=False)
        raise typer.Exit(console.EXIT_BAD)
    said = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)
    console.err.print(said or "no personal data found", markup=False)
