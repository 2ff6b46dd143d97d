"""Which field of which HL7 v2 segment is called what, and of which type it is.

Source: HL7 v2.5.1, chapters 2 to 12. A label of "" leaves a field out: counters and protocol. What
is not in the tables is written under its number, so that nothing that people say is lost.
"""

from collections.abc import Mapping
from typing import Final

Fields = Mapping[int, tuple[str, str]]


def _fields(text: str) -> Fields:
    """Return the fields that lines like ``5 Name XPN`` describe; a bare number is left out."""
    fields = {}
    for row in text.strip().split("\n"):
        number, _, rest = row.strip().partition(" ")
        label, _, kind = rest.rpartition(" ")
        fields[int(number)] = (label, "" if kind == "-" else kind)
    return fields


_MSH: Final = _fields("""
    1
    2
    3 Sending application HD
    4 Sending facility HD
    5 Receiving application HD
    6 Receiving facility HD
    7 Sent TS
    8
    9
    10
    11
    12
    13
    14
    15
    16
    17
    18
    19
    20
    21
    """)
_EVN: Final = _fields("""
    1
    2 Recorded TS
    3 Planned TS
    4 Reason CWE
    5 Operator XCN
    6 Occurred TS
    7 Facility HD
    """)
_PID: Final = _fields("""
    1
    2 Patient id CX
    3 MRN CX
    4 Alternate patient id CX
    5 Patient name XPN
    6 Mother's maiden name XPN
    7 Date of birth TS
    8 Sex CWE
    9 Alias XPN
    10 Race CWE
    11 Address XAD
    12 County -
    13 Home phone XTN
    14 Work phone XTN
    15 Language CWE
    16 Marital status CWE
    17 Religion CWE
    18 Account number CX
    19 SSN CX
    20 Driver's license number DLN
    21 Mother's MRN CX
    22 Ethnic group CWE
    23 Place of birth -
    24 Multiple birth -
    25 Birth order -
    26 Citizenship CWE
    27 Veteran status CWE
    28 Nationality CWE
    29 Date of death TS
    30 Deceased -
    33 Last updated TS
    34 Last updated by HD
    """)
_PD1: Final = _fields("""
    3 Primary facility XON
    4 Primary care provider XCN
    12 Protected -
    """)
_NK1: Final = _fields("""
    1
    2 Name XPN
    3 Relationship CWE
    4 Address XAD
    5 Phone XTN
    6 Work phone XTN
    7 Role CWE
    8 Since DT
    9 Until DT
    13 Organization XON
    14 Marital status CWE
    15 Sex CWE
    16 Date of birth TS
    30 Contact name XPN
    31 Contact phone XTN
    32 Contact address XAD
    33 Identifier CX
    37 SSN -
    """)
_PV1: Final = _fields("""
    1
    2 Patient class -
    3 Location -
    4 Admission type CWE
    5 Preadmission number CX
    6 Prior location -
    7 Attending doctor XCN
    8 Referring doctor XCN
    9 Consulting doctor XCN
    10 Service -
    11 Temporary location -
    14 Admission source -
    15 Ambulatory status -
    16 VIP indicator -
    17 Admitting doctor XCN
    18 Patient type -
    19 Visit number CX
    20 Financial class -
    36 Discharge disposition -
    37 Discharged to -
    39 Facility -
    44 Admitted TS
    45 Discharged TS
    50 Alternate visit number CX
    52 Other provider XCN
    """)
_PV2: Final = _fields("""
    3 Reason for admission CWE
    4 Reason for transfer CWE
    8 Expected admission TS
    9 Expected discharge TS
    12 Description -
    23 Clinic XON
    """)
_ORC: Final = _fields("""
    1 Control -
    2 Placer order number EI
    3 Filler order number EI
    4 Group number EI
    5 Status -
    7 Timing -
    8
    9 Ordered TS
    10 Entered by XCN
    11 Verified by XCN
    12 Ordered by XCN
    13
    14 Call-back phone XTN
    15 Effective TS
    16 Reason CWE
    17 Organization CWE
    21 Facility XON
    22 Facility address XAD
    23 Facility phone XTN
    24 Provider address XAD
    """)
_OBR: Final = _fields("""
    1
    2 Placer order number EI
    3 Filler order number EI
    4 Test CWE
    5 Priority -
    6 Requested TS
    7 Observed TS
    8 Observed until TS
    10 Collected by XCN
    13 Clinical information -
    14 Specimen received TS
    15 Specimen -
    16 Ordered by XCN
    17 Call-back phone XTN
    22 Reported TS
    24 Section -
    25 Status -
    27 Timing -
    28 Copies to XCN
    31 Reason CWE
    32 Interpreted by XCN
    33 Assisted by XCN
    34 Technician XCN
    35 Transcribed by XCN
    """)
_AL1: Final = _fields("""
    1
    2 Type CWE
    3 Substance CWE
    4 Severity CWE
    5 Reaction -
    6 Identified DT
    """)
_IAM: Final = _fields("""
    1
    2 Type CWE
    3 Substance CWE
    4 Severity CWE
    5 Reaction -
    6 Action CWE
    """)
_DG1: Final = _fields("""
    1
    2 Coding method -
    3 Diagnosis CWE
    4 Description -
    5 Diagnosed TS
    6 Kind -
    16 Diagnosed by XCN
    19 Attested TS
    """)
_PR1: Final = _fields("""
    1
    2 Coding method -
    3 Procedure CWE
    4 Description -
    5 Performed TS
    8 Anaesthesiologist XCN
    11 Surgeon XCN
    12 Practitioner XCN
    """)
_PRB: Final = _fields("""
    1 Action -
    2 Action time TS
    3 Problem CWE
    4 Problem number EI
    7 Established TS
    8 Anticipated resolution TS
    9 Resolved TS
    13 Status CWE
    14 Status CWE
    16 Onset TS
    """)
_GOL: Final = _fields("""
    1 Action -
    2 Action time TS
    3 Goal CWE
    4 Goal number EI
    """)
_GT1: Final = _fields("""
    1
    2 Guarantor number CX
    3 Name XPN
    4 Spouse XPN
    5 Address XAD
    6 Phone XTN
    7 Work phone XTN
    8 Date of birth TS
    9 Sex -
    11 Relationship CWE
    12 SSN -
    13 Since DT
    14 Until DT
    16 Employer XPN
    17 Employer address XAD
    18 Employer phone XTN
    19 Employee number CX
    """)
_IN1: Final = _fields("""
    1
    2 Plan CWE
    3 Company number CX
    4 Company XON
    5 Company address XAD
    6 Company contact XPN
    7 Company phone XTN
    8 Group number -
    9 Group name XON
    11 Employer XON
    12 Effective DT
    13 Expires DT
    15 Plan type -
    16 Insured person XPN
    17 Relationship to patient CWE
    18 Insured person's date of birth TS
    19 Insured person's address XAD
    36 Policy number -
    43 Insured person's sex -
    49 Insured person's id CX
    """)
_IN2: Final = _fields("""
    1 Insured employee number CX
    2 Insured person's SSN -
    3 Employer XCN
    6 Medicare number -
    61 Member number CX
    63 Insured person's phone XTN
    """)
_RXA: Final = _fields("""
    1
    2
    3 Given TS
    4 Until TS
    5 Substance CWE
    6 Amount -
    7 Unit CWE
    9 Note CWE
    10 Given by XCN
    11 At -
    15 Lot number -
    16 Expires TS
    17 Manufacturer CWE
    18 Refusal reason CWE
    20 Status -
    """)
_RXE: Final = _fields("""
    1 Timing -
    2 Medication CWE
    3 Least amount -
    4 Most amount -
    5 Unit CWE
    6 Form CWE
    7 Instructions CWE
    10 Dispense amount -
    12 Refills -
    13 Ordered by XCN
    15 Prescription number -
    """)
_RXO: Final = _fields("""
    1 Medication CWE
    2 Least amount -
    3 Most amount -
    4 Unit CWE
    5 Form CWE
    6 Instructions CWE
    11 Dispense amount -
    14 Ordered by XCN
    """)
_RXR: Final = _fields("""
    1 Route CWE
    2 Site CWE
    3 Device CWE
    4 Method CWE
    """)
_RXD: Final = _fields("""
    2 Medication CWE
    3 Dispensed TS
    4 Amount -
    5 Unit CWE
    7 Prescription number -
    10 Dispensed by XCN
    """)
_TXA: Final = _fields("""
    1
    2 Document type -
    3 Presentation -
    4 Activity TS
    5 Provider XCN
    6 Written TS
    7 Transcribed TS
    9 Author XCN
    10 Authenticator XCN
    11 Transcriptionist XCN
    12 Document number EI
    16 File name -
    17 Completion status -
    18 Confidentiality -
    22 Signed by XCN
    """)
_SCH: Final = _fields("""
    1 Placer appointment number EI
    2 Filler appointment number EI
    6 Reason for event CWE
    7 Reason for appointment CWE
    8 Type CWE
    9 Duration -
    10 Unit CWE
    11 Timing -
    12 Placer contact XCN
    16 Filler contact XCN
    17 Phone XTN
    20 Entered by XCN
    25 Status CWE
    """)
_FT1: Final = _fields("""
    1
    2 Transaction number -
    4 Date TS
    5 Posted TS
    6 Kind -
    7 Item CWE
    8 Description -
    10 Quantity -
    11 Amount -
    19 Diagnosis CWE
    20 Performed by XCN
    21 Ordered by XCN
    25 Procedure CWE
    """)
_MRG: Final = _fields("""
    1 Earlier MRN CX
    2 Earlier alternate id CX
    3 Earlier account number CX
    4 Earlier patient id CX
    5 Earlier visit number CX
    7 Earlier name XPN
    """)
_SPM: Final = _fields("""
    1
    2 Specimen number EI
    4 Type CWE
    8 Source site CWE
    14 Description -
    17 Collected TS
    18 Received TS
    """)
_ROL: Final = _fields("""
    1 Role instance EI
    2 Action -
    3 Role CWE
    4 Person XCN
    5 Since TS
    6 Until TS
    11 Address XAD
    12 Phone XTN
    """)
_PRD: Final = _fields("""
    1 Role CWE
    2 Name XPN
    3 Address XAD
    4 Location -
    5 Phone XTN
    7 Provider number -
    """)
_TQ1: Final = _fields("""
    1
    2 Quantity -
    3 Repeat -
    4 Time -
    6 Duration -
    7 Starts TS
    8 Ends TS
    9 Priority CWE
    11 Instructions -
    """)
_DSC: Final = _fields("1")

SEGMENTS: Final[Mapping[str, tuple[str, Fields]]] = {
    "MSH": ("Message", _MSH),
    "EVN": ("Event", _EVN),
    "PID": ("Patient", _PID),
    "PD1": ("Patient, additional", _PD1),
    "NK1": ("Next of kin", _NK1),
    "PV1": ("Visit", _PV1),
    "PV2": ("Visit, additional", _PV2),
    "ORC": ("Order", _ORC),
    "OBR": ("Observation request", _OBR),
    "AL1": ("Allergy", _AL1),
    "IAM": ("Adverse reaction", _IAM),
    "DG1": ("Diagnosis", _DG1),
    "PR1": ("Procedure", _PR1),
    "PRB": ("Problem", _PRB),
    "GOL": ("Goal", _GOL),
    "GT1": ("Guarantor", _GT1),
    "IN1": ("Insurance", _IN1),
    "IN2": ("Insurance, additional", _IN2),
    "RXA": ("Administration", _RXA),
    "RXE": ("Encoded order", _RXE),
    "RXO": ("Pharmacy order", _RXO),
    "RXR": ("Route", _RXR),
    "RXD": ("Dispense", _RXD),
    "TXA": ("Document", _TXA),
    "SCH": ("Appointment", _SCH),
    "FT1": ("Charge", _FT1),
    "MRG": ("Merged from", _MRG),
    "SPM": ("Specimen", _SPM),
    "ROL": ("Role", _ROL),
    "PRD": ("Provider", _PRD),
    "TQ1": ("Timing", _TQ1),
    "DSC": ("", _DSC),
}
LINE_SEGMENTS: Final = frozenset(
    "AL1 IAM DG1 PR1 PRB GOL RXA RXE RXO RXR RXD FT1 SPM ROL PRD TQ1 ORC EVN DSC".split()
)
"""Segments that come in rows: each is one line."""

_EVENTS: Final[Mapping[str, str]] = {
    "ADT^A01": "(admission)",
    "ADT^A02": "(transfer)",
    "ADT^A03": "(discharge)",
    "ADT^A04": "(registration)",
    "ADT^A05": "(preadmission)",
    "ADT^A08": "(update of patient information)",
    "ADT^A11": "(admission cancelled)",
    "ADT^A13": "(discharge cancelled)",
    "ADT^A28": "(person added)",
    "ADT^A31": "(person updated)",
    "ADT^A40": "(patients merged)",
    "ORU": "(results)",
    "ORM": "(order)",
    "OML": "(laboratory order)",
    "OMP": "(pharmacy order)",
    "RDE": "(pharmacy order)",
    "RDS": "(dispense)",
    "RAS": "(administration)",
    "VXU": "(vaccination)",
    "MDM": "(document)",
    "SIU": "(appointment)",
    "DFT": "(charges)",
    "BAR": "(billing account)",
    "REF": "(referral)",
    "PPR": "(problem)",
    "PGL": "(goal)",
}


def event_name(message_type: str) -> str:
    """Return in words, in parentheses, what a message tells, or ``""``."""
    return _EVENTS.get(message_type) or _EVENTS.get(message_type.partition("^")[0], "")
