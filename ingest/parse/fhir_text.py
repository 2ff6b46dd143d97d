"""FHIR resources as lines that a person would write: labels, display names with codes, dates.

Works by the shapes of FHIR's data types and not by resource, so that every resource of R4 and R5
is readable and none is left out for being new.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ingest.parse.codes import coded, system_name
from ingest.parse.document import TextBuilder
from ingest.parse.embedded import add_embedded, decode_base64, visible_text

Resolve = Callable[[str], Mapping[str, Any] | None]

_SKIPPED: Final = frozenset({"resourceType", "id", "meta", "implicitRules", "text", "contained"})
_DERIVED: Final = frozenset({"generated", "empty"})
# Deep enough for a dosage inside an order inside a plan; deeper is nobody's record.
_MAX_DEPTH: Final = 24
_TYPES: Final = (
    *("DateTime", "Date", "Time", "Instant", "Period", "Quantity", "CodeableConcept"),
    *("CodeableReference", "Reference", "String", "Boolean", "Integer", "Decimal", "Range"),
    *("Ratio", "Coding", "Code", "Uri", "Address", "Age", "Money", "Identifier", "Timing"),
    *("Attachment", "Markdown", "Annotation", "Duration", "SampledData", "Canonical"),
)
_CHOICE: Final = re.compile(rf"(?<=[a-z])(?:{'|'.join(_TYPES)})$")
# Words that only look like a choice of types.
_WHOLE: Final = {
    "birthDate": "Date of birth",
    "deceasedDateTime": "Date of death",
    "recordedDate": "Recorded",
    "statusReason": "Reason for status",
    "identifier": "Identifier",
    "telecom": "Contact",
    "mothersMaidenName": "Mother's maiden name",
}
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TIME: Final = re.compile(
    r"^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$"
)
_TITLES: Final = (
    *("code", "vaccineCode", "medicationCodeableConcept", "medication", "type", "category"),
    *("title", "name", "description", "serviceType"),
)


class Writer:
    """Writes resources into a text, one section each."""

    def __init__(self, builder: TextBuilder, resolve: Resolve) -> None:
        """``resolve`` finds the resource that a reference names, in the same file."""
        self._builder = builder
        self._resolve = resolve
        self._contained: dict[str, Mapping[str, Any]] = {}

    def resource(self, resource: Mapping[str, Any], level: int = 1) -> None:
        """Write one resource and what it contains."""
        rows = _rows(resource.get("contained"))
        inner = [one for one in rows if isinstance(one.get("resourceType"), str)]
        if level == 1:
            self._contained = {f"#{one.get('id')}": one for one in inner}
        kind = _label(resource["resourceType"])
        title, named = self._title(resource)
        self._builder.heading(f"{kind}: {title}" if title else kind, level)
        self._narrative(resource.get("text"))
        result = self._result(resource)
        used = {named}
        if result:
            used |= {"code", *(key for key in resource if key.startswith("value"))}
        if result:
            self._builder.add(result)
        for key, value in resource.items():
            if key not in _SKIPPED and key not in used and not key.startswith("_"):
                self._field(key, value)
        if level < 3:
            for one in inner:
                self.resource(one, level + 1)

    def _title(self, resource: Mapping[str, Any]) -> tuple[str, str]:
        """Return what the resource is about, and the field that this says all of.

        People's names stand in the body alone.
        """
        if resource["resourceType"] in {"Patient", "Practitioner", "RelatedPerson", "Person"}:
            return "", ""
        for name in _TITLES:
            value = resource.get(name)
            text = self._text(_first(value), 0)
            if text:
                whole = len(text) <= 200 and not (isinstance(value, list) and len(value) > 1)
                return text[:200], name if whole else ""
        return "", ""

    def _result(self, resource: Mapping[str, Any]) -> str:
        """Return an observation's own line, ``Hemoglobin A1c (LOINC 4548-4): 7.2 %``."""
        if resource["resourceType"] != "Observation":
            return ""
        name = self._text(resource.get("code"), 0)
        values = [self._text(resource[key], 0) for key in resource if key.startswith("value")]
        return f"{name}: {', '.join(values)}" if name and any(values) else ""

    def _narrative(self, text: Any) -> None:
        # A generated narrative repeats the fields; any other may say more than they do.
        if isinstance(text, dict) and str(text.get("status")) not in _DERIVED:
            self._builder.add(visible_text(str(text.get("div") or "")))

    def _field(self, key: str, value: Any) -> None:
        """Write one field: lists of simple values on one line, of compound ones on a line each."""
        if key in {"extension", "modifierExtension"}:
            for row in _rows(value):
                self._builder.add(self._text(row, 0))
            return
        for name, text in self._values(_label(key), value, 0):
            self._builder.add(f"{name}: {text}")
        for attachment in _attachments(value):
            self._attachment(attachment)

    def _values(self, label: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
        """Yield a label and a text for each line that a value needs."""
        rows = value if isinstance(value, list) else [value]
        simple: list[str] = []
        for row in rows:
            named = _named(label, row)
            text = self._text(row, depth)
            if not text:
                continue
            if named or (isinstance(row, dict) and len(text) > 60):
                yield named or label, text
            else:
                simple.append(text)
        if simple:
            yield label, ", ".join(simple)

    def _text(self, value: Any, depth: int) -> str:
        if value is None or depth > _MAX_DEPTH:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list):
            return ", ".join(filter(None, (self._text(one, depth + 1) for one in value)))
        if not isinstance(value, dict):
            return _moment(str(value))
        for shape in _SHAPES:
            if (text := shape(self, value, depth)) is not None:
                return " ".join(text.split())
        return "; ".join(
            f"{name}: {text}"
            for key, one in value.items()
            if key != "id" and not key.startswith("_")
            for name, text in self._values(_label(key), one, depth + 1)
        )

    def _reference(self, value: Mapping[str, Any], depth: int) -> str | None:
        if not isinstance(value.get("reference", value.get("display")), str):
            return None
        if not value.keys() <= {"reference", "display", "identifier", "type", "id"}:
            return None
        name = str(value.get("reference") or "")
        found = self._contained.get(name) or self._resolve(name)
        shown = str(value.get("display") or "")
        if found is not None and depth < _MAX_DEPTH:
            shown = shown or self._summary(found, depth + 1)
        if shown:
            return shown
        # A bare URN says nothing to a reader; a type and a logical id at least says what it is.
        return "" if name.startswith(("urn:", "#")) else name

    def _summary(self, resource: Mapping[str, Any], depth: int) -> str:
        """Return in a few words which resource a reference means."""
        if depth > 3:
            return ""
        kind = resource.get("resourceType")
        what = self._text(_first(resource.get("name")), depth)
        for name in _TITLES:
            what = what or self._text(_first(resource.get(name)), depth)
        if kind == "Encounter":
            start = _first(resource.get("period"))
            when = _moment(str(start.get("start") or "")) if isinstance(start, dict) else ""
            return " ".join(filter(None, (what or "encounter", when and f"on {when}")))
        return what

    def _codeable(self, value: Mapping[str, Any], depth: int) -> str | None:
        del depth
        if not value.keys() <= {"coding", "text", "id", "extension"} or not value:
            return None
        codings = [one for one in _rows(value.get("coding")) if one.keys() & {"code", "display"}]
        shown = [_coding_text(one) for one in codings]
        text = str(value.get("text") or "")
        if not shown:
            return text if "text" in value else None
        main = str(codings[0].get("display") or "")
        if text and text != main:
            extra = [one for one in shown if not one.startswith(f"{text} (")]
            return f"{text} ({', '.join(extra)})" if extra else shown[0]
        return ", ".join(dict.fromkeys(shown))

    def _attachment(self, value: Mapping[str, Any]) -> None:
        data = decode_base64(str(value["data"]))
        add_embedded(self._builder, data, str(value.get("contentType") or ""))


def _coding(_: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    del depth
    if "code" not in value or not value.keys() <= _CODING_KEYS:
        return None
    return _coding_text(value)


_CODING_KEYS: Final = frozenset({"system", "version", "code", "display", "userSelected", "id"})


def _coding_text(value: Mapping[str, Any]) -> str:
    display, code = str(value.get("display") or ""), str(value.get("code") or "")
    return coded(display, code, str(value.get("system") or ""))


def _concept(writer: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    """CodeableReference, of R5."""
    if not value or not value.keys() <= {"concept", "reference", "id"}:
        return None
    if not all(isinstance(one, dict) for key, one in value.items() if key != "id"):
        return None
    return ", ".join(
        filter(None, (writer._text(value.get(key), depth + 1) for key in ("concept", "reference")))
    )


def _quantity(_: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    del depth
    if "value" not in value:
        return None
    if value.keys() <= {"value", "currency", "id"} and "currency" in value:
        return f"{value['value']} {value['currency']}"
    if not value.keys() <= {"value", "comparator", "unit", "system", "code", "id"}:
        return None
    if not value.keys() & {"unit", "code"} and "system" in value:
        return None
    unit = value.get("unit") or value.get("code") or ""
    return f"{value.get('comparator') or ''}{value['value']} {unit}".strip()


def _bounds(writer: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    """Period, Range and Ratio."""
    for first, last, join in _BOUNDS:
        if value and value.keys() <= {first, last, "id"} and value.keys() & {first, last}:
            ends = (writer._text(value.get(key), depth + 1) for key in (first, last))
            left, right = ends
            if join == " to " and not (left and right):
                return f"from {left}" if left else f"until {right}"
            return f"{left}{join}{right}"
    return None


_BOUNDS: Final = (
    ("start", "end", " to "),
    ("low", "high", " - "),
    ("numerator", "denominator", " / "),
)


def _name(writer: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    del writer, depth
    if not value.keys() & {"family", "given"} or "resourceType" in value:
        return None
    parts = [*_words(value, "prefix"), *_words(value, "given"), *_words(value, "family")]
    text = " ".join((*parts, *_words(value, "suffix")))
    return text or str(value.get("text") or "")


def _address(writer: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    if not value.keys() & {"line", "city", "postalCode"} or "resourceType" in value:
        return None
    place = " ".join((*_words(value, "state"), *_words(value, "postalCode")))
    parts = [*_words(value, "line"), *_words(value, "city"), place, *_words(value, "country")]
    text = ", ".join(filter(None, parts)) or str(value.get("text") or "")
    more = writer._text(value.get("extension"), depth + 1)
    return f"{text} ({more})" if more else text


def _plain_value(_: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    """ContactPoint and Identifier: the label says the rest."""
    del depth
    if not isinstance(value.get("value"), str) or not value.keys() <= _VALUE_KEYS:
        return None
    return str(value["value"]).removeprefix("tel:").removeprefix("mailto:")


_VALUE_KEYS: Final = frozenset(
    {"system", "value", "use", "rank", "period", "type", "assigner", "id", "extension"}
)
_CONTACTS: Final = frozenset({"phone", "fax", "email", "pager", "url", "sms"})


def _attached(_: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    del depth
    if "data" not in value or "contentType" not in value:
        return None
    return f"{value.get('title') or 'attachment'} ({value['contentType']})"


def _extension(writer: Writer, value: Mapping[str, Any], depth: int) -> str | None:
    if "url" not in value or not any(k == "extension" or k.startswith("value") for k in value):
        return None
    inner = [value[key] for key in value if key == "extension" or key.startswith("value")]
    text = ", ".join(filter(None, (writer._text(one, depth + 1) for one in inner)))
    last = str(value["url"]).split("/")[-1]
    name = _label(_PREFIXES.sub("", last).replace("-", " "))
    # The parts of a compound extension repeat each other: the text part is the readable one.
    parts = [one for one in _rows(value.get("extension")) if one.get("url") == "text"]
    if parts:
        text = writer._text(parts[0].get("valueString"), depth + 1) or text
    return f"{name}: {text}" if text else ""


_PREFIXES: Final = re.compile("^(?:us-core|patient|iso21090)-")

_SHAPES: Final[tuple[Callable[[Writer, Mapping[str, Any], int], str | None], ...]] = (
    _quantity,
    _plain_value,
    Writer._codeable,
    _coding,
    Writer._reference,
    _concept,
    _bounds,
    _attached,
    _extension,
    _name,
    _address,
)


def _named(label: str, value: Any) -> str:
    """Return the label that a contact, identifier or name brings itself, or ``""``."""
    if not isinstance(value, dict):
        return ""
    use = value.get("use")
    if isinstance(value.get("value"), str) and value.keys() <= _VALUE_KEYS:
        system = str(value.get("system") or "")
        if system in _CONTACTS:
            way = system.capitalize()
            return f"{way} ({use})" if isinstance(use, str) else way
        kind = value.get("type")
        text = Writer._codeable(_NOBODY, kind, 0) if isinstance(kind, dict) else ""
        text = text or _known_system(system)
        return text.split(" (")[0] if text else label
    if value.keys() & {"family", "given"} and isinstance(use, str) and use != "official":
        return f"{label} ({use})"
    return ""


def _known_system(system: str) -> str:
    if system.endswith("us-npi"):
        return "NPI"
    return "SSN" if system.endswith("us-ssn") else system_name(system)


def _label(name: str) -> str:
    """Return ``authoredOn`` as ``Authored on`` and ``valueQuantity`` as ``Value``."""
    if name in _WHOLE:
        return _WHOLE[name]
    words = _WORDS.sub(" ", _CHOICE.sub("", name)).replace("_", " ").split()
    return (
        " ".join([words[0][:1].upper() + words[0][1:], *(w.lower() for w in words[1:])])
        if words
        else ""
    )


def _moment(text: str) -> str:
    if found := _TIME.match(text):
        seconds = "" if (found[3] or "").strip(":0.") == "" else found[3]
        return f"{found[1]} {found[2]}{seconds or ''}"
    return text


def _words(value: Mapping[str, Any], key: str) -> list[str]:
    found = value.get(key)
    rows = found if isinstance(found, list) else [found]
    return [str(one) for one in rows if isinstance(one, str) and one]


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _attachments(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the attachments with data below a field."""
    stack = [value]
    while stack:
        top = stack.pop(0)
        if isinstance(top, dict):
            if isinstance(top.get("data"), str) and isinstance(top.get("contentType"), str):
                yield top
            stack = [*top.values(), *stack]
        elif isinstance(top, list):
            stack = [*top, *stack]


_NOBODY: Final = Writer(TextBuilder(max_chars=0), lambda _: None)
