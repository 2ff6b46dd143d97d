"""Promise 2 at every exit: nothing of what somebody may not read, not even that it exists.

Each passage of two tenants holds a word of its own in its text, title, heading and document id. A
person asks by every exit; a word of a passage that the person may not read must appear in none of
the responses. Who may read what is worked out here, by a plain table, and not by the platform.
"""

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ingest import serving
from ragplatform.access.register import ConsentEntry, Opening, Register, Relation
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.answer.retrieve import Request, Retriever
from ragplatform.api.app import create_app
from ragplatform.audit.events import Action
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.editions import OneEdition
from ragplatform.errors import (
    DeniedError,
    IndexUnavailableError,
    NotFoundError,
    UnavailableError,
)
from ragplatform.model import (
    Chunk,
    Consent,
    Labels,
    Passage,
    Principal,
    Purpose,
    Receipt,
    Sensitivity,
    Standing,
)
from ragplatform.policy.classes import access_class
from ragplatform.policy.verdicts import Verdicts
from ragplatform.ports import Edition, Entry
from tests.fakes import Bench
from tests.fakes_index import MemoryIndex
from tests.fakes_privacy import FailingDetector
from tests.state import entry_of

# All but those over HTTP ask the retriever itself, which every exit that searches goes through.
RETRIEVALS = int(os.environ.get("CANARY_RETRIEVALS", "20000"))
ABSENT = "00000000-0000-4000-8000-999999999999"
CONFIDENTIAL, INTERNAL = Sensitivity.CONFIDENTIAL, Sensitivity.INTERNAL
P = Purpose

HOSPITAL = (
    *({"department": "cardiology"}, {"department": "oncology"}, {"department": "billing"}),
    {"department": "cardiology", "restrictions": frozenset({"psychotherapy"})},
    {"department": "billing", "restrictions": frozenset({"part2"})},
    {"department": "cardiology", "restrictions": frozenset({"vip"})},
    {"department": "cardiology", "state": "draft"},
    {"department": "cardiology", "sensitivity": Sensitivity.RESTRICTED},
)
BANK = (
    *({"department": "branch"}, {"department": "branch", "sensitivity": INTERNAL}),
    {"department": "lending"},
    {"department": "branch", "restrictions": frozenset({"sar"})},
    {"department": "investment-banking"},
)
PEOPLE_ABOUT = {
    "mercy": ("mrn:1", "mrn:2", "mrn:3", "mrn:4", "mrn:5"),
    "harbor": ("client:1", "client:2", "client:3"),
}
READERS = {
    "doctor": ("mercy", "physician"),
    "stranger": ("mercy", "physician"),
    "emergency": ("mercy", "emergency-physician"),
    "therapist": ("mercy", "psychotherapist"),
    "billing": ("mercy", "billing"),
    "researcher": ("mercy", "researcher"),
    "reception": ("mercy", "reception"),
    "compliance": ("mercy", "compliance"),
    "administrator": ("mercy", "access-admin"),
    "banker": ("harbor", "relationship-manager"),
    "teller": ("harbor", "teller"),
    "analyst": ("harbor", "aml-analyst"),
    "bank-compliance": ("harbor", "compliance"),
}
READING = [name for name, (_, role) in READERS.items() if role not in {"reception", "compliance",
                                                                    "access-admin"}]  # fmt: skip
RELATED = {"doctor": {"mrn:1", "mrn:2"}, "therapist": {"mrn:1"}, "banker": {"client:1"}}
OPENED = {"stranger": {"mrn:3", "mrn:4"}}
REFUSED = {("mrn:2", P.TREAT), ("mrn:4", P.ETREAT), ("mrn:1", P.HRESCH), ("client:2", P.AML)}
GIVEN = {("mrn:1", P.HPAYMT), ("mrn:3", P.HPAYMT)}


@dataclass(frozen=True)
class Planted:
    """A passage, whom it is about by raw ids, and the word that stands in it alone."""

    passage: Passage
    about: frozenset[str]
    canary: str


def may_read(reader: str, purpose: Purpose, planted: Planted) -> bool:
    """Say who may read what, from what the packs say in words. It shares nothing with them."""
    labels, about = planted.passage.labels, planted.about
    tenant, role = READERS[reader]
    if labels.tenant != tenant or labels.state != "current" or labels.sensitivity > CONFIDENTIAL:
        return False
    if purpose not in {P.ETREAT, P.AML} and any((one, purpose) in REFUSED for one in about):
        return False
    related, opened = about & RELATED.get(reader, set()), about & OPENED.get(reader, set())
    marks, desk = labels.restrictions, labels.department
    match role, purpose:
        case "physician", P.TREAT:
            return bool(related) and marks <= {"vip"}
        case "psychotherapist", P.TREAT:
            return bool(related) and marks <= {"vip", "psychotherapy"}
        case "physician", P.ETREAT:
            return bool(opened) and marks <= {"vip", "part2"}
        case "emergency-physician", P.ETREAT:
            return marks <= {"vip", "part2"}
        case "billing", P.HPAYMT:
            consents = any((one, purpose) in GIVEN for one in about)
            return desk == "billing" and (not marks or (marks == {"part2"} and consents))
        case "researcher", P.HRESCH:
            return not marks
        case "relationship-manager", P.SERVICE | P.CREDIT:
            return bool(related) and not marks and desk != "investment-banking"
        case "teller", P.SERVICE:
            return not marks and desk == "branch" and labels.sensitivity <= INTERNAL
        case "aml-analyst", P.AML:
            return desk != "investment-banking"
    return False


class World:
    """Two tenants' passages in a platform on fakes, and who stands how to whom."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.planted = bench, dict[str, Planted]()
        self.index: MemoryIndex = bench.index  # type: ignore[assignment]
        for tenant, shapes in (("mercy", HOSPITAL), ("harbor", BANK)):
            for shape in shapes:
                for about in ({one} for one in PEOPLE_ABOUT[tenant]):
                    self.plant(tenant, frozenset(about), shape)
                self.plant(tenant, frozenset(PEOPLE_ABOUT[tenant][:2]), shape)
                self.plant(tenant, frozenset(), shape)
        for name, (tenant, role) in READERS.items():
            bench.people[name] = Principal(
                name, tenant, frozenset({role}), frozenset({"cardiology", "branch"}), CONFIDENTIAL
            )
        self.stand(bench.platform.store.register)

    def plant(self, tenant: str, about: frozenset[str], shape: Mapping[str, Any]) -> None:
        number = len(self.planted)
        chunk, canary = f"00000000-0000-4000-8000-{number:012d}", word(number)
        collection = "clinical" if tenant == "mercy" else "banking"
        labels = Labels(**{"tenant": tenant, "collection": collection,
                           "sensitivity": CONFIDENTIAL, **shape})  # fmt: skip
        text = f"The {canary} treatment was stopped. Nobody asked why {canary} came to an end."
        store, ref = self.bench.platform.store, self.ref
        passage = Passage(
            chunk=Chunk(chunk, 0, text, 0, len(text), 1, 1, (f"Heading {canary}",)),
            document=f"doc-{canary}",
            title=f"{canary}.pdf",
            labels=labels,
            access_class=access_class(labels),
            subjects=frozenset(ref(tenant, one) for one in about),
            generation="g1",
            media_type="application/pdf",
        )
        store.catalog.register(labels, passage.access_class)
        store.catalog.put_document(entry_of(passage))
        vector = [float(value) for value in store.embedder.embed([text])[0]]
        self.index.upsert([Entry(passage, vector, store.weigher.weigh_document(text))])
        self.planted[chunk] = Planted(passage, about, canary)

    def ref(self, tenant: str, raw: str) -> str:
        return self.bench.privacy.subject_ref(tenant, raw)

    def stand(self, register: Register) -> None:
        now = datetime.now(UTC) - timedelta(minutes=1)
        for reader, people in RELATED.items():
            tenant = READERS[reader][0]
            register.relate(tenant, [Relation(reader, self.ref(tenant, p), now) for p in people])
        for reader, people in OPENED.items():
            tenant = READERS[reader][0]
            for number, one in enumerate(sorted(people)):
                name, ref, ends = f"{number:032x}", self.ref(tenant, one), now + timedelta(hours=1)
                register.open_glass(
                    Opening(name, tenant, reader, ref, P.ETREAT, now, ends, b""), most=99
                )
        for word_, said in ((Consent.REFUSED, REFUSED), (Consent.GIVEN, GIVEN)):
            for number, (one, purpose) in enumerate(sorted(said)):
                tenant = "mercy" if one.startswith("mrn") else "harbor"
                entry = ConsentEntry(self.ref(tenant, one), purpose, word_, now)
                register.set_consent(tenant, entry, f"{word_}-{number}")

    def forbidden(self, reader: str, *purposes: Purpose) -> dict[str, Planted]:
        """Return the passages that the reader may read for none of the purposes, by canary."""
        return {
            one.canary: one
            for one in self.planted.values()
            if not any(may_read(reader, purpose, one) for purpose in purposes)
        }


def word(number: int) -> str:
    """Return a word that stands in nothing else, in one piece and without a digit."""
    letters = "".join("bcdfghjkmnprstvz"[(number >> shift) & 15] for shift in (8, 4, 0))
    return f"quix{letters}ax"


CANARY = re.compile(r"quix[a-z]{3}ax", re.IGNORECASE)


@pytest.fixture
def world(bench: Callable[..., Bench]) -> World:
    return World(bench())


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    routes = serving.extension(world.bench.platform)
    app = create_app(world.bench.platform, [routes])
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


class Silent:
    """An audit log that counts what it is told and keeps nothing."""

    def __init__(self) -> None:
        self.told = 0

    def append(self, _event: object) -> Receipt:
        self.told += 1
        return Receipt("test", self.told, b"")


class Remembered:
    """Standings as the register gave them once: here nothing changes while it is asked."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._known: dict[tuple[str, Purpose], Standing] = {}

    def standing(self, principal: Principal, purpose: Purpose) -> Standing:
        asked = (principal.id, purpose)
        if asked not in self._known:
            self._known[asked] = self._register.standing(principal, purpose)
        return self._known[asked]

    def unmasked(self, _principal: Principal, _chunk: str) -> frozenset[str]:
        return frozenset()

    def note_use(self, *_: object) -> None:
        pass


class Classes:
    """The classes of a catalog, read once."""

    def __init__(self, catalog: SqlCatalog) -> None:
        self._known = {tenant: catalog.classes(tenant) for tenant in PEOPLE_ABOUT}

    def register(self, _labels: Labels, _access_class: str) -> None:
        raise AssertionError("nothing is put in here")

    def classes(self, tenant: str) -> Mapping[str, Labels]:
        return self._known[tenant]


@pytest.mark.timeout(1800)
def test_no_retrieval_shows_a_word_that_its_reader_may_not_read(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    """Search for what is forbidden, by its own words, and fetch it by its id."""
    dice, met = random.Random(4), Counter[str]()
    store = world.bench.platform.store
    retriever = Retriever(
        policies=store.policies,
        privacy=world.bench.privacy,
        catalog=Classes(store.catalog),
        standings=Remembered(store.register),
        editions=OneEdition(Edition("fake", "hash", store.embedder, Bm25Weigher(), world.index)),
        audit=Silent(),  # type: ignore[arg-type]
    )
    everything = list(world.planted.values())
    while met["retrievals"] < RETRIEVALS:
        # A refusal for the want of any right takes long to word; some are enough.
        reader = dice.choice(READING if dice.random() < 0.97 else list(READERS))
        purpose = dice.choice(list(Purpose) if dice.random() < 0.03 else _usual(reader))
        principal, wanted = world.bench.people[reader], dice.choice(everything)
        met["retrievals"] += 1
        shown, said = list[Any](), ""
        try:
            if dice.random() < 0.5:
                shown = [retriever.source(principal, purpose, wanted.passage.chunk.id, "r")]
            else:
                text = f"Why was {wanted.canary} stopped?"
                asked = Request(principal, purpose, text, limit=dice.choice((1, 5, 20)))
                shown = list(retriever.retrieve(asked, Action.SEARCHED).shown)
        except (DeniedError, NotFoundError) as refused:
            met["refused"] += 1
            said = str(refused)
        assert not CANARY.search(said)
        for one in shown:
            assert may_read(reader, purpose, world.planted[one.chunk]), (reader, purpose, one.chunk)
        words = set(CANARY.findall(repr([(s.text, s.title, s.document, s.heading) for s in shown])))
        assert words == {world.planted[one.chunk].canary for one in shown}
        met["shown"] += len(shown)
        # What may be read is found as well, or the walls could be of any height.
        if may_read(reader, purpose, wanted):
            met["may be read"] += 1
            assert wanted.passage.chunk.id in {one.chunk for one in shown}

    for kind, count in met.items():
        record_property(kind, count)
    print(dict(met))
    assert met["shown"] > RETRIEVALS / 10
    assert met["refused"] > RETRIEVALS / 10
    assert met["may be read"] > RETRIEVALS / 50


def _usual(reader: str) -> list[Purpose]:
    """Return the purposes for which the reader reads at all, and one for which it does not."""
    return {
        "physician": [P.ETREAT] if reader == "stranger" else [P.TREAT],
        "psychotherapist": [P.TREAT],
        "emergency-physician": [P.ETREAT],
        "billing": [P.HPAYMT],
        "researcher": [P.HRESCH],
        "relationship-manager": [P.SERVICE],
        "teller": [P.SERVICE],
        "aml-analyst": [P.AML],
    }.get(READERS[reader][1], [P.HOPERAT, P.COMPLIANCE])


@dataclass(frozen=True)
class Exit:
    """One request, and the route that answers it."""

    route: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        return self.route.split()[0]


def exits(purpose: Purpose, planted: Planted, reader: str) -> list[Exit]:
    """Return every way out of the platform, asked after one passage. None changes who reads it."""
    chunk, canary = planted.passage.chunk.id, planted.canary
    asked = {"question": f"Why was {canary} stopped?", "purpose": purpose}
    source = f"/v1/sources/{chunk}"
    get = [
        *("/livez", "/readyz", "/openapi.json", "/v1/whoami", "/v1/audit/events"),
        *("/v1/breakglass/reviews", "/v1/relations/feeds", "/v1/breakglass"),
    ]
    nobody = {"purpose": purpose, "subject": "id:none"}
    reason = "A test of what this exit says."
    glass = {**nobody, "reason": reason, "minutes": 1, "proof": reader}
    token = {"purpose": purpose, "token": "[US_SSN:aaaaaaaaaaaaaaaa]", "reason": reason}
    text = {"purpose": purpose, "text": "Nothing of anybody."}
    shape = {"purpose": purpose, "labels": {"collection": planted.passage.labels.collection}}
    document = {"purpose": purpose, "document": planted.passage.document}
    relation = {"principal": "nobody", "subject": "id:none"}
    consent = {**nobody, "about": purpose, "consent": "silent"}
    opening = f"/v1/breakglass/{0:032x}"
    return [
        *(Exit(f"GET {path}", f"{path}?purpose={purpose}") for path in get),
        Exit("GET /v1/consents", f"/v1/consents?purpose={purpose}&subject=id:none"),
        Exit(
            "GET /v1/audit/passages/{passage}/disclosures",
            f"/v1/audit/passages/{chunk}/disclosures?withheld=true",
        ),
        Exit(
            "GET /v1/audit/subjects/{subject}/disclosures",
            "/v1/audit/subjects/mrn:1/disclosures?everything=true",
        ),
        Exit("GET /v1/audit/people/{person}/break-glass", "/v1/audit/people/stranger/break-glass"),
        Exit("GET /v1/audit/export", "/v1/audit/export?format=ndjson"),
        Exit(
            "POST /v1/audit/records/{origin}/{index}:unseal",
            "/v1/audit/records/api.mercy/0:unseal",
            {"reason": reason},
        ),
        Exit("GET /v1/sources/{chunk}", f"{source}?purpose={purpose}"),
        Exit("POST /v1/sources/{chunk}:reveal", f"{source}:reveal", token),
        Exit("POST /v1/search", "/v1/search", {**asked, "limit": 50}),
        Exit("POST /v1/ask", "/v1/ask", asked),
        Exit("POST /v1/ask", "/v1/ask", {**asked, "mode": "abstractive"}),
        Exit("POST /v1/ask", "/v1/ask", {**asked, "stream": True}),
        Exit("POST /v1/ask", "/v1/ask", {**asked, "question": [canary]}),
        Exit("POST /v1/feedback", "/v1/feedback", {"request_id": canary, "rating": "helpful"}),
        *(Exit(f"GET {path}", path) for path in ("/v1/feedback", "/v1/feedback/counts")),
        *(exits_of_mcp(asked, chunk, document) if find_spec("mcp") else []),
        Exit("POST /v1/policies:explain", "/v1/policies:explain", document),
        Exit("POST /v1/policies:explain", "/v1/policies:explain", shape),
        Exit("POST /v1/pii:analyze", "/v1/pii:analyze", text),
        Exit("POST /v1/pii:redact", "/v1/pii:redact", text),
        Exit("POST /v1/relations", "/v1/relations", {"purpose": purpose, "relations": [relation]}),
        Exit("POST /v1/relations:remove", "/v1/relations:remove", {"purpose": purpose, **relation}),
        Exit("POST /v1/consents", "/v1/consents", consent),
        Exit("POST /v1/breakglass", "/v1/breakglass", glass),
        Exit("POST /v1/breakglass/{opening}:end", f"{opening[:-1]}9:end?purpose={purpose}"),
        Exit("POST /v1/breakglass/{opening}:review", f"{opening}:review", {"verdict": "ok"}),
        *exits_to_openai_clients(asked),
        *exits_of_ingest(purpose, planted),
    ]


def exits_to_openai_clients(asked: Mapping[str, Any]) -> list[Exit]:
    """Return what speaks OpenAI's API."""
    question, why = asked["question"], {"X-Purpose-Of-Use": str(asked["purpose"])}
    model = "ragplatform"
    chat = {"model": model, "messages": [{"role": "user", "content": question}]}
    rag = {"sources": True, "mode": "abstractive"}
    openwebui = why | {"X-OpenWebUI-Chat-Id": "c-1"}
    path, responses = "/v1/chat/completions", "/v1/responses"
    return [
        Exit("GET /v1/models", "/v1/models"),
        Exit("GET /v1/models/{model}", f"/v1/models/{model}"),
        Exit(f"POST {path}", path, chat, why),
        Exit(f"POST {path}", path, chat | {"rag": rag}, why),
        Exit(f"POST {path}", path, chat | {"stream": True, "rag": rag}, openwebui),
        Exit(f"POST {path}", path, chat | {"n": 2}, why),
        Exit(f"POST {responses}", responses, {"model": model, "input": question}, why),
        Exit(
            f"POST {responses}",
            responses,
            {"model": model, "input": question, "stream": True, "rag": rag},
            why,
        ),
        Exit("POST /v1/embeddings", "/v1/embeddings", {"model": "hash", "input": "words"}, why),
        Exit("GET /v1/batches", "/v1/batches", headers=why),
        Exit("POST /v1/batches", "/v1/batches", {"input_file_id": question, "endpoint": path}, why),
        Exit("GET /v1/batches/{batch_id}", f"/v1/batches/batch_{0:032x}", headers=why),
        Exit("POST /v1/batches/{batch_id}/cancel", f"/v1/batches/batch_{0:032x}/cancel", None, why),
    ]


def exits_of_mcp(asked: dict[str, Any], chunk: str, document: dict[str, Any]) -> list[Exit]:
    """Return each tool of the Model Context Protocol, and one that there is not."""
    accept = "application/json, text/event-stream"
    calls = {
        "search": {**asked, "limit": 50},
        "ask": asked,
        "get_source": {"chunk": chunk, "purpose": asked["purpose"]},
        "explain_access": document,
        "look": {"question": [chunk]},
    }
    return [
        Exit(
            "POST /mcp",
            "/mcp",
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": name, "arguments": arguments},
            },
            headers={"Host": "localhost", "Accept": accept},
        )
        for name, arguments in calls.items()
    ]


def exits_of_ingest(purpose: Purpose, planted: Planted) -> list[Exit]:
    """Return what ingest adds. What was put aside and what became of files has no words either."""
    document, why = planted.passage.document, {"X-Purpose-Of-Use": str(purpose)}
    run, item = f"/v1/ingest/runs/{0:032x}", f"/v1/quarantine/{document}"
    decision = {"purpose": purpose, "reason": "A test of what this exit says."}
    labels = {"purpose": purpose, "sensitivity": "restricted"}
    certificate = f"/v1/erasures/{0:032x}/certificate?purpose={purpose}"
    return [
        Exit("GET /v1/files", "/v1/files", headers=why),
        Exit("POST /v1/files", "/v1/files", {}, headers=why),
        *(
            Exit(
                f"{verb} /v1/files/{{file_id}}{tail}",
                f"/v1/files/{name}{document}{tail}",
                None,
                why,
            )
            for name in ("file-batch-in-", "file-batch-out-", "file-batch-err-")
            for verb, tail in (("GET", ""), ("GET", "/content"), ("DELETE", ""))
        ),
        Exit("GET /v1/files/{file_id}", f"/v1/files/file-{document}", headers=why),
        Exit("DELETE /v1/files/{file_id}", f"/v1/files/file-{document}", headers=why),
        Exit("GET /v1/ingest/runs", f"/v1/ingest/runs?purpose={purpose}"),
        Exit("POST /v1/ingest/runs", "/v1/ingest/runs", {"purpose": purpose, "source": document}),
        Exit("GET /v1/ingest/runs/{run}", f"{run}?purpose={purpose}"),
        Exit("GET /v1/ingest/runs/{run}/events", f"{run}/events?purpose={purpose}"),
        Exit("POST /v1/ingest/runs/{run}:cancel", f"{run}:cancel", {"purpose": purpose}),
        Exit(
            "POST /v1/erasures",
            "/v1/erasures",
            {"purpose": purpose, "document": document, "dry_run": True},
        ),
        Exit("GET /v1/erasures/{erasure}", f"/v1/erasures/{0:032x}?purpose={purpose}"),
        Exit("GET /v1/erasures/{erasure}/certificate", certificate),
        Exit("POST /v1/documents/{document}:relabel", "/v1/documents/none:relabel", labels),
        Exit("GET /v1/quarantine", f"/v1/quarantine?purpose={purpose}"),
        Exit("GET /v1/quarantine/{document}", f"{item}?purpose={purpose}"),
        *(
            Exit(f"POST /v1/quarantine/{{document}}:{act}", f"{item}:{act}", decision)
            for act in ("release", "approve", "reject")
        ),
        Exit("POST /v1/quarantine/{document}:relabel", f"{item}:relabel", decision | labels),
        Exit("POST /v1/quarantine/{document}:retry", f"{item}:retry", {"purpose": purpose}),
    ]


def ask(client: TestClient, reader: str, one: Exit) -> Any:
    headers = {"Authorization": f"Bearer {reader}", **one.headers}
    return client.request(one.method, one.path, json=one.body, headers=headers)


# The asker's own words, handed back where nothing was found of them: nobody else's are said here.
ASKED = re.compile(r"nothing in them mentions: [^.]*\.|do not answer this: [^?]*\?")


def words_in(response: Any) -> set[str]:
    told = f"{response.text} {response.headers}".lower()
    return set(CANARY.findall(ASKED.sub(" ", told)))


def test_the_list_of_exits_is_whole(world: World, client: TestClient) -> None:
    some = next(iter(world.planted.values()))

    described = client.get("/openapi.json").json()["paths"]

    routes = {f"{method.upper()} {path}" for path, of in described.items() for method in of}
    assert {one.route for one in exits(P.TREAT, some, "doctor")} == routes | {"GET /openapi.json"}


def test_no_exit_says_a_word_that_its_caller_may_not_read(
    world: World, client: TestClient, record_property: Callable[[str, object], None]
) -> None:
    dice, met = random.Random(5), Counter[str]()
    # What the callers of each tenant wrote themselves stands in their tenant's log.
    written: dict[str, set[str]] = {tenant: set() for tenant in PEOPLE_ABOUT}
    for reader, (tenant, role) in READERS.items():
        for purpose in {*_usual(reader), dice.choice(list(Purpose))}:
            allowed = world.planted.keys() - {
                one.passage.chunk.id for one in world.forbidden(reader, purpose).values()
            }
            readable = {world.planted[chunk].canary for chunk in allowed}
            for planted in dice.sample(list(world.planted.values()), 3):
                written[tenant].add(planted.canary)
                for one in exits(purpose, planted, reader):
                    response = ask(client, reader, one)
                    met[one.route] += 1
                    met["said"] += len(words_in(response))
                    if role == "compliance" and one.route.startswith("GET /v1/audit/"):
                        # The log names the documents that were shown, to its reviewers alone.
                        own = {
                            each.canary
                            for each in world.planted.values()
                            if each.passage.labels.tenant == tenant
                        }
                        assert words_in(response) <= own | written[tenant]
                        continue
                    assert words_in(response) <= readable, (reader, purpose, one)
                    assert response.status_code < 500

    record_property("requests", sum(met.values()) - met["said"])
    print(f"{sum(met.values()) - met['said']} requests, {met['said']} words read by right")
    assert met["said"] > 100


@pytest.mark.parametrize("failing", ["index", "detector", "register", "bug"])
def test_no_failure_says_a_word(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    planted = next(iter(world.planted.values()))

    def fail(*_: object, **__: object) -> None:
        raise {
            "index": IndexUnavailableError(f"at {planted.canary}"),
            "register": UnavailableError(f"at {planted.canary}"),
            "bug": RuntimeError(f"at {planted.canary}"),
        }[failing]

    if failing == "detector":
        monkeypatch.setattr(world.bench.privacy, "_detector", FailingDetector())
    elif failing == "register":
        monkeypatch.setattr(Register, "standing", fail)
    else:
        monkeypatch.setattr(MemoryIndex, "search", fail)
        monkeypatch.setattr(MemoryIndex, "fetch", fail)
    failed = 0
    for one in exits(P.TREAT, planted, "doctor"):
        response = ask(client, "doctor", one)
        failed += response.status_code >= 500
        if response.status_code >= 500:
            assert words_in(response) == set()
    assert failed


COSTLY = (
    *((Verdicts, "decide"), (Verdicts, "_ask"), (MemoryIndex, "fetch"), (MemoryIndex, "search")),
    *((TenantLogs, "append_together"), (Register, "_transaction"), (SqlCatalog, "_transaction")),
)


def test_what_is_forbidden_looks_like_what_is_not_there_and_takes_as_much_work(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock would be a poor witness; each question to a part that takes time is counted."""
    work = Counter[str]()
    for kind, name in COSTLY:
        monkeypatch.setattr(kind, name, _counted(work, f"{kind.__name__}.{name}", kind, name))
    dice, compared = random.Random(6), 0
    for reader in READERS:
        for purpose in {*_usual(reader), P.TREAT, P.SERVICE}:
            absent = [_seen(client, work, reader, one) for one in _by_id(purpose, ABSENT, "none")]
            again = [_seen(client, work, reader, one) for one in _by_id(purpose, ABSENT, "none")]
            assert [one[0] for one in again] == [one[0] for one in absent]
            hidden = list(world.forbidden(reader, purpose).values())
            for planted in dice.sample(hidden, min(6, len(hidden))):
                passage = planted.passage
                asked = _by_id(purpose, passage.chunk.id, passage.document)
                if READERS[reader][1] == "compliance":
                    # A reviewer may ask why somebody does not see a document of its own tenant.
                    asked = asked[:-1]
                for one, expected in zip(asked, again, strict=False):
                    assert _seen(client, work, reader, one) == expected, (reader, purpose, one)
                    compared += 1
    assert compared > 300


def _by_id(purpose: Purpose, chunk: str, document: str) -> list[Exit]:
    token = {"purpose": purpose, "token": "[US_SSN:aaaaaaaaaaaaaaaa]", "reason": "As I must know."}
    explained = {"purpose": purpose, "document": document}
    return [
        Exit("GET", f"/v1/sources/{chunk}?purpose={purpose}"),
        Exit("POST", f"/v1/sources/{chunk}:reveal", token),
        Exit("POST", "/v1/policies:explain", explained),
    ]


def _seen(
    client: TestClient, work: Counter[str], reader: str, one: Exit
) -> tuple[tuple[object, ...], dict[str, int]]:
    """Return what the caller sees, but for the id of the request, and what work it took."""
    work.clear()
    response = ask(client, reader, one)
    body = {name: value for name, value in response.json().items() if name != "request_id"}
    headers = {k: v for k, v in response.headers.items() if k not in {"x-request-id", "date"}}
    return (response.status_code, headers, body), dict(work)


def _counted(work: Counter[str], label: str, kind: type, name: str) -> Callable[..., Any]:
    plain = getattr(kind, name)

    def counted(self: object, *given: Any, **named: Any) -> Any:
        work[label] += 1
        return plain(self, *given, **named)

    return counted


def test_nobody_learns_by_an_explanation_what_a_stranger_said(
    world: World, client: TestClient
) -> None:
    labels = {"collection": "clinical", "department": "cardiology"}

    def explained(reader: str, subject: str, purpose: Purpose) -> Any:
        asked = {"purpose": purpose, "labels": labels, "subject": subject}
        return ask(client, reader, Exit("POST", "/v1/policies:explain", asked)).json()

    assert ("mrn:2", P.TREAT) in REFUSED
    assert explained("stranger", "mrn:2", P.TREAT) == explained("stranger", "mrn:none", P.TREAT)
    assert explained("doctor", "mrn:2", P.TREAT)["consent"] == "refused"
    assert explained("compliance", "mrn:2", P.TREAT)["consent"] == "refused"


@pytest.mark.parametrize(("reader", "act"), [("doctor", "end"), ("bank-compliance", "review")])
def test_somebody_elses_opening_is_as_absent_as_none(
    client: TestClient, reader: str, act: str
) -> None:
    def tried(opening: str) -> Any:
        body = {"verdict": "ok"} if act == "review" else None
        path = f"/v1/breakglass/{opening}:{act}?purpose=ETREAT"
        response = ask(client, reader, Exit("POST", path, body))
        return response.status_code, {**response.json(), "request_id": ""}

    assert tried(f"{0:032x}") == tried("f" * 32)
    assert tried("f" * 32)[0] == 404
