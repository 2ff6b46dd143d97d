"""Whoever decides on the command line is known by a key of their own, and told what happened."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ingest.__main__ import app
from ingest.commands import quarantine
from ingest.quarantine import Quarantine
from ragplatform import identities
from ragplatform.errors import UnauthenticatedError
from ragplatform.model import Principal
from tests.quarantine_world import ANNA, BEN, LEAK, SECRET, WHY, World, world

PEOPLE = {"key-of-anna": ANNA.principal, "key-of-ben": BEN.principal}


@pytest.fixture
def place(memory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    @contextmanager
    def opened(settings: object) -> Iterator[Quarantine]:
        yield made.desk

    def whose(settings: object, key: str) -> Principal:
        if key not in PEOPLE:
            raise UnauthenticatedError("unknown key")
        return PEOPLE[key]

    with world(memory / "data") as made:
        monkeypatch.setattr(quarantine.quarantine_wiring, "quarantine", opened)
        monkeypatch.setattr(quarantine.console, "settings", lambda: None)
        monkeypatch.setattr(identities, "authenticate", whose)
        yield made


def run(*arguments: str, key: str = "key-of-anna") -> Result:
    return CliRunner().invoke(
        app, ["quarantine", *arguments], env={"RAGPLATFORM_API_KEY": key}, catch_exceptions=False
    )


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("key", ["", "stolen"])
def test_nothing_is_told_to_somebody_without_a_key(place: World, key: str) -> None:
    place.put_aside()
    result = run("list", key=key)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_list_with_something_in_it_ends_with_code_one(place: World) -> None:
    assert run("list").exit_code == 0
    item = place.put_aside()
    result = run("list", "--json")
    [line] = lines(result)
    assert result.exit_code == 1
    assert (line["document"], line["reason"]) == (item.document, "contains_secret")


def test_what_is_shown_holds_no_value(place: World) -> None:
    item = place.put_aside()
    result = run("show", item.document)
    assert "The password is [SECRET]" in result.stdout
    assert SECRET not in result.stdout
    assert "Lopez" not in result.stdout


def test_two_keys_let_a_document_in_and_one_does_not(place: World) -> None:
    item = place.put_aside()
    reason = ("--reason", WHY)
    assert run("release", item.document, *reason).exit_code == 0
    assert run("approve", item.document, *reason).exit_code == 2
    done = run("approve", item.document, *reason, "--json", key="key-of-ben")
    assert done.exit_code == 0
    assert [line["state"] for line in lines(done)] == ["indexed"]
    assert len(place.texts()) == 1


def test_what_stays_out_ends_a_retry_with_code_one(place: World) -> None:
    place.put_aside()
    assert run("retry", "--all").exit_code == 1
    assert run("retry").exit_code == 2


def test_labels_are_given_as_for_a_run(place: World) -> None:
    item = place.put_aside("A plain note.", restrictions=frozenset({"misspelt"}))
    labels = ("--label", "restriction=vip", "--label", "department=cardiology")
    assert run("relabel", item.document, *labels, "--reason", WHY).exit_code == 0
    assert run("list").exit_code == 0


def test_a_rejected_document_does_not_keep_the_list_from_being_done(place: World) -> None:
    item = place.put_aside()
    assert run("reject", item.document, "--reason", WHY).exit_code == 0
    assert run("list").exit_code == 0
    assert place.ingest({"note.txt": LEAK})[0].state == "rejected"


def test_a_proposed_rule_is_written_as_the_file_has_it(place: World) -> None:
    item = place.put_aside(name="manuals/a.txt")
    wanted = ("--id", "manuals", "--do", "mask", "--match", "manuals/*", "--reason", WHY)
    result = run("rule", item.document, *wanted)
    assert result.exit_code == 0
    assert result.stdout.startswith('[[rule]]\nid = "manuals"\n')
