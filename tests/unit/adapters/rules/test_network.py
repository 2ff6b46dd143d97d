"""Web addresses are found whole, sentences without a space are none, and time stays linear."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer import predefined_recognizers as predefined

from ragplatform.adapters.rules.network import NETWORK
from ragplatform.adapters.rules.recognisers import RuleRecogniser

RECOGNISER = RuleRecogniser((NETWORK,))


def found(text: str) -> list[str]:
    return [text[one.start : one.end] for one in RECOGNISER.analyze(text, ["URL"])]


@pytest.mark.parametrize(
    "text",
    [
        "mercy.orgs and 3.14 and e.g. and a.. and v1.2.x",
        "fever.Items went on",
        "Mr.Smith",
        "http:// alone",
        "name_of_file.docx",
        "",
    ],
)
def test_what_has_no_top_level_domain_is_no_address(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("See mercy.org.", "mercy.org"),
        ("See MERCY.ORG, please", "MERCY.ORG"),
        ("go to mercy.org/patients/4?x=1#a now", "mercy.org/patients/4?x=1#a"),
        ("*.mercy.org", "mercy.org"),
        ("see..mercy.org", "mercy.org"),
        ("mercy.org-based care", "mercy.org"),
        ("my_site.mercy.co.uk", "my_site.mercy.co.uk"),
        ("a.b.c.d.e.f.g.h.i.j.k.mercy.org", "a.b.c.d.e.f.g.h.i.j.k.mercy.org"),
        ("münchen.de", "münchen.de"),
        ("mercy.org.This is next", "mercy.org"),
        ("www.mercy.example", "www.mercy.example"),
        ("portal.mercy.internal", "portal.mercy.internal"),
        ("('mercy.org/a')", "mercy.org/a"),
    ],
)
def test_a_host_is_found_without_a_scheme(text: str, wanted: str) -> None:
    assert found(text) == [wanted]


@pytest.mark.parametrize(
    "address",
    ["https://portal.mercy.org/x?id=3", "http://records:8080/patient?id=3", "HTTPS://10.0.0.5/a"],
)
def test_an_address_with_a_scheme_is_found_whole(address: str) -> None:
    assert address in found(f"See <{address}> here")


def test_hosts_inside_a_path_are_not_searched_again() -> None:
    text = "a.com/" * 400
    assert found(text) == [text]


def test_nothing_is_found_when_no_address_is_asked_for() -> None:
    assert RECOGNISER.analyze("mercy.org", ["PERSON"]) == []


LABELS = st.text(alphabet="abz09-", min_size=1, max_size=8)
HOSTS = st.builds(
    lambda labels, top: ".".join([*labels, top]),
    st.lists(LABELS, min_size=1, max_size=4),
    st.sampled_from(["com", "org", "co.uk", "health", "io"]),
)


@settings(max_examples=100, deadline=None)
@given(
    host=HOSTS,
    scheme=st.sampled_from(["", "http://", "https://", "www.", "'", "("]),
    path=st.sampled_from(["", "/", "/a/b.html?c=d", "/a(b)"]),
    behind=st.sampled_from([" ", ", ", ". ", "\n", "' ", ") "]),
)
def test_whatever_presidio_covers_of_an_address_is_covered(
    host: str, scheme: str, path: str, behind: str
) -> None:
    text = f"See {scheme}{host}{path}{behind}today"
    presidio = predefined.UrlRecognizer().analyze(text, ["URL"])
    theirs = {at for one in presidio for at in range(one.start, one.end) if text[at] not in "'\",."}
    ours = {at for one in RECOGNISER.analyze(text, ["URL"]) for at in range(one.start, one.end)}
    assert theirs <= ours
