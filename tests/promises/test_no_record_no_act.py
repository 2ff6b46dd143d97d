"""Promise 4, on every path: whatever cannot be recorded is not done, not answered and not shown.

Each act is tried once for every record that it makes, the log's disk being full from that record
on. Then the disk has room again, and the same act succeeds in the same process.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from ingest import ledger, serving
from ingest.api.extension import IngestRoutes
from ragplatform import identities, openers
from ragplatform.__main__ import app
from ragplatform.access.desk import Caller as Asking
from ragplatform.api.app import create_app
from ragplatform.audit import log as audit_log
from ragplatform.audit.events import Action
from ragplatform.audit.query import find_logs, read
from ragplatform.audit.verify import verify
from ragplatform.batches.book import BatchState, LineState
from ragplatform.config import Settings
from ragplatform.errors import AuditError
from ragplatform.model import Principal, Purpose, Sensitivity
from tests import open_webui
from tests.fakes import Bench, make_bench
from tests.fakes_audit import Pauses, event
from tests.fakes_disk import FillingDisk
from tests.ingest_crash import DIM, MASTER, Fuse, erase, first_version, ingest, second_version
from tests.state import entry_of
from tests.stored import Stored, copy_data, look

SOURCES = """
[[source]]
name = "inbox"
kind = "folder"
place = "{folder}"
tenant = "mercy"
collection = "clinical"

[source.labels]
sensitivity = "confidential"
"""
TEXT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
MORE = "It was replaced by enoxaparin 40 mg once daily for Maria Lopez."
BILL = "Bill for Maria Lopez, SSN 078-05-1120, seen for a cough."
REASON = "Unconscious in the emergency room, no care team here yet."
# None of it may be in a response that came before its record.
SECRETS = ("pixaban", "enoxaparin", "Lopez", "078-05", "Unconscious", "doc-0", "physician")
QUESTION = {"question": "Why was apixaban stopped for Maria Lopez?", "purpose": "TREAT"}


@dataclass
class Ward:
    """A platform whose audit disk can be full, and what was in it before the act."""

    bench: Bench
    disk: FillingDisk
    pauses: Pauses
    routes: IngestRoutes
    client: TestClient
    run: str = ""
    batch: str = ""
    running: str = ""
    requests: str = ""
    token: str = ""
    asked: str = ""
    over: str = ""
    open: str = ""
    sealed: int = 0

    def call(self, who: str, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return self.client.request(method, path, json=body, headers=headers)

    def state(self) -> dict[str, list[tuple[object, ...]]]:
        """Return every row of every database, the index, and which files lie sealed.

        Rows of the index over the audit log are left out: they only say again what the log says.
        """
        rows: dict[str, list[tuple[object, ...]]] = {}
        databases = set(self.bench.settings.data_dir.glob("*.db"))
        for path in sorted(databases - {self.bench.settings.data_dir / "audit-index.db"}):
            with closing(sqlite3.connect(path)) as database:
                names = database.execute("select name from sqlite_master where type = 'table'")
                for (name,) in names.fetchall():
                    found = database.execute(f'select * from "{name}"').fetchall()
                    rows[f"{path.name}/{name}"] = sorted(found, key=repr)
        rows["index"] = [(repr(entry),) for entry in self.bench.index._entries.values()]  # type: ignore[attr-defined]
        sealed = (self.bench.settings.data_dir / "sealed").rglob("*.sealed")
        rows["sealed"] = sorted((str(path),) for path in sealed)
        return rows


Do = Callable[[Ward], Any]


@dataclass(frozen=True)
class Act:
    """One request: the route, how to ask, and the status when it can be recorded."""

    route: str
    do: Do
    status: int = 200
    name: str = ""

    def __str__(self) -> str:
        return f"{self.route} {self.name}".strip()


def get(route: str, who: str, path: str = "", status: int = 200) -> Act:
    return Act(f"GET {route}", lambda ward: ward.call(who, "GET", path or route), status)


def post(
    route: str, who: str, body: dict[str, Any], status: int = 200, *, name: str = "", path: str = ""
) -> Act:
    def do(ward: Ward) -> Any:
        known = {"TOKEN": ward.token, "ASKED": ward.asked}
        filled = {key: known.get(str(value), value) for key, value in body.items()}
        place = (path or route).replace("OVER", ward.over).replace("OPEN", ward.open)
        place = place.replace("SEALED", str(ward.sealed)).replace("RUN", ward.run)
        return ward.call(who, "POST", place, filled)

    return Act(f"POST {route}", do, status, name)


def bring(ward: Ward) -> Any:
    headers = {"Authorization": "Bearer clerk", "X-Purpose-Of-Use": "HOPERAT"}
    form, files = {"collection": "clinical"}, {"file": ("note.txt", TEXT.encode())}
    return ward.client.post("/v1/files", data=form, files=files, headers=headers)


def take_back(ward: Ward) -> Any:
    headers = {"Authorization": "Bearer clerk", "X-Purpose-Of-Use": "HOPERAT"}
    return ward.client.delete(f"/v1/files/file-{ward.run}", headers=headers)


def bring_requests(ward: Ward) -> Any:
    asked = {"custom_id": "a", "method": "POST", "url": _CHAT, "body": CHAT}
    form, files = {"purpose": "batch"}, {"file": ("in.jsonl", json.dumps(asked).encode())}
    headers = {"Authorization": "Bearer doctor", "X-Purpose-Of-Use": "TREAT"}
    return ward.client.post("/v1/files", data=form, files=files, headers=headers)


def of_batches(verb: str, path: str, body: object = None) -> Do:
    """Return an act on the batch, or the file of requests, that is there before."""

    def do(ward: Ward) -> Any:
        headers = {"Authorization": "Bearer doctor", "X-Purpose-Of-Use": "TREAT"}
        place = path.replace("BATCH", ward.batch).replace("RUNNING", ward.running)
        filled = {k: ward.requests if v == "FILE" else v for k, v in (body or {}).items()}
        return ward.client.request(verb, place, json=filled or None, headers=headers)

    return do


_CHAT = "/v1/chat/completions"
CHAT = {
    "model": "ragplatform:TREAT", "messages": [{"role": "user", "content": QUESTION["question"]}]
}  # fmt: skip


def speak_mcp(ward: Ward) -> Any:
    headers = {"Authorization": "Bearer doctor", "Host": "localhost"}
    headers["Accept"] = "application/json, text/event-stream"
    params = {"name": "ask", "arguments": QUESTION}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = ward.client.post("/mcp", json=message, headers=headers)
    result = answer.json().get("result")
    if result is not None and result["isError"]:
        # A refusal comes inside a result: make of it what REST would say.
        refused = json.loads(result["content"][0]["text"])
        return httpx2.Response(refused["status"], json=refused)
    return answer


RELATION = {"principal": "dr2", "subject": "mrn:1"}
GLASS = {
    "purpose": "ETREAT", "subject": "mrn:1", "reason": REASON, "minutes": 9, "proof": "stranger"
}  # fmt: skip
CONSENT = {"purpose": "HOPERAT", "subject": "mrn:1", "about": "TREAT", "consent": "refused"}
CHUNK = "00000000-0000-4000-8000-000000000000"
NONE = "0" * 32
ASIDE = "/v1/quarantine/{document}"
OPINION = {"request_id": "ASKED", "rating": "unhelpful", "comment": f"It says {TEXT}"}
DECISION = {"purpose": "COMPLIANCE", "reason": "It is the sample password of the manual."}
BILLED = "00000000-0000-4000-8000-000000000001"
SOURCE = "/v1/sources/{chunk}"
_AUDIT = "/v1/audit"

TITLE = open_webui.task("title_generation", QUESTION["question"], TEXT)

ACTS = [
    post("/v1/ask", "doctor", QUESTION),
    post("/v1/ask", "doctor", QUESTION | {"mode": "abstractive"}, name="written"),
    post("/v1/ask", "doctor", QUESTION | {"stream": True}, name="streamed"),
    post("/v1/ask", "doctor", QUESTION | {"stream": True, "mode": "abstractive"}, name="both"),
    post("/v1/ask", "reception", QUESTION | {"purpose": "HOPERAT"}, 403, name="denied"),
    post(_CHAT, "doctor", CHAT),
    post(_CHAT, "doctor", CHAT | {"stream": True}, name="streamed"),
    post(_CHAT, "doctor", TITLE, name="title"),
    post(_CHAT, "reception", CHAT | {"model": "ragplatform:HOPERAT"}, 403, name="denied"),
    post("/v1/responses", "doctor", {"model": "ragplatform:TREAT", "input": QUESTION["question"]}),
    post("/v1/responses", "doctor", {"model": "ragplatform:TREAT", "input": QUESTION["question"],
         "stream": True}, name="streamed"),
    post("/v1/embeddings", "doctor", {"model": "hash", "input": TEXT, "rag": {"purpose": "TREAT"}}),
    post("/v1/search", "doctor", QUESTION),
    post("/v1/search", "stranger", QUESTION | {"purpose": "ETREAT"}, name="under glass"),
    get(SOURCE, "doctor", f"/v1/sources/{CHUNK}?purpose=TREAT"),
    get(SOURCE, "stranger", f"/v1/sources/{CHUNK}?purpose=TREAT", 404),
    post("/v1/sources/{chunk}:reveal", "billing", {"purpose": "HPAYMT", "token": "TOKEN",
         "reason": "The insurer asks for it."}, path=f"/v1/sources/{BILLED}:reveal"),
    post("/v1/pii:analyze", "doctor", {"purpose": "TREAT", "text": TEXT}),
    post("/v1/pii:redact", "doctor", {"purpose": "TREAT", "text": TEXT}),
    post("/v1/pii:redact", "doctor", {"purpose": "TREAT", "text": TEXT, "mode": "mask"}),
    post("/v1/policies:explain", "doctor", {"purpose": "TREAT", "document": "doc-0"}),
    *([Act("POST /mcp", speak_mcp)] if find_spec("mcp") else []),
    post("/v1/feedback", "billing", OPINION, 201),
    post("/v1/feedback", "doctor", OPINION, 404, name="of another's"),
    get("/v1/feedback", "compliance"),
    get("/v1/feedback/counts", "compliance"),
    get("/v1/audit/events", "compliance"),
    get("/v1/audit/events", "doctor", status=403),
    get(f"{_AUDIT}/passages/{{passage}}/disclosures", "compliance",
        f"{_AUDIT}/passages/{CHUNK}/disclosures"),
    get(f"{_AUDIT}/subjects/{{subject}}/disclosures", "compliance",
        f"{_AUDIT}/subjects/mrn:1/disclosures"),
    get(f"{_AUDIT}/people/{{person}}/break-glass", "compliance",
        f"{_AUDIT}/people/dr2/break-glass"),
    get(f"{_AUDIT}/export", "compliance", f"{_AUDIT}/export?format=ndjson"),
    post(f"{_AUDIT}/records/{{origin}}/{{index}}:unseal", "second-reviewer", {"reason": REASON},
         path=f"{_AUDIT}/records/api.mercy/SEALED:unseal"),
    post("/v1/relations", "administrator", {"purpose": "HOPERAT", "relations": [RELATION]}, 204),
    post("/v1/relations", "doctor", {"purpose": "TREAT", "relations": [RELATION]}, 403),
    post("/v1/relations:remove", "administrator", {"purpose": "HOPERAT", **RELATION}),
    get("/v1/relations/feeds", "administrator", "/v1/relations/feeds?purpose=HOPERAT"),
    post("/v1/consents", "administrator", CONSENT),
    get("/v1/consents", "administrator", "/v1/consents?purpose=HOPERAT&subject=mrn:1"),
    post("/v1/breakglass", "stranger", GLASS, 201),
    post("/v1/breakglass", "stranger", GLASS | {"proof": "wrong"}, 401, name="not proven"),
    post("/v1/breakglass/{opening}:end", "stranger", {}, 204,
         path="/v1/breakglass/OPEN:end?purpose=ETREAT"),
    get("/v1/breakglass/reviews", "compliance"),
    post("/v1/breakglass/{opening}:review", "compliance", {"verdict": "ok"}, 204,
         path="/v1/breakglass/OVER:review"),
    get("/v1/whoami", "", status=401),
    Act("POST /v1/files", bring),
    Act("POST /v1/files", bring_requests, name="for a batch"),
    Act("POST /v1/batches", of_batches("POST", "/v1/batches", {
        "input_file_id": "FILE", "endpoint": _CHAT})),
    Act("POST /v1/batches/{batch_id}/cancel",
        of_batches("POST", "/v1/batches/batch_RUNNING/cancel")),
    Act("GET /v1/files/{file_id}/content",
        of_batches("GET", "/v1/files/file-batch-err-BATCH/content")),
    Act("DELETE /v1/files/{file_id}", of_batches("DELETE", "/v1/files/file-batch-out-BATCH"),
        name="of a batch"),
    Act("DELETE /v1/files/{file_id}", take_back),
    post("/v1/ingest/runs", "clerk", {"purpose": "HOPERAT", "source": "inbox"}, 202),
    post("/v1/ingest/runs", "doctor", {"purpose": "TREAT", "source": "inbox"}, 403),
    post("/v1/ingest/runs/{run}:cancel", "clerk", {"purpose": "HOPERAT"},
         path="/v1/ingest/runs/RUN:cancel"),
    post("/v1/erasures", "doctor", {"purpose": "TREAT", "document": "doc-0"}, 403),
    get("/v1/erasures/{erasure}", "doctor", f"/v1/erasures/{NONE}?purpose=TREAT", 403),
    get("/v1/erasures/{erasure}/certificate", "doctor",
        f"/v1/erasures/{NONE}/certificate?purpose=TREAT", 403),
    post("/v1/documents/{document}:relabel", "labeller",
         {"purpose": "COMPLIANCE", "sensitivity": "restricted"},
         path="/v1/documents/doc-0:relabel"),
    get("/v1/quarantine", "compliance", "/v1/quarantine?purpose=COMPLIANCE"),
    get(ASIDE, "compliance", f"/v1/quarantine/{NONE}?purpose=COMPLIANCE", 404),
    *(post(f"{ASIDE}:{act}", "labeller", DECISION, 404, path=f"/v1/quarantine/{NONE}:{act}")
      for act in ("release", "approve", "reject")),
    post(f"{ASIDE}:relabel", "labeller", DECISION | {"department": "icu"}, 404,
         path=f"/v1/quarantine/{NONE}:relabel"),
    post(f"{ASIDE}:retry", "labeller", {"purpose": "COMPLIANCE"}, 404,
         path=f"/v1/quarantine/{NONE}:retry"),
]  # fmt: skip

# These tell callers only of themselves, or nothing of anybody.
SILENT = {"GET /v1/models", "GET /v1/models/{model}"}
SILENT |= {"GET /v1/whoami", "GET /v1/breakglass", "GET /livez", "GET /readyz"}
# And these of what callers asked for themselves, by ids, states and counts.
SILENT |= {"GET /v1/files", "GET /v1/files/{file_id}", "GET /v1/ingest/runs"}
SILENT |= {"GET /v1/batches", "GET /v1/batches/{batch_id}"}
SILENT |= {"GET /v1/ingest/runs/{run}", "GET /v1/ingest/runs/{run}/events"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The moment of the platform, in a list of one."""
    now = [datetime(2026, 11, 26, 12, 0, tzinfo=UTC)]
    monkeypatch.setattr(openers, "now", lambda: now[0])
    return now


@pytest.fixture
def wards(tmp_path: Path, clock: list[datetime]) -> Iterator[Callable[[], Ward]]:
    """Return a maker of wards in which every act of the list can be done."""
    made: list[Ward] = []

    def make() -> Ward:
        disk, pauses = FillingDisk(), Pauses()
        bench = make_bench(
            tmp_path / str(len(made)), disk=disk, pause_clock=pauses, sources_file=sources(tmp_path)
        )
        routes = serving.extension(bench.platform)
        client = TestClient(create_app(bench.platform, [routes]), raise_server_exceptions=False)
        ward = Ward(bench, disk, pauses, routes, client)
        made.append(ward)
        furnish(ward, clock)
        return ward

    yield make
    for ward in made:
        ward.client.close()
        ward.routes.close()
        ward.bench.platform.store.close()


def sources(folder: Path) -> Path:
    """Return a file of one source."""
    file = folder / "sources.toml"
    file.write_text(SOURCES.format(folder=folder), "utf-8")
    return file


def furnish(ward: Ward, clock: list[datetime]) -> None:
    """Put two documents in, break the glass twice, of which one is over, and learn a pseudonym.

    One file waits to be taken in.
    """
    ward.bench.put(f"{TEXT} {MORE}", subjects=["mrn:1"])
    ward.bench.put(BILL, subjects=["mrn:1"], department="billing")
    for entry in ward.bench.index._entries.values():  # type: ignore[attr-defined]
        ward.bench.platform.store.catalog.put_document(entry_of(entry.passage))
    ward.bench.audit.append(event(tenant=""))
    ward.over = ward.call("stranger", "POST", "/v1/breakglass", GLASS).json()["id"]
    clock[0] += timedelta(minutes=30)
    ward.open = ward.call("stranger", "POST", "/v1/breakglass", GLASS).json()["id"]
    ward.run = bring(ward).json()["run"]
    furnish_batches(ward)
    ward.sealed = ward.bench.records(action=Action.BROKE_GLASS)[0].index
    viewed = ward.call("billing", "GET", f"/v1/sources/{BILLED}?purpose=HPAYMT")
    shown, ward.asked = viewed.json()["text"], viewed.headers["x-request-id"]
    ward.token = next(word.strip(",.") for word in shown.split() if word.startswith("[US_SSN:"))


def furnish_batches(ward: Ward) -> None:
    """Leave a file of requests, a batch of it that has ended, and one that has not."""
    desk, doctor = ward.bench.platform.batches, ward.bench.people["doctor"]
    asked = Asking(doctor, Purpose.TREAT, "r-1")
    requests = json.dumps({"custom_id": "a", "method": "POST", "url": _CHAT, "body": CHAT})
    ended = desk.submit(asked, desk.accept(asked, [requests.encode()]).file, _CHAT)
    taken = desk.book.take()
    assert taken is not None
    desk.keep(ended, 1, b"{}", ())
    desk.book.end_line(taken, LineState.FAILED, 2)
    desk.end(ended, BatchState.COMPLETED)
    file = desk.accept(asked, [requests.encode()]).file
    ward.batch, ward.running = ended.batch, desk.submit(asked, file, _CHAT).batch
    ward.requests = f"file-batch-in-{file}"


def said_before_its_record(ward: Ward, response: Any) -> list[str]:
    """Return what the caller got although it was not on record."""
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        if response.request.url.path in {_CHAT, "/v1/responses"}:
            return said_to_openai_client(ward, response)
        blocks = [block.split("\n", 1) for block in text.strip().split("\n\n")]
        names = [name.removeprefix("event: ") for name, _ in blocks]
        done = [str(r.action) for r in ward.bench.records() if r.request_id and
                r.request_id == response.headers["x-request-id"]]  # fmt: skip
        # What was retrieved is on record, and may be shown; the end of the answer may not.
        wrong = [] if "retrieved" in done else [f"{names} after {done}"]
        problem = json.loads(blocks[-1][1].removeprefix("data: "))
        if (names[-1], problem["code"]) != ("error", "audit_unavailable") or "final" in names:
            wrong.append(f"the stream ended with {names[-1]}")
        whole = "".join(json.loads(data.removeprefix("data: "))["text"]
                        for name, (_, data) in zip(names, blocks, strict=True)
                        if name == "delta")  # fmt: skip
        return wrong + [f"the whole answer: {whole}" for _ in [0] if MORE in whole]
    if "ndjson" in response.headers["content-type"]:
        # An export is on record before its first line; without the record of its end it breaks off.
        return [] if ward.bench.records(action=Action.EXPORTED) and not text else [text[:80]]
    problem = response.json()
    code = problem.get("error", problem)["code"]
    if (response.status_code, code) != (503, "audit_unavailable"):
        return [f"{response.status_code} {text[:80]}"]
    return [secret for secret in SECRETS if secret in text]


def said_to_openai_client(ward: Ward, response: Any) -> list[str]:
    """Return what a client of OpenAI's API got by a stream although it was not on record."""
    sent = [line.removeprefix("data: ") for line in response.text.splitlines()
            if line.startswith("data: ")]  # fmt: skip
    done = [str(r.action) for r in ward.bench.records() if r.request_id and
            r.request_id == response.headers["x-request-id"]]  # fmt: skip
    wrong = [] if "retrieved" in done else [f"a stream after {done}"]
    last = json.loads(sent[-1]) if sent[-1] != "[DONE]" else {}
    error = last.get("error") or last.get("response", {}).get("error") or {}
    if error.get("code") != "audit_unavailable":
        wrong.append(f"the stream ended with {sent[-1][:80]}")
    if MORE in response.text or '"stop"' in response.text:
        wrong.append("the whole answer")
    return wrong


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_what_cannot_be_recorded_is_not_done_and_comes_back_with_the_space(
    wards: Callable[[], Ward], act: Act
) -> None:
    ward = wards()
    before = ward.disk.written
    assert act.do(ward).status_code == act.status
    made = ward.disk.written - before
    assert made > 0

    for room in range(made):
        ward = wards()
        state, ward.disk.room = ward.state(), room
        response = act.do(ward)

        assert said_before_its_record(ward, response) == [], (room, made)
        assert ward.state() == state, (room, made)
        ward.disk.room, ward.pauses.now_s = float("inf"), 60
        assert act.do(ward).status_code == act.status
        assert len(ward.bench.records(action=Action.RESUMED)) == 1
        for log in find_logs(ward.bench.settings.audit_dir):
            assert verify(log, public_key=None).ok


def test_every_route_is_on_the_list_or_tells_nothing_of_anybody(wards: Callable[[], Ward]) -> None:
    paths = wards().client.get("/openapi.json").json()["paths"]
    routes = {f"{method.upper()} {path}" for path, acts in paths.items() for method in acts}

    assert routes - {act.route for act in ACTS} == SILENT - {act.route for act in ACTS}


# On the command line


@dataclass
class Host:
    """A deployment as its operator has it: files, and no service."""

    settings: Settings
    disk: FillingDisk

    def files(self) -> dict[str, bytes]:
        """Return every file that is no log."""
        root, logs = self.settings.data_dir.parent, self.settings.audit_dir
        found = [p for p in root.rglob("*") if p.is_file() and logs not in p.parents]
        return {str(p): p.read_bytes() for p in found if p.suffix not in {".part", ".lock"}}


DR = Principal("dr9", "mercy", frozenset({"physician"}), clearance=Sensitivity.CONFIDENTIAL)

COMMANDS: dict[str, Callable[[Settings], object]] = {
    "make a key": lambda s: identities.add_key(s, DR, frozenset(), actor="op"),
    "rotate a key": lambda s: identities.rotate_key(
        s, "old", "mercy", overlap_hours=1, days=None, actor="op"
    ),
    "revoke keys": lambda s: identities.revoke_keys(s, "old", "mercy", actor="op"),
    "list a user": lambda s: identities.add_user(
        s, DR, frozenset(), client="webui", sub="s", actor="op"
    ),
    "make a vault key": lambda s: openers.make_vault_key(s, "op"),
    "rotate the vault": lambda s: openers.rotate_vault(s, "op"),
}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    settings = Settings(
        data_dir=tmp_path / "data",
        secrets_dir=tmp_path / "keys",
        vault_keys_dir=tmp_path / "vault-keys",
    )
    identities.create_keys(settings)
    disk = FillingDisk()
    monkeypatch.setattr(audit_log, "Disk", lambda: disk)
    old = Principal("old", "mercy", frozenset({"physician"}))
    openers.make_vault_key(settings, "op")
    identities.add_key(settings, old, frozenset(), actor="op")
    openers.open_vault(settings).close()
    return Host(settings, disk)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_cannot_be_recorded_changes_no_file(host: Host, command: str) -> None:
    before = host.files()
    host.disk.room = 0

    with pytest.raises(AuditError):
        COMMANDS[command](host.settings)
    assert host.files() == before

    host.disk.room = float("inf")
    COMMANDS[command](host.settings)
    if command != "rotate the vault":  # there are no subjects yet
        assert host.files() != before
    for log in find_logs(host.settings.audit_dir):
        assert verify(log, public_key=None).ok


LOOKS = [
    ["audit", "unseal", "cli.mercy", "1", "--reason", "A complaint of the patient."],
    ["audit", "events", "--json"],
    ["audit", "export", "ndjson"],
    ["audit", "who-saw", CHUNK, "--tenant", "mercy"],
    ["audit", "about-subject", "mrn:1", "--tenant", "mercy"],
    ["audit", "under-glass", "u:anna", "--tenant", "mercy"],
]


@pytest.mark.parametrize("command", LOOKS, ids=lambda words: words[1])
def test_a_look_at_the_log_that_cannot_be_recorded_shows_nothing(
    host: Host, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(host.settings.data_dir))
    monkeypatch.setenv("RAGPLATFORM_SECRETS_DIR", str(host.settings.secrets_dir))
    monkeypatch.setenv("RAGPLATFORM_VAULT_KEYS_DIR", str(host.settings.vault_keys_dir))
    with openers.open_audit(host.settings, "cli") as audit:
        audit.append(event(sealed={"question": TEXT}))
    host.disk.room = 0

    refused = CliRunner().invoke(app, command)
    assert refused.exit_code not in {0, 1}, refused.output
    assert refused.stdout == ""

    host.disk.room = float("inf")
    assert CliRunner().invoke(app, command).exit_code == 0


# In ingest


@dataclass(slots=True)
class NoRecord(Fuse):
    """Lets the log refuse from record ``at`` on, instead of killing the process."""

    made: int = field(default=0, init=False)

    def burn(self, name: str) -> None:
        if name == "audit.append":
            self.made += 1
            if self.at and self.made >= self.at:
                raise AuditError("no space")


def stored(data: Path) -> Stored:
    return look(data, dim=DIM, master=MASTER)


def gone_unrecorded(data: Path, before: Stored, action: Action) -> set[str]:
    """Return the documents that went although no record of the action names them."""
    logs = find_logs(data / "audit")
    named = {str(r.details.get("document")) for log in logs for r in read(log, action=action)}
    return before.documents.keys() - stored(data).documents.keys() - named


def test_a_document_that_cannot_be_recorded_does_not_go_in_and_none_goes_out(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each run stands for a process of its own, which is gone when the next one comes.
    monkeypatch.setattr(ledger, "is_alive", lambda holder: False)
    files, whole = memory / "files", NoRecord()
    first_version(files)
    ingest(files, memory / "base", NoRecord())
    before = stored(memory / "base")
    second_version(files)
    end = copy_data(memory / "base", memory / "end")
    ingest(files, end, whole)

    for at in range(1, whole.made + 1, 2):
        data = copy_data(memory / "base", memory / f"{at}")
        with pytest.raises(AuditError):
            ingest(files, data, NoRecord(at))
        assert stored(data).wrong_at_any_moment() == [], at
        assert gone_unrecorded(data, before, Action.QUARANTINED) == set()

        ingest(files, data, NoRecord())
        assert stored(data).same_as(stored(end)), at


def test_nothing_is_erased_without_its_record(memory: Path) -> None:
    files, whole = memory / "files", NoRecord()
    first_version(files)
    ingest(files, memory / "base", NoRecord())
    before = stored(memory / "base")
    erase(copy_data(memory / "base", memory / "end"), whole)

    for at in (1, 3, whole.made):
        data = copy_data(memory / "base", memory / f"{at}")
        with pytest.raises(AuditError):
            erase(data, NoRecord(at))
        left = stored(data)
        assert len(left.documents) == len(before.documents) - at + 1
        assert gone_unrecorded(data, before, Action.ERASED) == set()
        assert left.clear or at == whole.made

        erase(data, NoRecord())
        assert stored(data).documents == {}
