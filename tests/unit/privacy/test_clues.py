"""A question finds what documents spell otherwise, and nobody whom its asker may not see."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import PlatformError
from ragplatform.model import AllOf, AnyOf, Clause, Labels, Purpose, Scope, Span
from ragplatform.privacy import tokens
from ragplatform.privacy.clues import asked, fits, other_ways, stored
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import MOST_NAMESAKES, Vault

RULES = PrivacyRules.load(Path(__file__).resolve().parents[3] / "policies" / "privacy.toml")
ALL = ("PERSON", "MEDICAL_RECORD_NUMBER", "ACCOUNT_NUMBER")


class Marked:
    """Finds what stands between angle brackets: ``<PERSON:John Smith>``, brackets included."""

    version = "marked"

    def detect(self, texts):
        return [[self._span(text)] if ":" in text else [] for text in texts]

    def _span(self, text: str) -> Span:
        entity = text[: text.index(":")]
        return Span(len(entity) + 1, len(text), entity, CATEGORY_OF[entity], 0.9, "marked")


def scope(*reveals: str, tenant: str = "mercy", subjects: frozenset[str] = frozenset()) -> Scope:
    clauses = [Clause("collection", frozenset({"clinical"}))]
    if subjects:
        clauses.append(Clause("subjects", subjects))
    return Scope(
        tenant, "p", Purpose.TREAT, AnyOf((AllOf(tuple(clauses)),)), frozenset(reveals), "d", "k"
    )


@pytest.fixture
def vault(tmp_path: Path):
    opened = Vault(f"sqlite:///{tmp_path / 'vault.db'}", master=bytes(range(32)))
    yield opened
    opened.close()


@pytest.fixture
def privacy(vault: Vault) -> Privacy:
    return Privacy(detector=Marked(), rules=RULES, vault=vault)


def finds(privacy: Privacy, vault: Vault, entity: str, written: str, question: str) -> bool:
    """Return whether the question's terms hold the pseudonym of the value as written."""
    (token,) = vault.store("mercy", "s_1", [(entity, written)])
    given = privacy.clear_question(f"{entity}:{question}", scope(*ALL))
    return token in given.meant | tokens.tokens_in(given.text)


@pytest.mark.parametrize(
    ("written", "question"),
    [
        ("John A. Smith", "John Smith"),
        ("John A. Smith", "Smith"),
        ("John A. Smith", "J. Smith"),
        ("John A. Smith", "Smith, John"),
        ("John A. Smith", "John"),
        ("John A. Smith", "Dr. J.A. Smith"),
        ("SMITH, JOHN", "john a. smith"),
        ("Smith", "John Smith"),
        ("J. Smith", "John A. Smith"),
        ("Smith, J. A.", "John Andrew Smith"),
        ("Maria del Carmen Lopez", "Maria Lopez"),
        ("Brian Romero", "Romero Brian"),
        ("Brian A. Romero", "Romero Brian"),
        ("Brian Romero", "brian romero take"),
    ],
)
def test_a_name_is_found_however_much_of_it_is_asked(
    privacy: Privacy, vault: Vault, written: str, question: str
) -> None:
    assert finds(privacy, vault, "PERSON", written, question)


@pytest.mark.parametrize(
    ("written", "question"),
    [
        ("John B. Smith", "John A. Smith"),
        ("Mary Smith", "John Smith"),
        ("Mary Smith", "J. Smith"),
        ("John Smithson", "Smith"),
        ("John Smith", "John Jones"),
        ("Smith John", "Smith, John"),
    ],
)
def test_another_person_is_not_found(
    privacy: Privacy, vault: Vault, written: str, question: str
) -> None:
    assert not finds(privacy, vault, "PERSON", written, question)


@pytest.mark.parametrize(
    ("written", "question", "found"),
    [
        ("00123456", "123456", True),
        ("123456", "00123456", True),
        ("MH-204518", "204518", True),
        ("204518", "MH-204518", True),
        ("MH-204518", "XY-204518", False),
        ("1234567", "123456", False),
        ("0012", "12", False),
    ],
)
def test_a_number_is_found_with_and_without_prefix_and_zeros(
    privacy: Privacy, vault: Vault, written: str, question: str, found: bool
) -> None:
    assert finds(privacy, vault, "MEDICAL_RECORD_NUMBER", written, question) is found


def test_who_may_see_no_names_finds_nobody_by_one(privacy: Privacy, vault: Vault) -> None:
    vault.store("mercy", "s_1", [("PERSON", "John A. Smith")])
    for asking in (scope(), scope("MEDICAL_RECORD_NUMBER"), scope(*ALL, tenant="harbor")):
        given = privacy.clear_question("PERSON:John Smith", asking)
        found = given.meant | tokens.tokens_in(given.text)
        assert not found & {vault.token("mercy", "PERSON", "John A. Smith")}
    assert privacy.clear_question("PERSON:John Smith", scope()).meant == frozenset()


@pytest.mark.parametrize("question", ["known about John Smith?", "see john smith", "Smith John?"])
def test_a_whole_name_that_was_not_found_is_searched_for_as_it_is_spelt(
    privacy: Privacy, vault: Vault, question: str
) -> None:
    token = vault.token("mercy", "PERSON", "John Smith")

    assert token in privacy.clear_question(question, scope("PERSON")).spelt
    for asking in (scope(), scope("MEDICAL_RECORD_NUMBER"), scope("PERSON", tenant="harbor")):
        given = privacy.clear_question(question, asking)
        assert token not in given.spelt | given.meant


def test_a_whole_name_that_was_not_found_finds_who_is_written_with_more(
    privacy: Privacy, vault: Vault
) -> None:
    (token,) = vault.store("mercy", "s_1", [("PERSON", "John A. Smith")])

    assert token in privacy.clear_question("known about John Smith?", scope("PERSON")).meant


def test_of_many_namesakes_those_of_the_askers_own_patients_come_first(
    privacy: Privacy, vault: Vault
) -> None:
    for n in range(60):
        vault.store("mercy", f"s_{n}", [("PERSON", f"Given{n} Smith")])
    mine = {vault.token("mercy", "PERSON", f"Given{n} Smith") for n in (7, 31, 55)}
    asking = scope("PERSON", subjects=frozenset({"s_7", "s_31", "s_55"}))
    meant = privacy.clear_question("PERSON:Smith", asking).meant
    assert mine <= meant
    assert len(meant) <= MOST_NAMESAKES


def test_the_meant_pseudonyms_are_not_in_the_question_itself(
    privacy: Privacy, vault: Vault
) -> None:
    vault.store("mercy", "s_1", [("PERSON", "John A. Smith")])
    given = privacy.clear_question("PERSON:Smith", scope("PERSON"))
    assert given.meant
    assert not given.meant & tokens.tokens_in(given.text)


def test_a_forgotten_subject_is_found_by_no_clue(privacy: Privacy, vault: Vault) -> None:
    vault.store("mercy", "s_1", [("PERSON", "John A. Smith")])
    vault.destroy_subject("mercy", "s_1")
    assert vault.namesakes("mercy", asked("PERSON", "Smith")) == frozenset()


@pytest.mark.parametrize("column", ["tenant", "clue", "token", "subject", "sealed"])
def test_no_flipped_bit_of_a_clue_gives_a_wrong_pseudonym(
    vault: Vault, tmp_path: Path, column: str
) -> None:
    (token,) = vault.store("mercy", "s_1", [("PERSON", "John Smith")])
    connection = sqlite3.connect(tmp_path / "vault.db", isolation_level=None)
    connection.execute("pragma synchronous=off")
    good = connection.execute(f"select clue, {column} from vault_clues").fetchall()
    for clue, value in good:
        plain = value if isinstance(value, bytes) else str(value).encode()
        kind = "blob" if isinstance(value, bytes) else "text"
        for bit in range(0, len(plain) * 8, 3):
            bad = bytearray(plain)
            bad[bit // 8] ^= 1 << bit % 8
            row = connection.execute("select rowid from vault_clues where clue=?", (clue,))
            number = row.fetchone()[0]
            change = f"update vault_clues set {column}=cast(? as {kind}) where rowid=?"
            connection.execute(change, (bytes(bad), number))
            with contextlib.suppress(PlatformError):
                assert vault.namesakes("mercy", asked("PERSON", "Smith")) <= {token}
            connection.execute(change, (plain, number))
    connection.close()


def test_clues_say_less_than_the_name() -> None:
    assert [clue.key for clue in stored("PERSON", "Dr. John A. Smith")] == [
        "family smith",
        "initial j smith",
        "first john",
        "whole john smith",
    ]
    assert stored("PERSON", "...") == []
    assert stored("EMAIL_ADDRESS", "a@b.org") == []
    assert other_ways("PERSON", "Smith") == []
    assert other_ways("US_SSN", "078-05-1120") == []
    assert fits("", "ja")
    assert fits("jax", "ja")
    assert not fits("jb", "ja")


def test_names_in_the_vault_need_its_key(vault: Vault, tmp_path: Path) -> None:
    vault.store("mercy", "s_1", [("PERSON", "John Smith")])
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir()).lower()
    assert b"smith" not in raw
    other = Vault("sqlite://", master=bytes(32))
    assert other.token("mercy", "PERSON", "Smith") != vault.token("mercy", "PERSON", "Smith")
    other.close()


def test_a_document_and_a_question_meet_by_part_of_a_name(privacy: Privacy, vault: Vault) -> None:
    labels = Labels("mercy", "clinical")
    text = "PERSON:Whitfield, Eleanor J."
    done = privacy.transform(text, privacy.inspect([text])[0], labels)
    privacy.commit("mercy", ["s_1"], done)
    given = privacy.clear_question("PERSON:Eleanor Whitfield", scope("PERSON"))
    assert tokens.tokens_in(done.text) <= given.meant
