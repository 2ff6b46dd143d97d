"""The layouts in which a patient's fields are written, and the marks that make gold exact."""

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from bench.privacy.examples import Example, Gold

# Private-use characters, which no file of the sets holds: before and behind the field's name, at
# the end.
_OPEN, _NAMED, _CLOSE = "\ue000", "\ue001", "\ue002"
_MARK = re.compile(f"{_OPEN}([^{_NAMED}]+){_NAMED}([^{_CLOSE}]*){_CLOSE}")
# Before a field's name: no gold, yet no mistake when found.
_NEUTRAL = "-"
_NEUTRAL_FIELDS = frozenset({"state", "sex", "hospital", "prefix"})


def marked(field: str, value: str) -> str:
    """Return a value with a mark around it that says which field it is."""
    return f"{_OPEN}{field}{_NAMED}{value}{_CLOSE}"


def unmarked(text: str) -> Example:
    """Return the text without marks, and the places where they were as gold or neutral."""
    plain = list[str]()
    gold, neutral = list[Gold](), list[Gold]()
    done = length = 0
    for mark in _MARK.finditer(text):
        before, field, value = text[done : mark.start()], mark[1], mark[2]
        start = length + len(before)
        length = start + len(value)
        done = mark.end()
        plain += [before, value]
        place = (start, length, field.removeprefix(_NEUTRAL))
        if value:
            (neutral if field.startswith(_NEUTRAL) else gold).append(place)
    return Example("".join(plain) + text[done:], tuple(gold), tuple(neutral))


_DATES: Mapping[str, str] = {
    "iso": "%Y-%m-%d",
    "us": "%m/%d/%Y",
    "long": "%B %d, %Y",
    "day": "%d %b %Y",
    "short": "%m/%d/%y",
}


@dataclass(frozen=True)
class Layout:
    """Lines in which fields stand in braces; a line that names a missing field is left out."""

    name: str
    dates: str
    lines: str
    case: str = "as_is"

    def write(self, fields: Mapping[str, str | date]) -> Example:
        """Return the text of one patient."""
        dated = {
            name: value.strftime(_DATES[self.dates]) if isinstance(value, date) else value
            for name, value in fields.items()
        }
        recased = {
            name: value.upper() if self.case == "upper" and name != "mrn" else value
            for name, value in dated.items()
        }
        values = {
            name: value
            if name.startswith("what")
            else marked(f"{_NEUTRAL * (name in _NEUTRAL_FIELDS)}{_kind(name)}", value)
            for name, value in recased.items()
        }
        # A first letter identifies with the family name, and is too short to count alone.
        values["initial"] = dated["given"][:1]
        written = []
        for line in self.lines.strip("\n").split("\n"):
            wanted = {name for _, name, _, _ in string.Formatter().parse(line) if name}
            if wanted <= values.keys():
                written.append(line.format_map(values))
        return unmarked("\n".join(written))


def _kind(name: str) -> str:
    return "visit" if name.startswith("visit") else name


_FORM = """
PATIENT REGISTRATION
Patient Name: {family}, {given}
Date of Birth: {birth}        Sex: {sex}
Social Security No.: {ssn}
Medical Record Number: {mrn}
Driver's License: {licence}
Passport No: {passport}
Home Phone: {phone}
Address: {line}
City: {city}   State: {state}   Zip: {zip}
Mother's Maiden Name: {mother}
Maiden name: {maiden}
Primary care provider: Dr. {doctor}
Facility: {hospital}
Reason for visit: {what1}
"""

_LETTER = """
{hospital}
Department of Internal Medicine

{visit1}

RE: {given} {family}, born {birth}

Dear Dr. {doctor},

Thank you for referring {prefix} {family}, who lives at {line} in {city}, {state} {zip}.
I saw {given} in clinic on {visit1}. The main problem is {what1}.
Before that the record shows {what2} ({visit2}) and {what3} on {visit3}.
{prefix} {family} grew up in {birth_city} and can be reached at {phone}.
The patient died on {death}.
Please quote {mrn} in all correspondence.

Sincerely,
{doctor}, MD
"""

_PIPES = """
| Field | Value |
| --- | --- |
| Name | {given} {family} |
| DOB | {birth} |
| SSN | {ssn} |
| MRN | {mrn} |
| Phone | {phone} |
| Street | {line} |
| City | {city} |
| ZIP | {zip} |
| Driver's licence | {licence} |
| Passport | {passport} |
| Attending | {doctor} |
| Last visit | {visit1} |
| Diagnosis | {what1} |
"""

_CSV = """
last_name,first_name,dob,sex,street,city,state,phone
{family},{given},{birth},{sex},"{line}",{city},{state},{phone}
patient_id,ssn
{mrn},{ssn}
encounter_date,reason
{visit1},{what1}
{visit2},{what2}
{visit3},{what3}
"""

_JSON = """
{{"patient": {{
  "familyName": "{family}", "givenName": "{given}", "birthDate": "{birth}",
  "ssn": "{ssn}",
  "mrn": "{mrn}",
  "address": {{"line1": "{line}", "city": "{city}", "state": "{state}"}},
  "postalCode": "{zip}",
  "telephone": "{phone}",
  "driversLicense": "{licence}",
  "passport": "{passport}",
  "provider": "{doctor}",
  "lastSeen": "{visit1}", "problem": "{what1}"
}}}}
"""

_PATHS = """
Patient.name[0].family = {family}
Patient.name[0].given[0] = {given}
Patient.name[1].family = {maiden}
Patient.birthDate = {birth}
Patient.gender = {sex}
Patient.identifier[0].value = {mrn}
Patient.identifier[1].value = {ssn}
Patient.identifier[2].value = {licence}
Patient.identifier[3].value = {passport}
Patient.telecom[0].value = {phone}
Patient.address[0].line[0] = {line}
Patient.address[0].city = {city}
Patient.address[0].state = {state}
Patient.address[0].postalCode = {zip}
Patient.extension[mothersMaidenName] = {mother}
Practitioner.name = {doctor}
Encounter.period.start = {visit1}
Condition.code.text = {what1}
"""

_SUMMARY = """
DISCHARGE SUMMARY

This {sex} patient, {given} {family} (born {birth}), was admitted to {hospital} on {visit1}.
The reason was {what1}.
{given} was seen by Dr. {doctor} on the day of admission. History includes {what2} in {visit2}.
According to {mother}, the patient's mother, there are no known allergies.
Blood pressure 128/84 mmHg, heart rate 72/min, temperature 36.8 C, weight 81.4 kg, BMI 27.1 kg/m2.
Hemoglobin 13.9 g/dL, sodium 139 mmol/L, creatinine 0.92 mg/dL; no further work-up was needed.
{family} was discharged home to {line}, {city}, and will be phoned at {phone} within 48 hours.
Follow-up was arranged for {what3} after {visit3}.
The medical record number is {mrn}, and the social security number on file is {ssn}.
"""

_BANNER = """
{family}, {given}   |  DOB {birth}  |  MRN {mrn}
SSN {ssn}  TEL {phone}
{line}
{city}, {state} {zip}
ATTENDING: {doctor}
ADM {visit1}   DX {what1}
"""

_MESSAGE = """
Hi all,

could someone please call {given} {family} back at {phone}? {given} rang this morning about {what1}.
The address we have, {line}, {city} {state} {zip}, may be out of date.
I checked the chart ({mrn}) and the birthday {birth} matches. Mother is {mother}.
Licence {licence} was shown at the desk.
Passport {passport} was copied.
{initial}. {family} would like to come after {visit1} if Dr. {doctor} has a slot.

Thanks!
"""

_HTML = """
<table><tr><th>Name</th><td>{given} {family}</td></tr>
<tr><th>Born</th><td>{birth}</td></tr>
<tr><th>Record no.</th><td>{mrn}</td></tr>
<tr><th>SSN</th><td>{ssn}</td></tr>
<tr><th>Telephone</th><td>{phone}</td></tr>
<tr><th>Address</th><td>{line}<br/>{city}, {state}</td></tr>
<tr><th>Post code</th><td>{zip}</td></tr>
<tr><th>Doctor</th><td>{doctor}</td></tr></table>
<p>Seen {visit1}: {what1}. Seen {visit2}: {what2}.</p>
"""

_FAX = """
FAX COVER SHEET
TO: Dr. {doctor}     FROM: Medical Records
PATIENT: {given} {family}     D.O.B.: {birth}
MR#: {mrn}
RETURN CALL: {phone}
Records requested for services of {visit1} through {visit2}.
Mailing address on file: {line}; {city}; {state} {zip}
Signed: {given} {family}
"""

_CLAIM = """
{given} {family}
{line}
{city}, {state} {zip}

Dear {prefix} {family}:

Your claim for {what1} on {visit1} has been processed. Our file lists your date of birth as {birth},
your telephone number as {phone} and your social security number as {ssn}.
If you were treated by anyone other than {doctor} at {hospital}, write to us within 30 days.
"""

LAYOUTS = (
    Layout("form", "us", _FORM),
    Layout("letter", "long", _LETTER),
    Layout("pipes", "iso", _PIPES),
    Layout("csv", "iso", _CSV),
    Layout("json", "iso", _JSON),
    Layout("paths", "iso", _PATHS),
    Layout("summary", "long", _SUMMARY),
    Layout("banner", "us", _BANNER, case="upper"),
    Layout("message", "short", _MESSAGE),
    Layout("html", "day", _HTML),
    Layout("fax", "us", _FAX),
    Layout("claim", "long", _CLAIM),
)


def in_all_layouts(fields: Mapping[str, str | date]) -> Iterator[Example]:
    """Yield the patient's fields written in each layout."""
    for layout in LAYOUTS:
        yield layout.write(fields)
