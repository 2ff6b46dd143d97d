"""``sources.toml`` is validated whole, and what a source says becomes labels or puts aside."""

from pathlib import Path

import pytest

from ingest.sources.config import SourceConfig, read_sources
from ingest.sources.labels import GivenLabels
from ingest.sources.port import Found, safe_name
from ragplatform.errors import ConfigurationError, QuarantinedError
from ragplatform.model import Sensitivity

HEAD = """
[[source]]
name = "ward"
kind = "folder"
place = "/srv/ward"
tenant = "mercy"
collection = "clinical"
"""


def read(tmp_path: Path, more: str = "", head: str = HEAD) -> SourceConfig:
    file = tmp_path / "sources.toml"
    file.write_text(head + more)
    return next(iter(read_sources(file).values()))


def reason(config: SourceConfig, name: str, **facts: str | tuple[str, ...]) -> str:
    with pytest.raises(QuarantinedError) as caught:
        labels(config, name, **facts)
    return caught.value.reason


def labels(config: SourceConfig, name: str, **facts: str | tuple[str, ...]) -> GivenLabels:
    pairs = tuple(
        (key, value)
        for key, values in facts.items()
        for value in ([values] if isinstance(values, str) else values)
    )
    return config.mapping.labels(Found(name, "1", facts=pairs))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ('password = "hunter2"', "unknown key 'password'"),
        ('include = "*"', "include is not a list"),
        ("largest_mb = -1", "largest_mb is not within"),
        ('unmapped = "open"', "unmapped is one of quarantine, restrict"),
        ('sidecar = "labels.toml"', "sidecar is a name such as"),
        ('[source.labels]\nsensitivity = "low"', "sensitivity is one of"),
        ('[source.labels]\ncolour = "red"', "unknown key 'colour'"),
        ('[[source.rule]]\npattern = "("', "pattern: "),
        ('[[source.rule]]\ndepartment = "{ward}"', "{ward} is none of"),
        ('[[source.rule]]\ndepartment = "{folder[0]}"', "{folder} is none of"),
        ('[[source.rule]]\nsubjects = "mrn:1"', "subjects is not a list"),
        ('[[source.rule]]\ndepartment = "a}"', "a brace stands alone"),
        (HEAD, "two sources are named ward"),
    ],
)
def test_a_file_with_one_mistake_is_refused_and_it_is_named(
    tmp_path: Path, more: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, more)

    assert problem in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "sources.toml").chmod(0o666)

    with pytest.raises(ConfigurationError, match="decides who reads"):
        read_sources(tmp_path / "sources.toml")


def test_a_place_with_a_password_in_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name a file of it") as caught:
        read(tmp_path, head=HEAD.replace("/srv/ward", "https://me:hunter2@host/"))

    assert "hunter2" not in str(caught.value)


def test_rules_apply_in_order_by_name_and_fact_with_their_templates(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        [source.labels]
        sensitivity = "internal"
        [[source.rule]]
        match = "*/*"
        department = "{folder[1]}"
        [[source.rule]]
        pattern = '/(?P<mrn>\\d{6})_'
        subjects = ["mrn:{mrn}", "{fact[account]}"]
        [[source.rule]]
        where = { group = "vip-*" }
        sensitivity = "restricted"
        restrictions = ["vip"]
        """,
    )

    plain = labels(config, "cardiology/note.txt", group="staff")
    closed = labels(config, "cardiology/123456_a.txt", group="vip-ward", account=("a:1", "a:2"))

    assert plain == GivenLabels(Sensitivity.INTERNAL, "cardiology")
    assert closed.sensitivity is Sensitivity.RESTRICTED
    assert closed.subjects == {"mrn:123456", "a:1", "a:2"}
    assert closed.restrictions == {"vip"}


def test_a_template_that_a_document_cannot_fill_puts_it_aside(tmp_path: Path) -> None:
    config = read(tmp_path, '[[source.rule]]\ndepartment = "{folder[2]}"\n')

    assert reason(config, "a/x.txt") == "labels_unmapped"
    assert labels(config, "a/b/x.txt").department == "b"


def test_a_label_that_is_no_name_puts_the_document_aside(tmp_path: Path) -> None:
    config = read(tmp_path, '[[source.rule]]\ndepartment = "{folder[1]}"\n')

    assert reason(config, "Ward 5/x.txt") == "labels_invalid"


def test_a_value_with_braces_of_its_own_is_put_in_as_it_stands(tmp_path: Path) -> None:
    config = read(tmp_path, '[[source.rule]]\nsubjects = ["{folder[1]}:{fact[owner]}"]\n')

    assert labels(config, "{fact[owner]}/x", owner="eve").subjects == {"{fact[owner]}:eve"}


ACL = """
acl = ["group"]
[[source.rule]]
where = { group = "cardio" }
department = "cardiology"
[[source.rule]]
where = { group = "onco" }
department = "oncology"
[[source.rule]]
where = { group = "board" }
sensitivity = "restricted"
"""


def test_an_access_list_that_no_rule_speaks_of_puts_the_document_aside(tmp_path: Path) -> None:
    config = read(tmp_path, ACL)

    assert labels(config, "x", group="cardio").department == "cardiology"
    assert reason(config, "x", group="surgery") == "acl_unmapped"
    assert reason(config, "x", group=("cardio", "surgery")) == "acl_unmapped"
    assert reason(config, "x") == "acl_unmapped"


def test_an_unmapped_access_list_can_restrict_instead(tmp_path: Path) -> None:
    config = read(tmp_path, 'unmapped = "restrict"\n' + ACL)

    assert labels(config, "x", group="surgery").sensitivity is Sensitivity.RESTRICTED


def test_access_lists_only_close_and_two_departments_are_a_conflict(tmp_path: Path) -> None:
    config = read(tmp_path, ACL)

    both = labels(config, "x", group=("cardio", "board"))

    assert (both.department, both.sensitivity) == ("cardiology", Sensitivity.RESTRICTED)
    assert reason(config, "x", group=("cardio", "onco")) == "labels_conflict"


def test_facts_that_could_not_be_read_put_the_document_aside(tmp_path: Path) -> None:
    config = read(tmp_path)

    with pytest.raises(QuarantinedError) as caught:
        config.mapping.labels(Found("x", "1", unread="its tags are not ours to read"))

    assert caught.value.reason == "acl_unreadable"


def sidecar(config: SourceConfig, text: str, name: str = "x.labels.toml") -> GivenLabels:
    assert config.sidecars
    return config.sidecars.labels(text.encode(), name, config.mapping.default)


def test_a_sidecar_is_no_document_and_is_found_by_its_documents_name(tmp_path: Path) -> None:
    config = read(tmp_path, 'sidecar = "{stem}.labels.toml"')

    assert config.sidecars
    assert config.sidecars.name_for("a/b.pdf") == "a/b.labels.toml"
    assert not config.takes("a/b.labels.toml")
    assert config.takes("a/b.toml")


def test_a_sidecar_closes_and_does_not_open(tmp_path: Path) -> None:
    config = read(tmp_path, 'sidecar = "{name}.labels.toml"')

    opened = sidecar(config, 'sensitivity = "public"\nsubjects = ["mrn:1"]')
    closed = sidecar(config, 'sensitivity = "restricted"\nrestrictions = ["vip"]')

    assert opened.sensitivity is Sensitivity.CONFIDENTIAL
    assert opened.subjects == {"mrn:1"}
    assert (closed.sensitivity, closed.restrictions) == (Sensitivity.RESTRICTED, {"vip"})


def test_a_sidecar_opens_where_it_is_trusted(tmp_path: Path) -> None:
    config = read(tmp_path, 'sidecar = "{name}.json"\nsidecar_may = "open"')

    assert sidecar(config, '{"sensitivity": "public"}', "x.json").sensitivity is Sensitivity.PUBLIC


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sensitivity = ", "labels_unreadable"),
        ("\udcff", "labels_unreadable"),
        ("a" + ".a" * 40_000 + " = 1", "labels_invalid"),
        ('sensitivity = "low"', "labels_invalid"),
        ('owner = "me"', "labels_invalid"),
        ('department = "Ward 5"', "labels_invalid"),
    ],
)
def test_a_sidecar_that_says_nothing_clear_puts_its_document_aside(
    tmp_path: Path, text: str, why: str
) -> None:
    config = read(tmp_path, 'sidecar = "{name}.labels.toml"')
    assert config.sidecars
    data = text.encode("utf-8", "surrogateescape")

    with pytest.raises(QuarantinedError) as caught:
        config.sidecars.labels(data, "x.labels.toml", GivenLabels())

    assert caught.value.reason in {why, "labels_unreadable"}


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\nb", "a\x00b"),
        *("..\\x", "a\\..\\b", "\u202egpj.exe", "a\udcff", "x" * 1025),
    ],
)
def test_names_that_lead_elsewhere_or_mislead_are_not_safe(name: str) -> None:
    assert not safe_name(name)


@pytest.mark.parametrize("name", ["a", "Ärzte/Brief 1 (alt).pdf", "a..b/.c", "می‌خواهم.txt"])
def test_names_in_any_script_are_safe(name: str) -> None:
    assert safe_name(name)
