"""Code systems by the names that clinicians use, and a code beside its display name."""

from collections.abc import Mapping
from typing import Final

# Source: terminology.hl7.org (URIs and OIDs of external code systems), HL7 v2 table 0396.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "LOINC": ("http://loinc.org", "2.16.840.1.113883.6.1", "LN"),
    "SNOMED CT": ("http://snomed.info/sct", "2.16.840.1.113883.6.96", "SCT", "SNM", "SNOMED-CT"),
    "RxNorm": (
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "2.16.840.1.113883.6.88",
        "RXNORM",
    ),
    "ICD-10-CM": ("http://hl7.org/fhir/sid/icd-10-cm", "2.16.840.1.113883.6.90", "I10C"),
    "ICD-10": ("http://hl7.org/fhir/sid/icd-10", "2.16.840.1.113883.6.3", "I10"),
    "ICD-10-PCS": ("http://www.cms.gov/Medicare/Coding/ICD10", "2.16.840.1.113883.6.4", "I10P"),
    "ICD-9-CM": ("http://hl7.org/fhir/sid/icd-9-cm", "2.16.840.1.113883.6.103", "I9", "I9C"),
    "CVX": ("http://hl7.org/fhir/sid/cvx", "2.16.840.1.113883.12.292", "2.16.840.1.113883.6.59"),
    "CPT": ("http://www.ama-assn.org/go/cpt", "2.16.840.1.113883.6.12", "C4", "CPT4"),
    "HCPCS": ("2.16.840.1.113883.6.285", "2.16.840.1.113883.6.14", "HCPCS"),
    "NDC": ("http://hl7.org/fhir/sid/ndc", "2.16.840.1.113883.6.69", "NDC"),
    "MVX": ("http://hl7.org/fhir/sid/mvx", "2.16.840.1.113883.12.227", "MVX"),
    "DCM": ("http://dicom.nema.org/resources/ontology/DCM", "1.2.840.10008.2.16.4", "DCM"),
    "NCI": ("http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl", "2.16.840.1.113883.3.26.1.1"),
    "CDT": ("http://www.ada.org/cdt", "2.16.840.1.113883.6.13"),
    "UNII": ("http://fdasis.nlm.nih.gov", "2.16.840.1.113883.4.9"),
}
_BY_SYSTEM: Final = {system: name for name, systems in _NAMES.items() for system in systems}


def system_name(system: str) -> str:
    """Return the short name of a code system, or ``""`` for one that says nothing to a reader."""
    return _BY_SYSTEM.get(system) or _BY_SYSTEM.get(system.removeprefix("urn:oid:"), "")


def coded(display: str, code: str, system: str) -> str:
    """Return ``Hemoglobin A1c (LOINC 4548-4)``, or as much of it as there is."""
    name = system_name(system)
    if not display:
        return f"{name} {code}".strip()
    if not code or display == code:
        return display
    return f"{display} ({name} {code})" if name else display
