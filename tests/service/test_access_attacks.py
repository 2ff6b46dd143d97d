"""What people of ill will try with relations, consents, broken glasses and explanations."""

from datetime import UTC, datetime, timedelta

import pytest

from ragplatform.access.desk import Caller, RawRelation
from ragplatform.audit.events import Action
from ragplatform.errors import DeniedError
from ragplatform.model import Purpose

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
LABELS = {"collection": "clinical", "department": "cardiology"}


@pytest.fixture
def ward(bench):
    one = bench()
    one.put(STOPPED, subjects=["mrn:1"])
    return one


@pytest.fixture
def client(ward, serve):
    return serve(ward)


def post(client, person, path, **body):
    return client.post(path, json=body, headers={"Authorization": f"Bearer {person}"})


def consent(client, word, **more):
    body = {"purpose": "HOPERAT", "subject": "mrn:1", "about": "TREAT", "consent": word, **more}
    return post(client, "administrator", "/v1/consents", **body)


def explain(client, person, **body):
    return post(client, person, "/v1/policies:explain", **body)


def test_nobody_learns_by_guessed_ids_what_a_patient_said(client):
    answers = []
    for word in ("silent", "given", "refused"):
        consent(client, word)
        found = explain(client, "stranger", purpose="TREAT", labels=LABELS, subject="mrn:1").json()
        found.pop("request_id", None)
        answers.append(found)

    assert answers[0] == answers[1] == answers[2]


def test_who_is_related_learns_that_the_patient_refuses(client):
    consent(client, "refused")

    found = explain(client, "doctor", purpose="TREAT", labels=LABELS, subject="mrn:1").json()

    assert (found["allowed"], found["consent"]) == (False, "refused")


def test_a_reviewer_learns_what_a_patient_said_and_about_whom_is_on_record(ward, client):
    consent(client, "refused")

    found = explain(client, "compliance", purpose="TREAT", labels=LABELS, subject="mrn:1").json()

    assert found["consent"] == "refused"
    ref = ward.platform.store.vault.subject_ref("mercy", "mrn:1")
    assert ward.records(action=Action.EXPLAINED)[0].subjects == (ref,)


def test_what_is_only_supposed_crowds_out_nothing_that_was_decided(ward, client):
    memory = ward.platform.policies._verdicts._memory
    explain(client, "stranger", purpose="TREAT", labels=LABELS)
    before = len(memory)

    explain(client, "stranger", purpose="TREAT", labels={**LABELS, "department": "other"})

    assert len(memory) - before <= 4


def test_one_too_many_open_is_on_record(ward, client):
    for number in range(4):
        post(client, "stranger", "/v1/breakglass", purpose="ETREAT", subject=f"mrn:{number}",
             proof="stranger", reason="Unconscious in the emergency room.")  # fmt: skip

    assert ward.records(action=Action.DENIED)[-1].details["reason"] == "too many open"


def test_a_verdict_that_came_too_late_is_recorded_as_such(ward, client, monkeypatch):
    opened = post(client, "stranger", "/v1/breakglass", purpose="ETREAT", subject="mrn:1",
                  proof="stranger", reason="Unconscious in the emergency room.").json()  # fmt: skip
    path = f"/v1/breakglass/{opened['id']}"
    client.post(f"{path}:end?purpose=ETREAT", headers={"Authorization": "Bearer stranger"})
    monkeypatch.setattr(type(ward.platform.store.register), "sign_off", lambda *_, **__: False)

    assert post(client, "compliance", f"{path}:review", verdict="ok").status_code == 422
    outcomes = [one.outcome for one in ward.records(action=Action.REVIEWED)]
    assert outcomes == ["success", "failure"]


def test_a_long_restriction_is_refused(client):
    labels = {**LABELS, "restrictions": ["x" * 64]}

    assert explain(client, "stranger", purpose="TREAT", labels=labels).status_code == 422


def test_all_who_are_related_by_hand_are_named_on_record(ward, client):
    relations = [{"principal": f"p{n}", "subject": f"mrn:{n}"} for n in range(250)]

    post(client, "administrator", "/v1/relations", purpose="HOPERAT", relations=relations)

    named = [
        one["principal"]
        for record in ward.records(action=Action.RELATIONS_CHANGED)
        for one in record.details["named"]
    ]
    assert sorted(named) == sorted(one["principal"] for one in relations)


def test_nobody_relates_themselves_whatever_other_roles_they_have(ward, client):
    admin = ward.people["administrator"]
    # The same person by another token, which names another role.
    ward.people["admin-as-reader"] = type(admin)("admin", "mercy", ward.people["doctor"].roles)
    relations = [{"principal": " admin", "subject": "mrn:1"}]

    done = post(client, "administrator", "/v1/relations", purpose="HOPERAT", relations=relations)

    assert done.status_code == 403
    found = explain(client, "admin-as-reader", purpose="TREAT", labels=LABELS, subject="mrn:1")
    assert not found.json()["related"]
    assert ward.records(action=Action.DENIED)[-1].details["reason"] == "own relation"


def test_a_feed_that_names_who_imports_it_is_refused_whole(ward):
    desk = ward.platform.desk
    caller = Caller(ward.people["administrator"], Purpose.HOPERAT, "import")
    relations = [RawRelation("dr9", "mrn:2"), RawRelation(caller.principal.id, "mrn:1")]

    with pytest.raises(DeniedError, match="no person's"):
        desk.replace_feed(caller, "ward", relations, None)

    assert desk.feeds(caller) == []
    assert ward.records(action=Action.DENIED)[-1].details["reason"] == "own relation"


def test_the_record_of_a_feed_tells_it_from_another_of_its_size(ward):
    caller = Caller(ward.people["administrator"], Purpose.HOPERAT, "import")
    first, second = RawRelation("dr9", "mrn:2"), RawRelation("dr9", "mrn:3")
    other = RawRelation("dr9", "mrn:4")

    for feed in ([first, second], [second, first], [first, other]):
        ward.platform.desk.replace_feed(caller, "ward", feed, None)

    found = [one.details["sha256"] for one in ward.records(action=Action.RELATIONS_CHANGED)]
    assert found[0] == found[1] != found[2]


def test_a_relation_is_removed_however_its_ends_are_written(client):
    relations = [{"principal": " dr2 ", "subject": "mrn:1"}]
    post(client, "administrator", "/v1/relations", purpose="HOPERAT", relations=relations)

    gone = post(client, "administrator", "/v1/relations:remove", purpose="HOPERAT",
                principal=" dr2 ", subject="mrn:1")  # fmt: skip

    assert gone.json() == {"removed": 1}


def test_a_consent_that_is_over_before_it_begins_leaves_a_refusal_standing(client):
    consent(client, "refused")
    now = datetime.now(UTC)

    over = consent(client, "given", starts=(now - timedelta(minutes=4)).isoformat(),
                   ends=(now - timedelta(minutes=1)).isoformat())  # fmt: skip

    assert over.status_code == 422
    found = explain(client, "doctor", purpose="TREAT", labels=LABELS, subject="mrn:1").json()
    assert found["consent"] == "refused"


def test_an_end_past_all_calendars_is_refused(client):
    done = consent(client, "given", ends="9999-12-31T23:59:59-23:59")
    assert done.status_code == 422

    listed = client.get(
        "/v1/consents?purpose=HOPERAT&subject=mrn:1",
        headers={"Authorization": "Bearer administrator"},
    )
    assert listed.json() == []


@pytest.fixture
def bill(ward):
    text = "Bill for Maria Lopez, SSN 078-05-1120, seen for a cough."
    return ward.put(text, subjects=["mrn:1"], department="billing")


def shown(client, chunk, person, purpose):
    path = f"/v1/sources/{chunk}?purpose={purpose}"
    return client.get(path, headers={"Authorization": f"Bearer {person}"}).json()["text"]


def unmask(client, chunk, person="billing", purpose="HPAYMT"):
    text = shown(client, chunk, person, purpose)
    [token] = [word.strip(".,") for word in text.split() if word.startswith("[US_SSN:")]
    body = {"purpose": purpose, "token": token, "reason": "The insurer asks for it."}
    return post(client, person, f"/v1/sources/{chunk}:reveal", **body)


def test_what_was_unmasked_for_one_purpose_stays_masked_for_another(ward, client, bill):
    both = ward.people["billing"]
    roles = both.roles | {"researcher"}
    ward.people["billing"] = type(both)("bill", "mercy", roles, frozenset(), both.clearance)
    assert unmask(client, bill).json()["value"] == "078-05-1120"

    assert "078-05-1120" in shown(client, bill, "billing", "HPAYMT")
    assert "078-05-1120" not in shown(client, bill, "billing", "HRESCH")


def test_an_unmasked_value_is_counted_in_the_record_of_each_look(ward, client, bill):
    unmask(client, bill)

    shown(client, bill, "billing", "HPAYMT")

    assert ward.records(action=Action.SOURCE_VIEWED)[-1].details["revealed"]["US_SSN"] == 1


def test_a_value_unmasked_under_a_broken_glass_goes_before_its_reviewers(ward, client):
    chunk = ward.put("Client Jo Park, SSN 078-05-1120, asks for a loan.", tenant="harbor",
                     collection="banking", department="branch", subjects=["client:2"])  # fmt: skip
    post(client, "banker", "/v1/breakglass", purpose="SERVICE", subject="client:2", proof="banker",
         reason="A colleague is ill and the client waits.")  # fmt: skip
    register = ward.platform.store.register
    text = shown(client, chunk, "banker", "SERVICE")
    before = register.openings("harbor")[0].uses
    [token] = [word.strip(".,") for word in text.split() if word.startswith("[US_SSN:")]

    done = post(client, "banker", f"/v1/sources/{chunk}:reveal", purpose="SERVICE", token=token,
                reason="The credit agency asks for it.")  # fmt: skip

    assert done.json()["value"] == "078-05-1120"
    assert register.openings("harbor")[0].uses == before + 1
    assert ward.records(action=Action.REVEALED)[0].details["glass"]


def test_a_feed_that_goes_dark_again_is_recorded_again(ward, client, monkeypatch):
    now = datetime.now(UTC)
    monkeypatch.setattr(ward.platform.store.register, "_now", lambda: now + offset)
    register, offset = ward.platform.store.register, timedelta()
    register.replace_feed("mercy", "hr", [], 60)

    def ask():
        post(client, "doctor", "/v1/search", question="Why was apixaban stopped?", purpose="TREAT")
        return len(ward.records(action=Action.FEED_DARK))

    assert ask() == 0
    offset = timedelta(hours=1)
    assert (ask(), ask()) == (1, 1)
    register.replace_feed("mercy", "hr", [], 60)
    assert ask() == 1
    offset = timedelta(hours=2)
    assert ask() == 2
