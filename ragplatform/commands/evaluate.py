"""Evaluations: questions with known answers, asked through the gate, and reported as figures."""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.progress import Progress

from ragplatform import egress, openers, wiring
from ragplatform.commands import console
from ragplatform.commands.ask import KEY_VARIABLE
from ragplatform.commands.eval_asking import InProcess, OverHttp
from ragplatform.errors import ConfigurationError
from ragplatform.evaluation import chart
from ragplatform.evaluation.judging import METRICS, Judged, judge
from ragplatform.evaluation.questions import EvalQuestion, read_questions
from ragplatform.evaluation.summary import (
    Difference,
    Run,
    compare,
    read_run,
    run_of,
    write_run,
)
from ragplatform.model import Json, Purpose

T = TypeVar("T")

_LIMIT: Final = re.compile(r"([a-z_@0-9]+)=(0(?:\.\d+)?|1(?:\.0+)?)")

Svg = Annotated[Path | None, typer.Option(help="Write a chart of it here.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def evaluate(
    run: Annotated[Path, typer.Argument(help="JSON lines of questions; see docs/evaluation.md.")],
    person: Annotated[
        str | None,
        typer.Option("--as", help="Ask in this process as this person of the key file."),
    ] = None,
    in_process: Annotated[
        bool, typer.Option(help="Ask in this process, each line as the person it names.")
    ] = False,
    purpose: Annotated[
        Purpose | None, typer.Option(help="For what, where a line does not say.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="extractive or abstractive.")] = None,
    search_only: Annotated[bool, typer.Option(help="Search, and ask for no answer.")] = False,
    url: Annotated[str, typer.Option(help="The service.")] = "",
    against: Annotated[Path | None, typer.Option(help="An earlier run to compare with.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the run here, as JSON.")] = None,
    svg: Svg = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(help="MEASURE=VALUE: exit code 1 when a mean is below; may be given again."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask every question of a file through the gate, on record, and report how good it was.

    Without --as or --in-process the running service is asked, as whom RAGPLATFORM_API_KEY stands
    for. The report holds figures and ids, and no text. Exit codes: 0 good, 1 below --fail-under,
    2 unable.
    """
    with console.exits():
        limits = _limits(fail_under or [])
        questions = read_questions(run)
        before = None if against is None else read_run(against)
        console.require(mode in {None, "extractive", "abstractive"}, "--mode: no such mode")
        if person is not None or in_process:
            console.require(not url, "--url asks the service: leave out --as and --in-process")
            judged = asyncio.run(_here(questions, person, purpose, mode, search_only=search_only))
        else:
            judged = _there(questions, purpose, mode, url, search_only=search_only)
        done = run_of(run.stem[:64], judged)
        if output is not None:
            write_run(output, done)
        if svg is not None:
            _write(svg, chart.draw([done] if before is None else [before, done]))
        differences = {} if before is None else compare(before, done)
        broken = _broken(done, limits)
    _report(done, differences, broken, as_json=as_json)
    if broken:
        raise typer.Exit(console.EXIT_BAD)


def compare_runs(
    before: Annotated[Path, typer.Argument(help="The earlier run, as `eval --output` wrote it.")],
    after: Annotated[Path, typer.Argument(help="The later one.")],
    svg: Svg = None,
    fail_if_worse: Annotated[
        bool, typer.Option(help="Exit code 1 when a measure is clearly worse.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two runs question by question: what changed, and whether it may be chance."""
    with console.exits():
        earlier, later = read_run(before), read_run(after)
        differences = compare(earlier, later)
        console.require(bool(differences), "the two runs have no question in common")
        if svg is not None:
            _write(svg, chart.draw([earlier, later]))
    if as_json:
        console.print_json({name: _difference_json(one) for name, one in differences.items()})
    else:
        _print_differences(differences)
    if fail_if_worse and any(one.clear and one.change < 0 for one in differences.values()):
        raise typer.Exit(console.EXIT_BAD)


def _there(
    questions: Sequence[EvalQuestion],
    purpose: Purpose | None,
    mode: str | None,
    url: str,
    *,
    search_only: bool,
) -> list[Judged]:
    settings = console.settings(url)
    key = os.environ.get(KEY_VARIABLE, "")
    console.require(bool(key), f"set {KEY_VARIABLE} to your key, or give --as or --in-process")
    named = next((one.id for one in questions if one.person), None)
    console.require(
        named is None,
        f"{named}: its line names who asks, and a key is one person's: give --in-process",
    )
    base = (url or f"http://{settings.host}:{settings.port}").rstrip("/")
    judged = []
    with egress.client(openers.allowed(settings, url), timeout_s=300) as client:
        asking = OverHttp(client, base, key, mode)
        for one in _shown(questions):
            why = _purpose(one, purpose)
            judged.append(judge(one, asking.ask(one, why, search_only=search_only)))
    return judged


async def _here(
    questions: Sequence[EvalQuestion],
    person: str | None,
    purpose: Purpose | None,
    mode: str | None,
    *,
    search_only: bool,
) -> list[Judged]:
    settings = console.settings()
    platform = wiring.build(settings, kind="eval")
    try:
        asking = InProcess(platform, settings, mode)
        asked = [(one, _person(one, person), _purpose(one, purpose)) for one in questions]
        for _, who, _ in asked:
            asking.person(who)
        judged = []
        for one, who, why in _shown(asked):
            judged.append(judge(one, await asking.ask(one, who, why, search_only=search_only)))
        return judged
    finally:
        await platform.aclose()


def _person(question: EvalQuestion, person: str | None) -> str:
    who = question.person or person or ""
    console.require(bool(who), f"{question.id}: its line names nobody: give --as")
    return who


def _purpose(question: EvalQuestion, purpose: Purpose | None) -> Purpose:
    why = question.purpose or purpose
    if why is None:
        raise ConfigurationError(f"{question.id}: its line names no purpose: give --purpose")
    return why


def _shown(things: Sequence[T]) -> Iterator[T]:
    """Yield each, with a bar on standard error where that is a terminal."""
    with Progress(console=console.err, transient=True, disable=not console.err.is_terminal) as bar:
        yield from bar.track(things, description="asking")


def _limits(given: Sequence[str]) -> dict[str, float]:
    limits = {}
    for text in given:
        match = _LIMIT.fullmatch(text)
        if match is None or match[1] not in METRICS:
            raise ConfigurationError(
                f"--fail-under: wanted MEASURE=VALUE from 0 to 1, of {', '.join(METRICS)}"
            )
        limits[match[1]] = float(match[2])
    return limits


def _broken(run: Run, limits: Mapping[str, float]) -> list[str]:
    """Return the limits that do not hold; of what was not measured, none holds."""
    figures = run.figures()
    return [
        f"{name} is {f'{figures[name].mean:.3f}' if name in figures else 'not measured'}, "
        f"wanted at least {limit:g}"
        for name, limit in limits.items()
        if name not in figures or figures[name].mean < limit
    ]


def _report(
    run: Run, differences: Mapping[str, Difference], broken: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        compared = {name: _difference_json(one) for name, one in differences.items()}
        console.print_json(run.document() | {"compared": compared, "below": list(broken)})
        return
    rows = [
        (name, f"{one.mean:.3f}", f"{one.low:.3f} to {one.high:.3f}", str(one.questions))
        for name, one in run.figures().items()
    ]
    console.table(("measure", "mean", "95 %", "questions"), rows, run.name)
    console.out.print(f"outcomes: {console.pairs(run.outcomes)}", markup=False)
    console.out.print(f"latency, ms: {console.pairs(run.latency_ms)}", markup=False)
    if differences:
        _print_differences(differences)
    for line in broken:
        console.out.print(f"{console.mark(good=False)} {line}")


def _print_differences(differences: Mapping[str, Difference]) -> None:
    rows = [
        (
            name,
            f"{one.before:.3f}",
            f"{one.after:.3f}",
            f"{one.change:+.3f} ({one.low:+.3f} to {one.high:+.3f})",
            f"{one.p:.3f}" if one.p >= 0.001 else "< 0.001",
            str(one.questions),
            ("better" if one.change > 0 else "worse") if one.clear else "may be chance",
        )
        for name, one in differences.items()
    ]
    columns = ("measure", "before", "after", "change (95 %)", "p", "questions", "verdict")
    console.table(columns, rows, "question by question")


def _difference_json(one: Difference) -> dict[str, Json]:
    return {
        "before": round(one.before, 4),
        "after": round(one.after, 4),
        "change": round(one.change, 4),
        "low": round(one.low, 4),
        "high": round(one.high, 4),
        "p": round(one.p, 4),
        "questions": one.questions,
        "clear": one.clear,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error
