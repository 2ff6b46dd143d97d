"""X12 segments as sentences of labels and values.

Source: the names of ASC X12N 005010X221A1 (835) and 005010X222A1/X223A2/X224A2 (837) for entities,
qualifiers and elements; what is not in the tables is written with its code.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ingest.parse.codes import coded

SETS: Final[Mapping[str, str]] = {
    "270": "(eligibility inquiry)",
    "271": "(eligibility answer)",
    "276": "(claim status request)",
    "277": "(claim status)",
    "278": "(service review)",
    "820": "(premium payment)",
    "834": "(enrolment)",
    "835": "(claim payment)",
    "837": "(claim)",
}
_ENTITIES: Final = {
    "1P": "Provider",
    "2B": "Third-party administrator",
    "40": "Receiver",
    "41": "Submitter",
    "71": "Attending provider",
    "72": "Operating provider",
    "74": "Corrected insured",
    "77": "Service facility",
    "82": "Rendering provider",
    "85": "Billing provider",
    "87": "Pay-to provider",
    "DN": "Referring provider",
    "DQ": "Supervising provider",
    "IL": "Subscriber",
    "IN": "Insurer",
    "P5": "Plan sponsor",
    "PE": "Payee",
    "PR": "Payer",
    "QC": "Patient",
    "TT": "Crossover carrier",
}
_NUMBERS: Final = {
    "24": "employer id",
    "34": "SSN",
    "46": "electronic id",
    "EI": "employer id",
    "FI": "tax id",
    "HN": "member id",
    "II": "member id",
    "MC": "Medicaid id",
    "MI": "member id",
    "MR": "Medicaid id",
    "PI": "payer id",
    "SV": "provider number",
    "SY": "SSN",
    "XV": "plan id",
    "XX": "NPI",
    "0B": "licence number",
    "1A": "Blue Cross number",
    "1C": "Medicare number",
    "1D": "Medicaid number",
    "1L": "group number",
    "1W": "member id",
    "6P": "group number",
    "6R": "line item number",
    "9F": "referral number",
    "D9": "clearinghouse claim number",
    "EA": "MRN",
    "EV": "receiver number",
    "F8": "payer's claim number",
    "G1": "authorization number",
    "IG": "policy number",
    "TJ": "tax id",
    "Y4": "claim number",
}
_DATES: Final = {
    "036": "Expires",
    "050": "Received",
    "090": "Report from",
    "091": "Report until",
    "096": "Discharged",
    "150": "Service from",
    "151": "Service until",
    "232": "Statement from",
    "233": "Statement until",
    "304": "Last seen",
    "348": "Benefit begins",
    "356": "Eligible from",
    "405": "Production date",
    "431": "Onset",
    "434": "Statement",
    "435": "Admitted",
    "439": "Accident",
    "454": "Treatment began",
    "472": "Service date",
    "573": "Paid",
}
_AMOUNTS: Final = {
    "A8": "non-covered",
    "AU": "coverage",
    "B6": "allowed",
    "D": "payer paid",
    "D8": "discount",
    "EAF": "patient owes",
    "F5": "patient paid",
    "I": "interest",
}
_STATUS: Final = {
    "1": "processed as primary",
    "2": "processed as secondary",
    "3": "processed as tertiary",
    "4": "denied",
    "19": "processed as primary, forwarded",
    "22": "reversal of previous payment",
}
_GROUPS: Final = {
    "CO": "contractual obligation",
    "OA": "other adjustment",
    "PI": "payer initiated",
    "PR": "patient responsibility",
}
_CODE_SETS: Final = {"HC": "CPT", "AD": "CDT", "N4": "NDC", "NU": "revenue code", "ZZ": ""}
_DIAGNOSES: Final = {
    "ABK": "Principal diagnosis",
    "BK": "Principal diagnosis",
    "ABJ": "Admitting diagnosis",
    "BJ": "Admitting diagnosis",
    "ABF": "Diagnosis",
    "BF": "Diagnosis",
    "ABN": "External cause",
    "APR": "Reason for visit",
    "BBR": "Principal procedure",
    "BR": "Principal procedure",
    "BBQ": "Procedure",
    "DR": "DRG",
}
_SEX: Final = {"F": "female", "M": "male", "U": "unknown"}
_RELATION: Final = {"18": "self", "01": "spouse", "19": "child", "20": "employee", "G8": "other"}
_TITLES: Final = {
    "BHT": "Beginning",
    "CUR": "Currency",
    "HL": "Level",
    "LX": "Line",
    "PER": "Contact",
    "PRV": "Provider specialty",
}


def line(elements: Sequence[str], component: str) -> str:
    """Return a segment as one line, ``""`` for one that only structures the file."""
    name, *rest = (one.strip() for one in elements)
    if name in {"HL", "BHT", "LX"}:
        return ""
    shape = _SHAPES.get(name)
    if shape is not None:
        return shape(_Row(rest, component))
    values = "; ".join(one for one in rest if one)
    return f"{_TITLES.get(name, name)}: {values}" if values else ""


def day(raw: str) -> str:
    """Return a date or a range of dates in ISO 8601; other text as it stands."""
    if found := re.fullmatch(r"(\d{8})(?:-(\d{8}))?(\d{4})?", raw):
        days = (f"{one[:4]}-{one[4:6]}-{one[6:]}" for one in found.groups()[:2] if one)
        return " to ".join(days)
    return raw


class _Row:
    """The elements of a segment, counted from 1."""

    def __init__(self, elements: Sequence[str], component: str) -> None:
        self._elements = elements
        self.component = component

    def __getitem__(self, number: int) -> str:
        return self._elements[number - 1] if number <= len(self._elements) else ""

    def from_(self, number: int) -> Sequence[str]:
        """Return the elements from this one on."""
        return self._elements[number - 1 :]


def _joined(*pairs: tuple[str, str]) -> str:
    return "; ".join(f"{label}: {value}" if label else value for label, value in pairs if value)


def _numbered(qualifier: str, number: str) -> str:
    if not number:
        return ""
    return f"{_NUMBERS.get(qualifier, 'id')} {number}"


def _nm1(row: _Row) -> str:
    name = " ".join(filter(None, (row[6], row[4], row[5], row[3], row[7])))
    who = _ENTITIES.get(row[1], f"Party {row[1]}")
    return _joined((who, ", ".join(filter(None, (name, _numbered(row[8], row[9]))))))


def _n1(row: _Row) -> str:
    who = _ENTITIES.get(row[1], f"Party {row[1]}")
    return _joined((who, ", ".join(filter(None, (row[2], _numbered(row[3], row[4]))))))


def _n3(row: _Row) -> str:
    return _joined(("Address", ", ".join(filter(None, (row[1], row[2])))))


def _n4(row: _Row) -> str:
    place = f"{row[2]} {row[3]}".strip()
    return _joined(("City", ", ".join(filter(None, (row[1], place, row[4])))))


def _per(row: _Row) -> str:
    kinds = {"TE": "phone", "FX": "fax", "EM": "email", "UR": "web"}
    pairs = zip(row.from_(3)[::2], row.from_(4)[::2], strict=False)
    ways = [f"{kinds.get(kind, kind)} {value}" for kind, value in pairs if value]
    return _joined(("Contact", ", ".join(filter(None, (row[2], *ways)))))


def _ref(row: _Row) -> str:
    label = _NUMBERS.get(row[1], f"reference {row[1]}")
    return _joined((label[:1].upper() + label[1:], row[2] or row[3]))


def _dmg(row: _Row) -> str:
    return _joined(("Date of birth", day(row[2])), ("Sex", _SEX.get(row[3], row[3])))


def _dtp(row: _Row) -> str:
    return _joined((_DATES.get(row[1], f"Date {row[1]}"), day(row[3])))


def _dtm(row: _Row) -> str:
    return _joined((_DATES.get(row[1], f"Date {row[1]}"), day(row[2])))


def _amt(row: _Row) -> str:
    return _joined((f"Amount {_AMOUNTS.get(row[1], row[1])}", row[2]))


def _sbr(row: _Row) -> str:
    order = {"P": "primary", "S": "secondary", "T": "tertiary"}.get(row[1], row[1])
    return _joined(
        ("Coverage", order),
        ("relation to subscriber", _RELATION.get(row[2], row[2])),
        ("group number", row[3]),
        ("plan", row[4]),
    )


def _pat(row: _Row) -> str:
    return _joined(("Patient's relation to subscriber", _RELATION.get(row[1], row[1])))


def _clm(row: _Row) -> str:
    place = row[5].split(row.component)[0]
    return _joined(("Patient account number", row[1]), ("charge", row[2]), ("place", place))


def _clp(row: _Row) -> str:
    return _joined(
        ("Patient account number", row[1]),
        ("status", _STATUS.get(row[2], row[2])),
        ("charge", row[3]),
        ("paid", row[4]),
        ("patient owes", row[5]),
        ("payer's claim number", row[7]),
    )


def _hi(row: _Row) -> str:
    found = []
    for one in row.from_(1):
        kind, _, code = one.partition(row.component)
        code = code.split(row.component)[0]
        system = "I10C" if kind.startswith("A") else "I9C"
        label = _DIAGNOSES.get(kind, f"Code {kind}")
        found.append((label, coded("", code, system if "iagnosis" in label else "")))
    return _joined(*found)


def _procedure(raw: str, component: str) -> str:
    kind, _, rest = raw.partition(component)
    code, *modifiers = rest.split(component)
    text = f"{_CODE_SETS.get(kind, kind)} {code}".strip()
    marks = [one for one in modifiers[:4] if one]
    return f"{text} (modifiers {', '.join(marks)})" if marks else text


def _svc(row: _Row) -> str:
    return _joined(
        ("Service", _procedure(row[1], row.component)),
        ("charge", row[2]),
        ("paid", row[3]),
        ("units", row[5]),
    )


def _sv1(row: _Row) -> str:
    return _joined(
        ("Service", _procedure(row[1], row.component)),
        ("charge", row[2]),
        ("units", row[4]),
        ("place", row[5]),
    )


def _sv2(row: _Row) -> str:
    return _joined(
        ("Service", _procedure(row[2], row.component) if row[2] else ""),
        ("revenue code", row[1]),
        ("charge", row[3]),
        ("units", row[5]),
    )


def _sv3(row: _Row) -> str:
    return _joined(("Service", _procedure(row[1], row.component)), ("charge", row[2]))


def _cas(row: _Row) -> str:
    rest = row.from_(2)
    reasons = [
        f"reason {reason} {amount}"
        for reason, amount in zip(rest[::3], rest[1::3], strict=False)
        if reason
    ]
    return _joined((f"Adjustment, {_GROUPS.get(row[1], row[1])}", ", ".join(reasons)))


def _bpr(row: _Row) -> str:
    way = {"ACH": "bank transfer", "CHK": "check", "NON": "no payment"}.get(row[4], row[4])
    return _joined(
        ("Payment", row[2]),
        ("by", way),
        ("from account", row[9]),
        ("to account", row[15]),
        ("on", day(row[16])),
    )


def _trn(row: _Row) -> str:
    return _joined(("Trace number", row[2]))


def _nte(row: _Row) -> str:
    return _joined(("Note", row[2]))


_SHAPES: Final[Mapping[str, Callable[[_Row], str]]] = {
    "NM1": _nm1,
    "N1": _n1,
    "N3": _n3,
    "N4": _n4,
    "PER": _per,
    "REF": _ref,
    "DMG": _dmg,
    "DTP": _dtp,
    "DTM": _dtm,
    "AMT": _amt,
    "SBR": _sbr,
    "PAT": _pat,
    "CLM": _clm,
    "CLP": _clp,
    "HI": _hi,
    "SVC": _svc,
    "SV1": _sv1,
    "SV2": _sv2,
    "SV3": _sv3,
    "CAS": _cas,
    "BPR": _bpr,
    "TRN": _trn,
    "NTE": _nte,
}
