"""Who may see what, over REST: relations, consents, broken glasses, single values, explanations."""

from datetime import UTC, datetime, timedelta

import pytest

from ragplatform import openers
from ragplatform.audit.events import Action
from ragplatform.errors import AuditError, UnavailableError
from tests.state import entry_of

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
QUESTION = "Why was apixaban stopped?"
REASON = "Unconscious in the emergency room, no care team here yet."
ABSENT = "00000000-0000-4000-8000-999999999999"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)

    def __call__(self):
        return self.now

    def forward(self, **by):
        self.now += timedelta(**by)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(openers, "now", made)
    return made


@pytest.fixture
def ward(clock, bench):
    one = bench()
    one.put(STOPPED, subjects=["mrn:1"])
    one.put("Metformin was stopped for John Smith because of his kidneys.", subjects=["mrn:2"])
    return one


@pytest.fixture
def client(ward, serve):
    return serve(ward)


def as_(person):
    return {"Authorization": f"Bearer {person}"}


def post(client, person, path, **body):
    return client.post(path, json=body, headers=as_(person))


def sees(client, person, purpose="TREAT", question=QUESTION):
    """Return the documents that a search shows somebody; none for a refusal."""
    found = post(client, person, "/v1/search", question=question, purpose=purpose)
    assert found.status_code in {200, 403}
    return {one["document"] for one in found.json().get("results", [])}


def records(one, action):
    return one.records(action=action)


def relate(client, who="dr2", subject="mrn:1", person="administrator", **dates):
    relations = [{"principal": who, "subject": subject, **dates}]
    return post(client, person, "/v1/relations", purpose="HOPERAT", relations=relations)


def consent(client, word, subject="mrn:1", about="TREAT", person="administrator", **dates):
    body = {"purpose": "HOPERAT", "subject": subject, "about": about, "consent": word, **dates}
    return client.post("/v1/consents", json=body, headers=as_(person))


def break_glass(client, person="stranger", **changes):
    body = {
        "purpose": "ETREAT",
        "subject": "mrn:1",
        "reason": REASON,
        "minutes": 15,
        "proof": person,
        **changes,
    }
    return client.post("/v1/breakglass", json=body, headers=as_(person))


# Relations


def test_a_relation_opens_the_next_question_and_its_end_closes_the_one_after(ward, client):
    assert sees(client, "stranger") == set()

    assert relate(client).status_code == 204
    assert sees(client, "stranger") == {"doc-0"}

    ended = post(client, "administrator", "/v1/relations:remove",
                 purpose="HOPERAT", principal="dr2", subject="mrn:1")  # fmt: skip
    assert ended.json() == {"removed": 1}
    assert sees(client, "stranger") == set()
    assert [one.details["act"] for one in records(ward, Action.RELATIONS_CHANGED)] == [
        "added", "removed",
    ]  # fmt: skip


def test_a_relation_holds_only_between_its_dates(clock, client):
    tomorrow = (clock.now + timedelta(days=1)).isoformat()
    next_week = (clock.now + timedelta(days=7)).isoformat()
    relate(client, starts=tomorrow, ends=next_week)

    assert sees(client, "stranger") == set()
    clock.forward(days=1)
    assert sees(client, "stranger") == {"doc-0"}
    clock.forward(days=6)
    assert sees(client, "stranger") == set()


@pytest.mark.parametrize("person", ["doctor", "compliance", "reception", "banker"])
def test_who_has_not_the_duty_relates_nobody_and_is_recorded(ward, client, person):
    assert relate(client, person=person).status_code == 403
    assert sees(client, "stranger") == set()
    assert records(ward, Action.DENIED)[0].details["act"] == "manage_access"


def test_a_relation_of_another_tenant_opens_nothing_here(client, ward):
    tenant = ward.people["banker"]
    ward.people["bank-admin"] = type(tenant)("admin", "harbor", frozenset({"access-admin"}))
    relations = [{"principal": "dr2", "subject": "mrn:1"}]

    done = post(client, "bank-admin", "/v1/relations", purpose="SERVICE", relations=relations)

    assert done.status_code == 204
    assert sees(client, "stranger") == set()


def test_relations_without_a_record_are_not_made(ward, client, monkeypatch):
    def fail(_event):
        raise AuditError("no space")

    monkeypatch.setattr(ward.audit, "append", fail)

    assert relate(client).status_code == 503
    monkeypatch.undo()
    assert sees(client, "stranger") == set()


@pytest.mark.parametrize(
    "dates",
    [
        {"starts": "2026-11-26T12:00:00"},
        {"ends": "yesterday"},
        {"ends": "2020-01-01T00:00:00Z"},
        {"starts": "2027-01-01T00:00:00Z", "ends": "2026-12-01T00:00:00Z"},
    ],
)
def test_dates_without_a_zone_or_the_wrong_way_round_are_refused(client, dates):
    assert relate(client, **dates).status_code == 422


# Consent


def test_a_refusal_holds_for_the_next_question_and_its_end_too(ward, client):
    assert sees(client, "doctor") == {"doc-0"}

    assert consent(client, "refused").status_code == 200
    assert sees(client, "doctor") == set()

    assert consent(client, "silent").status_code == 200
    assert sees(client, "doctor") == {"doc-0"}
    said = [one.details["consent"] for one in records(ward, Action.CONSENT_CHANGED)]
    assert said == ["refused", "silent"]


def test_a_refusal_of_research_leaves_treatment_open(client):
    consent(client, "refused", about="HRESCH")

    assert sees(client, "researcher", "HRESCH") == {"doc-1"}
    assert sees(client, "doctor") == {"doc-0"}


def test_a_refusal_ends_by_itself_and_a_later_word_ends_an_earlier_one(clock, client):
    consent(client, "refused", ends=(clock.now + timedelta(hours=2)).isoformat())
    consent(client, "given", starts=(clock.now + timedelta(hours=1)).isoformat())

    assert sees(client, "doctor") == set()
    clock.forward(minutes=61)
    assert sees(client, "doctor") == {"doc-0"}
    listed = client.get("/v1/consents?purpose=HOPERAT&subject=mrn:1", headers=as_("administrator"))
    assert [one["consent"] for one in listed.json()] == ["refused", "given"]
    assert "mrn:1" not in listed.text


def test_billing_reads_an_addiction_bill_only_while_the_patient_consents(ward, client):
    ward.put("A bill for counselling of Maria Lopez.", subjects=["mrn:1"], department="billing",
             restrictions=frozenset({"part2"}))  # fmt: skip
    question = "Which bill for counselling?"

    assert sees(client, "billing", "HPAYMT", question) == set()
    consent(client, "given", about="HPAYMT")
    assert sees(client, "billing", "HPAYMT", question) == {"doc-2"}
    consent(client, "silent", about="HPAYMT")
    assert sees(client, "billing", "HPAYMT", question) == set()


def test_a_consent_cannot_be_backdated(client, clock):
    past = (clock.now - timedelta(days=1)).isoformat()

    assert consent(client, "given", starts=past).status_code == 422


def test_when_the_register_cannot_be_read_nothing_is_shown(ward, client, monkeypatch):
    def fail(*_):
        raise UnavailableError("the access register did not answer")

    monkeypatch.setattr(type(ward.platform.store.register), "standing", fail)

    for path in ("/v1/search", "/v1/ask"):
        response = post(client, "doctor", path, question=QUESTION, purpose="TREAT")
        assert response.status_code == 503
        assert "pixaban" not in response.text


# Breaking the glass


def test_a_broken_glass_opens_one_patient_for_its_minutes_and_ends_by_itself(ward, client, clock):
    opened = break_glass(client)

    assert opened.status_code == 201
    assert sees(client, "stranger", "ETREAT") == {"doc-0"}
    assert sees(client, "stranger", "TREAT") == set()
    clock.forward(minutes=15)
    assert sees(client, "stranger", "ETREAT") == set()


def test_the_reason_is_on_record_sealed_and_before_the_reviewer_with_its_uses(ward, client, clock):
    opening = break_glass(client).json()["id"]
    sees(client, "stranger", "ETREAT")
    sees(client, "stranger", "ETREAT")
    sees(client, "stranger", "ETREAT", "What of metformin?")

    [record] = records(ward, Action.BROKE_GLASS)
    assert openers.unsealed(ward.settings, record) == {"reason": REASON}
    assert REASON not in str(record.details)
    shown = [one for one in records(ward, Action.RETRIEVED) if one.details["passages"]]
    assert shown[0].details["glass"] == [opening]
    [waiting] = client.get("/v1/breakglass/reviews", headers=as_("compliance")).json()
    assert waiting["subject"] == "mrn:1"
    assert waiting["reason"] == REASON
    assert waiting["principal"] == "dr2"
    assert waiting["uses"] == 3
    assert waiting["in_force"]
    assert records(ward, Action.QUEUE_READ)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"minutes": 61}, 422),
        ({"minutes": 0}, 422),
        ({"reason": "because"}, 422),
        ({"reason": " " * 40}, 422),
        ({"subject": ""}, 422),
        ({"subject": "mrn:1\n"}, 201),
        ({"subject": "mrn:\x001"}, 422),
        ({"proof": "doctor"}, 401),
        ({"proof": "wrong"}, 401),
        ({"purpose": "TREAT"}, 403),
        ({"purpose": "HRESCH"}, 403),
    ],
)
def test_a_glass_is_broken_only_whole_by_right_and_with_a_second_proof(
    ward, client, changes, status
):
    assert break_glass(client, **changes).status_code == status
    if status != 201:
        assert sees(client, "stranger", "ETREAT") == set()
        assert not records(ward, Action.BROKE_GLASS)
    if status in {401, 403}:
        assert records(ward, Action.DENIED)[0].details["act"] == "break_glass"


@pytest.mark.parametrize("person", ["reception", "compliance", "administrator", "researcher"])
def test_who_treats_nobody_breaks_no_glass(client, person):
    assert break_glass(client, person).status_code == 403


def test_a_glass_without_a_record_stays_whole(ward, client, monkeypatch):
    def fail(_event):
        raise AuditError("no space")

    monkeypatch.setattr(ward.audit, "append", fail)
    assert break_glass(client).status_code == 503
    monkeypatch.undo()

    assert sees(client, "stranger", "ETREAT") == set()


def test_breaking_the_glass_for_somebody_unknown_looks_the_same(client):
    known, unknown = break_glass(client), break_glass(client, subject="mrn:none")

    assert known.json().keys() == unknown.json().keys()
    assert (known.status_code, unknown.status_code) == (201, 201)


def test_only_so_many_are_open_at_once(client):
    statuses = [break_glass(client, subject=f"mrn:{n}").status_code for n in range(4)]

    assert statuses == [201, 201, 201, 403]


def test_ones_own_can_be_ended_early_and_nobody_elses(client, ward):
    opening = break_glass(client).json()["id"]
    path = f"/v1/breakglass/{opening}:end?purpose=ETREAT"

    assert client.post(path, headers=as_("doctor")).status_code == 404
    assert sees(client, "stranger", "ETREAT") == {"doc-0"}
    assert client.post(path, headers=as_("stranger")).status_code == 204
    assert sees(client, "stranger", "ETREAT") == set()
    assert client.get("/v1/breakglass?purpose=ETREAT", headers=as_("stranger")).json() == []
    assert records(ward, Action.GLASS_ENDED)


def test_a_reviewer_ends_what_another_opened(client, ward):
    opening = break_glass(client).json()["id"]

    ended = client.post(
        f"/v1/breakglass/{opening}:end?purpose=COMPLIANCE", headers=as_("compliance")
    )

    assert ended.status_code == 204
    assert sees(client, "stranger", "ETREAT") == set()
    [record] = records(ward, Action.GLASS_ENDED)
    assert record.details["of"] == ward.people["stranger"].id


def test_reaching_for_an_opening_that_is_not_there_is_on_record(client, ward):
    client.post("/v1/breakglass/none:end?purpose=ETREAT", headers=as_("doctor"))
    sign_off(client, "none")

    outcomes = [records(ward, one)[0].outcome for one in (Action.GLASS_ENDED, Action.REVIEWED)]
    assert outcomes == ["denied", "denied"]


def sign_off(client, opening, person="compliance", **body):
    sent = {"verdict": "ok", **body}
    return client.post(f"/v1/breakglass/{opening}:review", json=sent, headers=as_(person))


def test_a_reviewer_signs_off_once_and_only_what_is_over(client, ward, clock):
    opening = break_glass(client).json()["id"]

    assert sign_off(client, opening).status_code == 422
    clock.forward(minutes=16)
    assert sign_off(client, opening, verdict="concern").status_code == 422
    assert sign_off(client, opening, verdict="concern", note="Ask Dr Lee.").status_code == 204
    assert sign_off(client, opening, person="second-reviewer").status_code == 422
    assert client.get("/v1/breakglass/reviews", headers=as_("compliance")).json() == []
    [done] = client.get("/v1/breakglass/reviews?state=done", headers=as_("compliance")).json()
    assert (done["verdict"], done["reviewer"], done["note"]) == ("concern", "audit", "Ask Dr Lee.")
    assert len(records(ward, Action.REVIEWED)) == 1


@pytest.mark.parametrize("person", ["stranger", "doctor", "administrator", "banker"])
def test_who_is_no_reviewer_of_the_tenant_sees_no_queue_and_signs_nothing(client, person, clock):
    opening = break_glass(client).json()["id"]
    clock.forward(minutes=16)

    assert client.get("/v1/breakglass/reviews", headers=as_(person)).status_code == 403
    assert sign_off(client, opening, person).status_code == 403


def test_nobody_signs_off_their_own_opening(ward, client, clock):
    opening = break_glass(client).json()["id"]
    clock.forward(minutes=16)
    stranger = ward.people["stranger"]
    ward.people["promoted"] = type(stranger)(stranger.id, "mercy", frozenset({"compliance"}))

    assert sign_off(client, opening, "promoted").status_code == 403
    [waiting] = client.get("/v1/breakglass/reviews", headers=as_("compliance")).json()
    assert waiting["verdict"] is None


# Single values


@pytest.fixture
def bill(ward):
    """A bill whose birth date and card number billing does not see in clear."""
    text = "Bill for Maria Lopez, SSN 078-05-1120, seen for a cough."
    return ward.put(text, subjects=["mrn:1"], department="billing")


def masked(client, chunk):
    shown = client.get(f"/v1/sources/{chunk}?purpose=HPAYMT", headers=as_("billing")).json()
    tokens = [word.strip(".,") for word in shown["text"].split() if word.startswith("[US_SSN:")]
    return shown["text"], tokens[0] if tokens else ""


def reveal(client, chunk, token, person="billing", **changes):
    body = {"purpose": "HPAYMT", "token": token, "reason": "The insurer asks for it.", **changes}
    return client.post(f"/v1/sources/{chunk}:reveal", json=body, headers=as_(person))


def test_one_value_is_shown_for_a_reason_for_minutes_and_recorded(ward, client, bill, clock):
    before, token = masked(client, bill)
    assert "078-05-1120" not in before

    shown = reveal(client, bill, token, minutes=5)

    assert shown.json()["value"] == "078-05-1120"
    assert "078-05-1120" in masked(client, bill)[0]
    clock.forward(minutes=5)
    assert masked(client, bill)[0] == before
    [record] = records(ward, Action.REVEALED)
    assert record.details["entity"] == "US_SSN"
    assert record.details["chunk"] == bill
    assert openers.unsealed(ward.settings, record) == {"reason": "The insurer asks for it."}


def test_what_one_person_unmasked_stays_masked_to_all_others(ward, client, bill):
    other = ward.people["billing"]
    ward.people["other-billing"] = type(other)("bill2", "mercy", other.roles, frozenset(), 2)
    before, token = masked(client, bill)
    reveal(client, bill, token)

    shown = client.get(f"/v1/sources/{bill}?purpose=HPAYMT", headers=as_("other-billing"))

    assert shown.json()["text"] == before


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"reason": "curious"}, 422),
        ({"minutes": 16}, 422),
        ({"token": "[US_SSN:aaaaaaaaaaaaaaaa]"}, 422),
        ({"token": "Maria"}, 422),
        ({"purpose": "TREAT"}, 404),
    ],
)
def test_a_value_stays_masked_without_reason_right_or_place(ward, client, bill, changes, status):
    _, token = masked(client, bill)

    response = reveal(client, bill, changes.get("token", token), **{
        name: value for name, value in changes.items() if name != "token"
    })  # fmt: skip

    assert response.status_code == status
    assert "078-05-1120" not in response.text
    assert "078-05-1120" not in masked(client, bill)[0]


def test_a_type_that_policy_lets_nobody_unmask_stays_masked_and_is_recorded(ward, client, bill):
    _, token = masked(client, bill)

    response = reveal(client, bill, token, "researcher", purpose="HRESCH")

    assert response.status_code == 403
    assert "078-05-1120" not in response.text
    assert records(ward, Action.REVEALED)[-1].outcome == "denied"


def test_a_value_of_a_forbidden_source_is_as_absent_as_that_of_none(client, bill):
    _, token = masked(client, bill)

    hidden = reveal(client, bill, token, "stranger", purpose="TREAT").json()
    missing = reveal(client, ABSENT, token, "stranger", purpose="TREAT").json()

    assert hidden.pop("request_id") != missing.pop("request_id")
    assert hidden == missing


# Explanations


def explain(client, person, **body):
    return client.post("/v1/policies:explain", json=body, headers=as_(person))


LABELS = {"collection": "clinical", "department": "cardiology"}
LEE = {"id": "dr2", "roles": ["physician"], "clearance": "confidential"}


def test_one_learns_why_one_may_not_read_such_a_document_and_what_would_permit_it(client):
    found = explain(client, "stranger", purpose="TREAT", labels=LABELS).json()

    assert not found["allowed"]
    assert found["failed"] == {"health.care-team": ["context.related"]}
    kinds = {change["kind"] for way in found["changes"] for change in way}
    assert "related" in kinds
    assert len(found["policy_digest"]) == 64


def test_a_document_that_one_may_not_read_is_explained_as_one_that_is_not_there(client, ward):
    put_in_catalog(ward)

    hidden = explain(client, "stranger", purpose="TREAT", document="doc-0")
    missing = explain(client, "stranger", purpose="TREAT", document="doc-none")

    assert (hidden.status_code, missing.status_code) == (404, 404)
    one, other = hidden.json(), missing.json()
    assert one.pop("request_id") != other.pop("request_id")
    assert one == other


def test_lending_oneself_other_roles_needs_the_duty_too(client, ward):
    put_in_catalog(ward)

    for document in ("doc-0", "doc-none"):
        forged = {**LEE, "roles": ["emergency-physician"]}
        found = explain(client, "stranger", purpose="ETREAT", document=document, reader=forged)
        assert found.status_code == 403


def test_a_reviewer_learns_why_somebody_may_not_see_a_document_and_is_recorded(client, ward):
    put_in_catalog(ward)

    before = explain(client, "compliance", purpose="TREAT", document="doc-0", reader=LEE).json()
    relate(client)
    after = explain(client, "compliance", purpose="TREAT", document="doc-0", reader=LEE).json()

    assert (before["allowed"], before["related"]) == (False, False)
    assert (after["allowed"], after["related"]) == (True, True)
    assert [one["id"] for one in after["policies"]] == ["health.care-team"]
    assert len(records(ward, Action.EXPLAINED)) == 2


def test_a_reviewer_of_one_tenant_learns_nothing_of_another(client, ward):
    put_in_catalog(ward)
    bank = ward.people["banker"]
    ward.people["bank-review"] = type(bank)("r", "harbor", frozenset({"compliance"}))

    found = explain(client, "bank-review", purpose="SERVICE", document="doc-0", reader=LEE)

    assert found.status_code == 404


def put_in_catalog(ward):
    passage = next(iter(ward.index._entries.values())).passage
    ward.platform.store.catalog.put_document(entry_of(passage))
