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

    Words of the list and generic names of drugs are not.

    Both offsets are 0 when no such word is in it.
    """
    words = [w for w in _WORD.finditer(value) if not _is_ordinary(w[0])]
    return (words[0].start(), words[-1].end()) if words else (0, 0)


def _is_ordinary(word: str) -> bool:
    return word.lower() in _ORDINARY or _DRUG.fullmatch(word) is not None
