"""What only looks like personal data: a short, explicit list, and what makes a date a date."""

import re
from typing import Final

_MONTHS: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
# HIPAA Safe Harbor asks for the elements of dates other than the year: "2019", "two weeks" and
# "daily" say nothing of a person, "March 2019" and "12/3/19" do.
_CALENDAR: Final = re.compile(
    rf"(?i)\b{_MONTHS}\b\.?,?\s{{0,3}}(?:the\s)?\d"
    rf"|\d(?:st|nd|rd|th)?[\s,.-]{{1,4}}(?:of\s)?{_MONTHS}\b"
    r"|\b\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b|\b\d{4}[/.-]\d{1,2}[/.-]\d{1,2}"
)

# Single words that the small tagger takes for names or places in charts, letters and statements.
# Kept short on purpose: each word here is one that will never be masked by the tagger alone.
_ORDINARY: Final = frozenset(
    """
    driver patient patients client customer borrower applicant member subscriber provider physician
    doctor nurse surgeon pharmacist attending resident hospital clinic department unit ward icu er
    ed name date dob ssn mrn npi dea dx rx tx hx fax phone tel email e-mail address zip code city
    state account routing number statement balance invoice loan deposit card bank branch policy
    claim signature signed dear sincerely regards re cc note notes summary history assessment plan
    diagnosis impression findings medication allergies vitals labs results admission discharge
    follow-up mr mrs ms dr md rn bp hr rr bmi ct mri ecg ekg cxr cbc bun ldl hdl hba1c a1c copd chf
    cad gerd uti mi tia afib htn dm diabetes hypertension asthma pneumonia sepsis anemia aspirin
    tylenol advil motrin acetaminophen ibuprofen naproxen metformin lisinopril atorvastatin
    simvastatin rosuvastatin lipitor crestor amlodipine norvasc losartan cozaar metoprolol lopressor
    atenolol carvedilol coreg hydrochlorothiazide furosemide lasix spironolactone warfarin coumadin
    heparin lovenox eliquis xarelto plavix clopidogrel insulin lantus humalog glipizide januvia
    omeprazole prilosec pantoprazole protonix ranitidine albuterol ventolin advair singulair
    prednisone methylprednisolone levothyroxine synthroid gabapentin neurontin lyrica tramadol
    oxycodone percocet hydrocodone vicodin norco morphine fentanyl zoloft sertraline prozac lexapro
    wellbutrin trazodone ativan lorazepam xanax klonopin ambien amoxicillin augmentin azithromycin
    zithromax ciprofloxacin cipro levaquin vancomycin zosyn keflex bactrim doxycycline zofran
    """.split()
)
# Heads of columns and fields. Some are surnames too, so only a span of nothing else is none.
_HEADS: Final = frozenset(
    """
    alert alerts amount amounts annual applied approved average base beginning bill bills
    browser category chaplain check checks class closed closing comment comments contact content
    count country credit currency current daily debit description details domestic due ending
    fee fees field figure final first from ground group high home incoming initial interest
    intermediary international item items kind last left level limit line location low maternity
    maximum medium message messages method middle minimum monthly net new next none number
    office old open opening other outgoing owner page paid payment payments pending percent
    period phase place price primary priority purpose quantity range rate reason received record
    remarks remittance request required result right risk room rules score second section
    service services size source specimen sputum start status subject summary table tax team
    term terms test text third time title total totals transfer type units until update use user
    value version visit wage week when whole year years
    """.split()
)
# Generic drug names carry their class as an ending, and the tagger takes many for surnames.
# Source: WHO, The use of stems in the selection of International Nonproprietary Names, 2018.
_DRUG: Final = re.compile(
    r"(?i)\w{3,}(?:xaban|gatran|parin|statin|sartan|pril|olol|dipine|conazole|prazole|cillin"
    r"|cycline|mycin|floxacin|gliptin|gliflozin|glutide|tidine|oxetine|triptan|setron|dronate"
    r"|dronic|lukast|tinib|zumab|ximab|mumab|ercept|azepam|azolam|barbital|profen|thiazide"
    r"|semide|fibrate|coxib|peridol|tiapine|darone|oxin)"
)
_WORD: Final = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")


def is_calendar_date(value: str) -> bool:
    """Return whether the value names a day or a month of a year, and not a span of time."""
    return _CALENDAR.search(value) is not None


def without_ordinary_words(value: str) -> tuple[int, int]:
    """Return the part of a tagged value from its first to its last word that may be a name.

    Words of the list and generic names of drugs are not; words that head columns are not when
    nothing else stands there. Both offsets are 0 when no word may be a name.
    """
    words = [w for w in _WORD.finditer(value) if not _is_ordinary(w[0])]
    if not words or all(word[0].lower() in _HEADS for word in words):
        return 0, 0
    return words[0].start(), words[-1].end()


def _is_ordinary(word: str) -> bool:
    return word.lower() in _ORDINARY or _DRUG.fullmatch(word) is not None
