"""Keys, tokens, passwords: what opens something, and should never have been in a document."""

import re
from collections.abc import Iterator
from typing import Final

from ragplatform.adapters.rules.rule import (
    LABELLED,
    LIKELY,
    PROVEN,
    Family,
    Rule,
    has_digits,
    span,
    words,
)
from ragplatform.model import Span

_HEAD: Final = "-----BEGIN "
# The body stops at the next line of dashes: no head is read through by the heads before it.
_KEY: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[A-Za-z0-9+/=:,.()\s\\]|-(?!-)){0,20000}+"
    r"(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"
)
_LINES: Final = re.compile(r"(?:[A-Za-z0-9+/]{60,76}\r?\n){1,400}[A-Za-z0-9+/=]{1,76}(?=\r?\n|$)")
_FULL_LINE: Final = re.compile(r"[A-Za-z0-9+/]{60,76}\r?\n")


def find_private_keys(text: str) -> Iterator[Span]:
    """Yield private key blocks to their end, or to where the text stops looking like one."""
    at = text.find(_HEAD)
    while at >= 0:
        found = _KEY.match(text, at)
        if found:
            end = found.end()
            while text[end - 1].isspace():
                end -= 1
            yield span(at, end, "SECRET", PROVEN, "private_key")
        at = text.find(_HEAD, found.end() if found else at + len(_HEAD))


def find_key_lines(text: str) -> Iterator[Span]:
    """Yield lines of a key whose head stands elsewhere, as in a stream that is read by parts."""
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        if end < 0:
            return
        # Most lines of prose hold a blank among their first characters: they are passed at once.
        if 60 <= end - at <= 78 and " " not in text[at : at + 40] and _FULL_LINE.match(text, at):
            found = _LINES.match(text, at)
            if found:
                yield span(*found.span(), "SECRET", LIKELY, "key_lines")
                at = found.end()
                continue
        at = end + 1


def _not_a_word(value: str) -> bool:
    """Return whether a password's value is no plain word, as in "password is required"."""
    return any(not char.isalpha() for char in value.rstrip(".,;:!?"))


def _mixed(value: str) -> bool:
    digits = sum(char.isdigit() for char in value)
    return digits >= 2 and digits < len(value)


_UNTIL_SPACE: Final = r"(?P<v>[^\s'\"<>,;]{4,200}?)(?=[.,;!?'\"]?(?:\s|$|[<'\"]))"
_AFTER: Final = (
    r"[\"']?[ \t]{0,3}(?:</?[a-z]{1,8}>){0,2}(?:is[ \t]|was[ \t]"
    r"|[:=|>]{1,2})[ \t]{0,3}(?:</?[a-z]{1,8}>)?['\"]?"
)
_RULES: Final = (
    Rule(
        "password",
        "SECRET",
        re.compile(
            r"(?i)(?:pass[ _-]?(?:word|wd|phrase|code)|pwd|passwd|pw"
            r"|kennwort|passwort|contraseña|clave|mot de passe|mdp"
            rf"|parola d['’]ordine)s?(?:[ ](?:for|of)[ ][\w.@-]{{1,40}})?{_AFTER}{_UNTIL_SPACE}"
        ),
        LABELLED,
        words=words(
            "pass password passwords passwd passphrase passcode pwd pw kennwort "
            "passwort contraseña clave mot mdp parola"
        ),
        check=_not_a_word,
    ),
    # "Reset password Xy7!kk": no colon, so only what no word looks like.
    Rule(
        "password_bare",
        "SECRET",
        re.compile(
            r"(?i)(?:password|passwd|passphrase|passcode|pwd|passwort|contraseña)"
            r"[ \t]{1,3}(?P<v>(?=[^\s\d]{0,40}[\d!#$%^&*()_+@~])(?=[^\sA-Za-z]{0,40}"
            r"[A-Za-z])(?-i:(?![A-Z]?[a-z]{1,30}[)(]?[.,;:]?(?:\s|$)))"
            r"[^\s'\"<>,;]{5,100}?)(?=[.,;!?'\"]?(?:\s|$))"
        ),
        LIKELY,
        words=words("password passwd passphrase passcode pwd passwort contraseña"),
        check=lambda value: sum(not char.isalpha() for char in value.rstrip(").,;:")) >= 1,
    ),
    Rule(
        "pin",
        "SECRET",
        re.compile(
            r"(?i)(?:pin|otp|mfa|2fa|verification|one-?time|security"
            r"|access)(?:[ -](?:code|number|pin|no\.?|password|passcode)){0,2}[\"']?[ ]"
            r"{0,2}(?:is[ ]|[:=#|])[ ]{0,3}[\"']?(?P<v>\d{4,8})(?![\w.,-]*\d)"
        ),
        LABELLED,
        words=words("pin otp mfa verification one onetime security access"),
        # The code of a call to investors is in the press, and no reason to keep a report out.
        unless=re.compile(r"(?i)\b(?:conference|replay|webcast|dial|callers?)\b.*$", re.DOTALL),
    ),
    Rule(
        "pin_bare",
        "SECRET",
        re.compile(r"(?:PIN|pin|OTP)(?: code| number)?[ ](?P<v>\d{4,8})(?![\w.,-]*\d)"),
        LIKELY,
        words=("pin", "otp"),
        unless=re.compile(r"(?i)(?:postal|area|zip) $"),
    ),
    Rule(
        "api_key",
        "SECRET",
        re.compile(
            r"(?i)(?:api|access|secret|auth(?:entication|orization)?|private|client"
            r"|security|session|refresh|bearer|encryption|signing|service|account|app"
            r"|consumer|aws|storage|master|shared|webhook|deploy|license|id|oauth|csrf|x)?"
            r"[ _-]?(?:api[ _-]?)?(?:access[ _-]?|secret[ _-]?)?(?:key|token|secret"
            r"|credential)s?(?:[ _-]?(?:id|value))?(?:[\"']?[ \t]{0,2}(?:is[ \t]|"
            r"[:=|>]{1,2}|[ ])[ \t]{0,3})['\"]?(?P<v>[A-Za-z0-9_\-+/=.~]{12,300})(?<!"
            r"[.])"
        ),
        LABELLED,
        words=words(
            "api access secret auth authentication authorization private client "
            "security session refresh bearer encryption signing service account app "
            "consumer aws storage master shared webhook deploy license id oauth csrf "
            "x key token secret apikey accesskey secretkey authtoken accesstoken "
            "privatekey clientsecret sessiontoken credential"
        ),
        check=_mixed,
    ),
    Rule(
        "bearer",
        "SECRET",
        re.compile(
            r"(?i)(?:bearer|basic|authorization:[ ]{0,2}\w{1,12})[ ]+(?P<v>"
            r"[A-Za-z0-9_\-+/=.~]{20,2000})"
        ),
        LABELLED,
        words=("bearer", "basic", "authorization"),
        check=has_digits(2),
    ),
    Rule(
        "service_key",
        "SECRET",
        re.compile(
            r"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}"
            r"|glpat-[\w-]{20,64}|sk-[A-Za-z0-9_-]{20,200}"
            r"|[rsp]k_(?:live|test)_[A-Za-z0-9]{16,99}|whsec_[A-Za-z0-9]{20,64}"
            r"|xox[abeprs]-[A-Za-z0-9-]{10,250}|hf_[A-Za-z0-9]{30,60}"
            r"|npm_[A-Za-z0-9]{36}"
            r"|pypi-[A-Za-z0-9_-]{50,300}|dop_v1_[a-f0-9]{64}|shpat_[a-f0-9]{32}"
            r"|sq0[a-z]{3}-[\w-]{22,60}|hvs\.[\w-]{24,200}|lin_api_\w{30,60}"
            r"|EAAC[A-Za-z0-9]{30,250}|ya29\.[\w-]{20,300}|SG\.[\w-]{16,32}\.[\w-]{16,64}"
            r"|key-[0-9a-f]{32})"
        ),
        PROVEN,
        words=words(
            "ghp gho ghu ghs ghr github glpat sk rk pk whsec xoxa xoxb xoxe xoxp "
            "xoxr xoxs hf npm pypi dop shpat sq hvs lin eaac ya sg key"
        ),
    ),
    Rule(
        "cloud_key",
        "SECRET",
        re.compile(
            r"(?<!\w)(?:(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?!\w)|AIza[\w-]{35}"
            r"|AC[0-9a-f]{32}(?!\w)|SK[0-9a-f]{32}(?!\w))"
        ),
        PROVEN,
        codes=True,
    ),
    Rule(
        "jwt",
        "SECRET",
        re.compile(r"(?<![\w-])eyJ[\w-]{10,2000}\.(?:eyJ)?[\w-]{10,4000}\.[\w-]{10,1000}"),
        PROVEN,
        codes=True,
    ),
    Rule(
        "connection_string",
        "SECRET",
        re.compile(
            r"(?i)(?:(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?"
            r"|redis|rediss|amqps?|mssql|oracle|jdbc:\w{2,12}|sqlserver"
            r"|ftp|https?|ldap|smtp)://[^\s:/@]{1,100}:[^\s/@]{1,200}@[^\s\"'<>]{1,300}"
            r")"
        ),
        PROVEN,
        words=words(
            "postgres postgresql mysql mariadb mongodb redis rediss amqp amqps mssql "
            "oracle jdbc sqlserver ftp http https ldap smtp"
        ),
    ),
    Rule(
        "connection_field",
        "SECRET",
        re.compile(
            r"(?i)(?:account|shared ?access|shared)(?:key|signature)=(?P<v>"
            r"[A-Za-z0-9+/=%&-]{20,300})"
        ),
        PROVEN,
        words=words("account accountkey sharedaccesskey sharedaccesssignature shared"),
    ),
)

SECRETS: Final = Family(
    "secrets", _RULES, finders=(find_private_keys, find_key_lines), finds=("SECRET",)
)
