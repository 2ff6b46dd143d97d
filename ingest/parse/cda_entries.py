"""What is coded in a C-CDA section: statements with their display names, codes, values, times."""

from collections.abc import Iterator, Mapping
from typing import Final

from ingest.parse.codes import coded
from ingest.parse.document import clean
from ingest.parse.hl7_types import moment
from ingest.parse.safe_xml import Element, children, find, find_all, local, text_of

_STATEMENTS: Final[Mapping[str, str]] = {
    "act": "Act",
    "encounter": "Encounter",
    "observation": "Observation",
    "procedure": "Procedure",
    "substanceAdministration": "Medication",
    "supply": "Supply",
}
_PRODUCTS: Final = (
    "consumable/manufacturedProduct/manufacturedMaterial/code",
    "product/manufacturedProduct/manufacturedMaterial/code",
    "participant/participantRole/playingEntity/code",
)
# A statement with such a code says what it says in its value (C-CDA, problem observation).
_ASSERTION: Final = "ASSERTION"


def concept(element: Element | None, named: Mapping[str, Element] | None = None) -> str:
    """Return ``Hives (SNOMED CT 247472004)``; the narrative's own words where no name is given."""
    if element is None:
        return ""
    display = clean(element.get("displayName") or "")
    code, system = clean(element.get("code") or ""), element.get("codeSystem") or ""
    original = find(element, "originalText")
    if not display and original is not None:
        reference = find(original, "reference")
        target = (reference.get("value") or "").removeprefix("#") if reference is not None else ""
        display = text_of((named or {}).get(target)) or text_of(original)
    if not display and code:
        inner = find(element, "translation")
        return concept(inner, named) if inner is not None else coded("", code, system)
    return coded(" ".join(display.split()), code, system)


def coded_lines(section: Element, named: Mapping[str, Element]) -> Iterator[str]:
    """Yield a line for each statement of a section that has a name."""
    for entry in children(section, "entry"):
        for statement in entry.iter(*(f"{{*}}{name}" for name in _STATEMENTS)):
            if line := _statement(statement, named):
                yield line


def _statement(statement: Element, named: Mapping[str, Element]) -> str:
    code = find(statement, "code")
    is_assertion = code is not None and (code.get("code") or "").upper() == _ASSERTION
    name = "" if is_assertion else concept(code, named)
    values = [_value(one, named) for one in children(statement, "value")]
    products = [concept(one, named) for path in _PRODUCTS for one in find_all(statement, path)]
    what = ", ".join(filter(None, (*products, *values)))
    text = f"{name}: {what}" if name and what else name or what
    if not text or text.startswith(" ("):
        return ""
    more = [_dose(statement), concept(find(statement, "routeCode"), named)]
    more += [_when(find(statement, "effectiveTime"))]
    line = ", ".join(filter(None, (text, *more)))
    negated = "not " if statement.get("negationInd") == "true" else ""
    return f"{_STATEMENTS[local(statement)]}: {negated}{line}"


def _value(value: Element, named: Mapping[str, Element]) -> str:
    if value.get("value") is not None:
        unit = value.get("unit") or ""
        return clean(f"{value.get('value')} {'' if unit == '1' else unit}").strip()
    low, high = find(value, "low"), find(value, "high")
    if low is not None or high is not None:
        ends = (_value(end, named) for end in (low, high) if end is not None)
        return " - ".join(filter(None, ends))
    return concept(value, named) or (text_of(value) if not len(value) else "")


def _dose(statement: Element) -> str:
    dose = find(statement, "doseQuantity")
    value = _value(dose, {}) if dose is not None else ""
    return f"dose {value}" if value else ""


def _when(time: Element | None) -> str:
    if time is None:
        return ""
    stamps = [time, find(time, "low"), find(time, "high")]
    values = [moment(one.get("value") or "") if one is not None else "" for one in stamps]
    return clean(values[0] or " to ".join(filter(None, values[1:])))
