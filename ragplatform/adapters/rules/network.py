"""E-mail, web, IP and hardware addresses, and the names of users."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

import tldextract

from ragplatform.adapters.rules.rule import (
    LABELLED,
    LIKELY,
    POSSIBLE,
    PROVEN,
    Family,
    Rule,
    span,
    words,
)
from ragplatform.model import Span

_SURE: Final = 0.6
# Names that stand for the inside of a network. Source: RFC 6762 and its appendix G.
_PRIVATE: Final = frozenset({"internal", "intranet", "corp", "lan", "local", "home", "localhost"})
# Domains of countries that are English words, or ends of file names: "fever.It was", "notes.md".
# Such a host counts only with www before it or a path behind it.
_WORDS: Final = frozenset(
    """
    it in is me so no to be at as am my us do by he we go la id if or an ad al et ch pm mr ms dr md
    sh pl rs py cc zip mov so st gs la sc ai ph js co
    """.split()
)
# Of the newer domains, those that are no words of programs: "asyncio.run", "color.red".
_GENERIC: Final = frozenset(
    """
    com org net edu gov mil int info biz name pro mobi aero jobs coop travel museum tel cat asia xyz
    online site shop store tech app dev health healthcare care hospital clinic doctor dental
    pharmacy bank insurance finance legal email cloud website club
    """.split()
)
_LOCAL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-")
_DOMAIN: Final = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_][\w-]{1,62}|\[\d{1,3}(?:\.\d{1,3}){3}\]"
)
_HANDLE: Final = re.compile(r"@[A-Za-z_][\w.-]{1,30}(?<![.-])")
_REST: Final = r"[^\s()<>\"'\[\]{}|]*+"
_URL: Final = re.compile(
    rf"(?i)(?:https?|ftps?|sftp|file|ssh|git|ldaps?|wss?|s3|smb)://[^\s()<>\"'/]?{_REST}"
)
_PATH: Final = re.compile(rf"(?::\d{{2,5}})?(?:[/?#]{_REST})?")
_LABELS: Final = re.compile(r"[\w-]*(?:\.[\w-]+)*")
_WWW: Final = re.compile(r"(?i)www\d{0,3}\.")
_LONGEST_LOCAL: Final = 64
_LONGEST_HOST: Final = 253


@cache
def _top_level() -> frozenset[str]:
    """Return the top-level domains of the public suffix list that comes with its package."""
    suffixes = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=()).tlds
    return frozenset(one for one in suffixes if "." not in one) | _PRIVATE


def find_emails(text: str) -> Iterator[Span]:
    """Yield e-mail addresses, those of internal domains too, and handles such as ``@jdoe``."""
    at = text.find("@")
    while at >= 0:
        start = at
        lowest = max(0, at - _LONGEST_LOCAL)
        while start > lowest and _in_local(text[start - 1]):
            start -= 1
        while start < at and text[start] in ".'`{|}/=?#$&*!^%~":
            start += 1
        domain = _DOMAIN.match(text, at + 1)
        end = at + 1
        if start < at and domain:
            end = domain.end()
            yield span(start, end, "EMAIL_ADDRESS", PROVEN, "email")
        elif start < at and (
            inner := re.compile(r"[A-Za-z][\w-]{2,40}(?![\w@])").match(text, at + 1)
        ):
            end = inner.end()
            yield span(start, end, "EMAIL_ADDRESS", POSSIBLE, "email_internal")
        elif (
            start == at and not text[at - 1 : at].isalnum() and (handle := _HANDLE.match(text, at))
        ):
            end = handle.end()
            yield span(at, end, "USERNAME", LIKELY, "handle")
        at = text.find("@", end)


def _in_local(char: str) -> bool:
    return char.lower() in _LOCAL or (char.isalnum() and ord(char) > 127)


_SPELLED: Final = re.compile(
    r"(?i)(?P<local>[\w.+-]{1,64})[ ]{0,2}[\[({<][ ]?at[ ]?[\])}>][ ]{0,2}"
    r"(?P<host>[\w-]{1,63}(?:(?:[ ]{0,2}[\[({<][ ]?dot[ ]?[\])}>][ ]{0,2}"
    r"|\.|[ ]dot[ ])[\w-]{1,63}){1,5})"
)


def find_urls(text: str) -> Iterator[Span]:
    """Yield web addresses: with a scheme, of a host called www, or by their top-level domain."""
    at = text.find("://")
    while at >= 0:
        start = at
        while start > max(0, at - 6) and text[start - 1].isalnum():
            start -= 1
        found = _URL.match(text, start)
        if found and found.end() > at + 3:
            yield span(*_without_end(text, *found.span()), "URL", _SURE, "url")
        at = text.find("://", found.end() if found else at + 3)
    yield from _hosts(text)


_DOT: Final = re.compile(r"\.(?=[a-zA-Z])")


def _hosts(text: str) -> Iterator[Span]:
    """Yield hosts without a scheme; each run of labels is read once, from its first dot."""
    at = 0
    while found := _DOT.search(text, at):
        dot = found.start()
        start = _start_of_host(text, dot, at)
        at = dot + 1
        if start == dot or text[start - 1 : start] in {"@", "/"}:
            continue
        if not (run := _LABELS.match(text, start)):
            continue
        at = max(at, run.end())
        end = _end_of_host(run[0], start)
        path = _PATH.match(text, end) if end else None
        if _WWW.match(run[0]):
            end = end or run.end()
            path = _PATH.match(text, end)
        if not end or path is None or text[end : end + 1] == "@":
            continue
        top = text[start:end].rpartition(".")[2]
        if path.end() == end and text[end : end + 1] == "(":
            continue  # A call in a program, such as ``copy.py(file)``.
        plain = len(top) == 2 and top.lower() not in _WORDS
        if (
            not (plain or top.lower() in _GENERIC | _PRIVATE)
            and not _WWW.match(run[0])
            and path.end() - end < 2
        ):
            continue
        if _is_joint(text[start:end]) and path.end() == end:
            continue
        yield span(*_without_end(text, start, path.end()), "URL", POSSIBLE, "host")
        at = max(at, path.end())


def _start_of_host(text: str, dot: int, lowest: int) -> int:
    """Return where the labels start that end at this dot, none of them read before."""
    start = dot
    lowest = max(lowest, dot - _LONGEST_HOST)
    while start > lowest and (text[start - 1].isalnum() or text[start - 1] in "-_."):
        start -= 1
    start = max(start, text.rfind("..", start, dot) + 2 if ".." in text[start:dot] else start)
    return start + 1 if text[start : start + 1] == "." and start < dot else start


def _is_joint(host: str) -> bool:
    """Return whether a "host" is the end of one sentence and the start of the next."""
    first, _, last = host.rpartition(".")
    return last[:1].isupper() and not last.isupper() and "." not in first


def _end_of_host(run: str, start: int) -> int:
    """Return where the last top-level domain of the run ends in the text; 0 when it has none."""
    end = len(run)
    for label in reversed(run.split(".")[1:]):
        before = end - len(label)
        # "mercy.org-based" holds the host mercy.org; "mercy.orgs" holds none.
        domain = label.partition("-")[0]
        if domain.lower() in _top_level():
            return start + before + len(domain)
        end = before - 1
    return 0


def _without_end(text: str, start: int, end: int) -> tuple[int, int]:
    while end > start and text[end - 1] in ".,;:!?*_~":
        end -= 1
    return start, end


def _is_ipv4(value: str) -> bool:
    parts = value.partition("/")[0].partition(":")[0].split(".")
    return all(int(part) <= 255 and (part == "0" or part[0] != "0") for part in parts)


def _is_ipv6(value: str) -> bool:
    groups = value.partition("%")[0].partition("/")[0].split(":")
    full = [group for group in groups if group]
    short = "::" in value
    return (short and 2 <= len(full) <= 7) or (not short and len(groups) == 8)


_SECTION: Final = re.compile(
    r"(?i)(?:sections?|§|versions?|ver|v|release|articles?|items?"
    r"|chapters?|exhibits?|firmware|build)\.? ?$"
)
_H: Final = r"[0-9A-Fa-f]"
_ADDRESSES: Final = (
    Rule(
        "ipv4",
        "IP_ADDRESS",
        re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2}\b|:\d{2,5}\b)?(?![\w-]|\.\d)"),
        _SURE,
        digits=(1, 2, 3),
        follows=".",
        check=_is_ipv4,
        unless=_SECTION,
    ),
    Rule(
        "mac",
        "MAC_ADDRESS",
        re.compile(
            rf"(?<![\w:-]){_H}{{2}}(?P<s>[:-]){_H}{{2}}(?:(?P=s){_H}{{2}}){{4}}(?:(?:(?P"
            rf"=s){_H}{{2}}){{2}})?(?![\w:-])"
            rf"|(?<![\w.]){_H}{{4}}\.{_H}{{4}}\.{_H}{{4}}(?![\w.])"
        ),
        LABELLED,
        codes=True,
        digits=(1, 2, 4),
        follows=":-.abcdefABCDEF",
    ),
)
_COLONS: Final = re.compile(r":{1,2}(?=[0-9A-Fa-f:]{1,4}(?::|$|[^\w]))")
_IPV6: Final = re.compile(
    rf"(?:{_H}{{1,4}}:{{1,2}}){{2,7}}(?:{_H}{{1,4}}|(?:\d{{1,3}}\.){{3}}\d{{1,3}})?"
    rf"(?:%\w{{1,15}})?(?:/\d{{1,3}})?(?![\w:])"
    rf"|::(?:[0-9A-Fa-f]{{1,4}}:){{0,6}}(?:{_H}{{1,4}}|(?:\d{{1,3}}\.){{3}}\d"
    rf"{{1,3}})(?:/\d{{1,3}})?(?![\w:])"
)
_HEX_MAC: Final = re.compile(rf"{_H}{{2}}(?::{_H}{{2}}){{5}}(?:(?::{_H}{{2}}){{2}})?(?![\w:])")


def find_by_colons(text: str) -> Iterator[Span]:
    """Yield IPv6 addresses, and hardware addresses that start with a letter."""
    at = 0
    while found := _COLONS.search(text, at):
        colon = found.start()
        start = colon
        while start > max(0, colon - 4) and text[start - 1] in "0123456789abcdefABCDEF":
            start -= 1
        at = colon + 1
        if text[start - 1 : start].isalnum() or text[start - 1 : start] in {":", "_", "-", "."}:
            continue
        mac = _HEX_MAC.match(text, start)
        if mac:
            yield span(*mac.span(), "MAC_ADDRESS", LABELLED, "mac")
            at = mac.end()
        elif (address := _IPV6.match(text, start)) and _is_ipv6(address[0]):
            yield span(*address.span(), "IP_ADDRESS", LABELLED, "ipv6")
            at = address.end()


_USER: Final = r"(?P<v>[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?=[A-Za-z0-9])){2,40})(?![\w@])"
_NOT_USER: Final = (
    r"(?!(?:is|was|and|or|the|a|an|to|for|of|in|on|at|by|with"
    r"|from|has|had|have|can|may|must|will|not|be"
    r"|name|names|id|ids|account|accounts|data|group|groups|interface"
    r"|experience|manual|guide|fees?|who|that"
    r"|should|would|could|does|did|they|their|your|you|we|our|it|its|this|these|those|if|when)\b)"
)
_USERS: Final = (
    Rule(
        "username_labelled",
        "USERNAME",
        re.compile(
            r"(?i)(?:user[ _-]?(?:name|id)|login(?: ?(?:name|id))?|log-?in"
            r"|screen ?name|nick ?name|handle|account ?name|alias|userid"
            r"|benutzer(?:name|kennung)|usuario"
            r"|identifiant|nom d['’]utilisateur|nome utente|twitter|instagram"
            r"|skype|telegram|github|logged in|signed in)"
            rf"[\"']?[ \t]{{0,3}}(?:(?:is|as|of)[ ]|[:=|])[ \t]{{0,3}}[\"'@]?{_NOT_USER}{_USER}"
        ),
        LABELLED,
        words=words(
            "user username userid login log screen screenname nick nickname handle "
            "account alias benutzername benutzerkennung usuario identifiant nom nome "
            "twitter instagram skype telegram github logged signed"
        ),
    ),
    # Without a colon, only what no word looks like: a digit, a dot or an underscore inside.
    Rule(
        "username_shaped",
        "USERNAME",
        re.compile(
            r"(?i)(?:user(?:name)?|login as|account for|issued to(?: user)?"
            rf"|registered to|customer|for user)[ ]{{1,2}}[\"']?{_NOT_USER}"
            r"(?P<v>(?=[A-Za-z._-]{0,30}[0-9_])[A-Za-z](?:[A-Za-z0-9]"
            r"|[._-](?=[A-Za-z0-9])){3,40})(?![\w@])"
        ),
        LIKELY,
        words=words("user username login account issued registered customer"),
    ),
    Rule(
        "username_of_login",
        "USERNAME",
        re.compile(
            r"(?i)(?:(?:log ?in|logged in|signed in) as|(?:(?<=to )|(?<=as )|(?<=for ))user"
            r"|issued to|customer|password (?:of|for)|password [^\s]{5,60} (?:of|for))[ ]"
            rf"[\"']?{_NOT_USER}(?P<v>(?-i:[a-z][a-z0-9._-]{{3,30}})(?<![._-]))"
            r"(?=[ ](?:with|using|registered|at)\b|[ ]?\((?:e-?mail|user|login)|[\"';])"
        ),
        POSSIBLE,
        words=words("login log logged signed issued user customer password"),
    ),
    Rule(
        "email_spelled",
        "EMAIL_ADDRESS",
        re.compile(_SPELLED.pattern),
        LIKELY,
        words=("at",),
        back=90,
        ends=("[", "(", "{", "<", "[ ", "( "),
    ),
)

NETWORK: Final = Family(
    "network",
    (*_ADDRESSES, *_USERS),
    finders=(find_emails, find_urls, find_by_colons),
    finds=("EMAIL_ADDRESS", "USERNAME", "URL", "IP_ADDRESS", "MAC_ADDRESS"),
)
