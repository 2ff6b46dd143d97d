"""Names in fixed frames: behind titles, labels and greetings, over signatures, before degrees."""

import re
from collections.abc import Iterator
from typing import Final

from ragplatform.adapters.rules.rule import LIKELY, Family, Rule, span, words
from ragplatform.adapters.rules.vocabulary import (
    CAPITALS,
    FULL_NAME,
    LOWER,
    NAME,
    NAME_WORD,
    UPPER,
)
from ragplatform.model import Span

_TITLED: Final = 0.86
# What follows a title without being a name: "Mr. President", "Ms. and Mr."
_NO_NAME: Final = (
    r"(?!(?:President|Chairman|Speaker|Secretary|Justice|Right|Wrong|The|And|Or|Who|In|At|On|To|Is"
    r"|Was|Will|No|Not|Yes|Mr|Mrs|Ms|Dr|Street|Drive|Suite)\b)"
)
_TITLE: Final = (
    r"(?:Drs?|DR|DRA|MR|MRS|MS|Mrs?|Ms|Miss|Mx|Messrs|Prof(?:essor)?"
    r"|Rev(?:erend)?|Sra?|Srta|Sr|Dra|Don|Doña|Fr|Sir"
    r"|Lady|Lord|Dame|Judge|Justice|Captain|Capt|Sgt|Lt|Col|Gen"
    r"|Hon|Herrn?|Frau|Mme|Mlle|M|Dott|Dottssa"
    r"|Sig|Sig\.ra|Ing|Avv|Monsieur|Madame|Señora?|Signora?|Doctor"
    r"|Nurse|Sister|Officer|Detective|Maître|Me)"
)
_TITLES: Final = tuple(
    """
    dr drs mr mrs ms miss mx messrs prof professor rev reverend sr sra srta dra don doña fr sir lady
    lord dame judge justice captain capt sgt lt col gen hon herr herrn frau mme mlle m dott dottssa
    sig ing avv monsieur madame señor señora signor signora doctor nurse sister officer detective
    maître
    """.split()
)
_DEGREES: Final = (
    r"(?:M\.?D|D\.?O|Ph\.?D|R\.?N|N\.?P|P\.?A(?:-C)?|D\.?D\.?S"
    r"|DMD|Pharm\.?D|MBBS|FACP|FACS|LPN|CRNA|DVM"
    r"|Psy\.?D|LCSW|MSW|CNM|DPM|FRCP|FRCS|CPA|Esq|J\.?D|APRN|CFA|MPH|BSN|MSN|DPT)\b"
)
_CAPITAL_NAME: Final = rf"{CAPITALS}(?:,? {CAPITALS}){{1,3}}"
_LABEL: Final = (
    r"(?:patient|client|borrower|co-?borrower|applicant|customer"
    r"|account holder|card ?holder|insured"
    r"|policy ?holder|attending|physician|provider|surgeon|nurse|doctor|signed(?: by)?|prepared by"
    r"|dictated by|transcribed by|reviewed by|seen by|referred by|approved by|reported by|author"
    r"|guarantor|spouse|husband|wife|mother|father|next of kin"
    r"|emergency contact|contact(?: person)?"
    r"|beneficiary|payee|payer|sender|recipient|employee|manager|supervisor|attorney|attn|attention"
    r"|(?<![^\n])(?:from|to|cc)|bill to|ship to|sold to|full|first|last|middle"
    r"|maiden|given|family|sur|member|subscriber"
    r"|name|nombre(?: y apellidos)?|apellidos?|m[ée]dico|paciente"
    r"|remitido por|responsable cl[íi]nico"
    r"|facultativo|dr|vorname|nachname|patientin|arzt|ärztin|hausarzt|unterschrift"
    r"|nom|pr[ée]nom|m[ée]decin|cognome|nome|medico|paziente"
    r"|firma|signature|signed|caregiver|witness"
    r"|radiologist|pathologist|pcp|ordering|performing|consultant"
    r"|therapist|user|owner|resident|driver|tenant|landlord|buyer"
    r"|seller)"
)
_LABEL_WORDS: Final = tuple(
    """
    patient client borrower co coborrower applicant customer account card cardholder insured policy
    policyholder attending physician provider surgeon nurse doctor signed prepared dictated
    transcribed reviewed seen referred approved reported author guarantor spouse husband wife mother
    father next emergency contact beneficiary payee payer sender recipient employee manager
    supervisor attorney attn attention from cc bill ship sold full first last middle maiden given
    family sur surname member subscriber name nombre apellido apellidos médico medico paciente
    remitido responsable facultativo dr vorname nachname patientin arzt ärztin hausarzt unterschrift
    nom prénom prenom médecin medecin cognome nome paziente firma signature caregiver witness
    radiologist pathologist pcp ordering performing consultant therapist user owner resident driver
    tenant landlord buyer seller firstname lastname fullname patientname middlename givenname
    familyname customername clientname
    """.split()
)

# "to" begins a line of a letter's head, and is otherwise too common a word to try anything at.
_HEAD: Final = re.compile(r"(?:To|TO|Bcc):[ \t]{0,6}")
_ADDRESSEE: Final = re.compile(
    rf"(?:(?:{_TITLE})\.?[ ])?(?P<v>[{UPPER}][{UPPER}{LOWER}'’-]{{1,20}},[ \t]{NAME}|{FULL_NAME})"
)


def find_addressees(text: str) -> Iterator[Span]:
    """Yield the names to whom letters go."""
    for head in _HEAD.finditer(text):
        found = _ADDRESSEE.match(text, head.end())
        if found and text[head.start() - 1 : head.start()] in {"", "\n"}:
            yield span(*found.span("v"), "PERSON", LIKELY, "addressee")


PEOPLE: Final = Family(
    "people",
    (
        Rule(
            "titled_name",
            "PERSON",
            re.compile(
                rf"{_TITLE}(?:\.[ \t\xa0]{{0,2}}|[ \t\xa0]{{1,2}})(?:(?:Dr"
                rf"|Prof|med|Dipl|Ing)\.? ){{0,3}}{_NO_NAME}(?P<v>"
                rf"{NAME}|{CAPITALS}(?= |$|[.,;:]))"
            ),
            _TITLED,
            words=_TITLES,
        ),
        Rule(
            "titled_name_small",
            "PERSON",
            re.compile(
                r"(?:mr|mrs|ms|dr|prof)\. (?P<v>[a-zß-ÿ]{2,20}(?: [a-zß-ÿ]{2,20})?)(?= |$|[.,;:])"
            ),
            LIKELY,
            words=words("mr mrs ms dr prof"),
        ),
        Rule(
            "labelled_name",
            "PERSON",
            re.compile(
                rf"(?i:{_LABEL}(?:['’]s)?[ _]?(?:full |first |last )?(?:names?)?[\"']?)(?<="
                r"[A-Za-zß-ÿ\"'])[ \t]{0,3}(?:</?[a-z]{1,8}>){0,3}[:|=\t]"
                rf"[ \t\xa0]{{0,6}}[\"']?(?:</?[a-z]{{1,8}}>)?(?:(?:{_TITLE})\.?[ ]){{0,2}}"
                rf"(?P<v>[{UPPER}][{UPPER}{LOWER}'’-]{{1,20}},[ \t]{NAME}|{FULL_NAME}"
                rf"|{_CAPITAL_NAME})"
            ),
            LIKELY,
            words=_LABEL_WORDS,
        ),
        # One word is enough where the label can mean nothing but a person's name.
        Rule(
            "labelled_name_part",
            "PERSON",
            re.compile(
                r"(?i:(?:first|last|middle|maiden|given|family|full|sur|patient|nick)"
                r"[ _]?names?|vorname|nachname|familienname|nombre|apellidos?|pr[ée]nom|nom"
                r"(?: de famille)?|cognome)[\"']?[ \t]{0,3}(?:</?[a-z]{1,8}>){0,3}"
                rf"[:|=\t][ \t\xa0]{{0,6}}[\"']?(?:</?[a-z]{{1,8}}>)?(?P<v>{NAME}|{CAPITALS}"
                rf"(?: {CAPITALS}){{0,3}})"
            ),
            LIKELY,
            words=words(
                "first last middle maiden given family full surname patient "
                "firstname lastname fullname middlename patientname nickname vorname "
                "nachname familienname nombre apellido apellidos prénom prenom nom "
                "cognome"
            ),
        ),
        Rule(
            "said_name",
            "PERSON",
            re.compile(
                r"(?i:(?:(?:my|his|her|their|whose) (?:full |first |last "
                r"|maiden |middle )?name(?: is|'s|:| was)"
                r"|name['’]s|(?:patient|man|woman|boy|girl|son|daughter|person|friend|someone|child"
                r"|guy|lady|client|husband|wife|brother|sister|neighbou?r|colleague),?"
                r" (?:called|named)|mein name ist|ich heiße|je m['’]appelle"
                r"|me llamo|mi nombre es|mi chiamo))[ ]"
                rf"(?:(?:{_TITLE})\.?[ ])?(?P<v>{NAME})"
            ),
            LIKELY,
            words=words(
                "my his her their whose name patient man woman boy girl son daughter person friend"
                " someone child guy lady client husband wife brother sister neighbor neighbour"
                " colleague mein ich je me mi"
            ),
        ),
        Rule(
            "greeted_name",
            "PERSON",
            re.compile(
                r"(?:Dear|DEAR|Hi|Hello|Hey|Liebe[r]?|Sehr geehrte[r]?|Cher"
                r"|Chère|Estimad[oa]|Querid[oa]|Caro|Cara|Gentile)[ ]"
                rf"(?:(?:{_TITLE})\.?[ ]){{0,2}}(?!(?:Sir|Madam|All|Team|Friend"
                r"|Doctor|Customer|Patient|Colleague|There|Everyone|Shareholder"
                r"|Stockholder|Fellow|Members?|Editor)s?\b)"
                rf"(?P<v>{NAME})(?=[ ]?[,:!\n])"
            ),
            LIKELY,
            words=words(
                "dear hi hello hey liebe lieber sehr cher chère estimado estimada "
                "querido querida caro cara gentile"
            ),
        ),
        Rule(
            "signed_name",
            "PERSON",
            re.compile(
                r"(?i:sincerely(?: yours)?|(?:best|kind|warm)(?: regards"
                r"| wishes)?|regards|yours (?:truly|sincerely|faithfully)"
                r"|mit freundlichen grüßen|cordialement|atentamente|cordiali saluti"
                r"|respectfully|cheers|thanks|thank you)"
                rf"[,.]?[ \t]{{0,3}}\r?\n(?:[ \t]{{0,10}}\r?\n){{0,4}}[ \t]{{0,20}}(?:/s/[ ]?)?"
                rf"(?:(?:{_TITLE})\.?[ ])?(?P<v>{NAME})(?=[ \t]{{0,10}}(?:[,\n\r]"
                r"|$))"
            ),
            LIKELY,
            words=words(
                "sincerely best kind warm regards yours mit cordialement atentamente "
                "cordiali respectfully cheers thanks thank"
            ),
        ),
        Rule(
            "signature_mark",
            "PERSON",
            re.compile(rf"(?<=/)(?i:s)/[ \t]{{0,3}}(?P<v>{FULL_NAME}|{_CAPITAL_NAME})"),
            _TITLED,
            words=("s",),
        ),
        # An initial is enough where work passes from hand to hand: "covering for O. Castellane".
        Rule(
            "colleague",
            "PERSON",
            re.compile(
                r"(?i:cover(?:s|ed|ing)?|on[ -]call|signed out|handed (?:over|off)|paged|spoke"
                r"|discussed|seen|reviewed|reported)(?: (?:for|to|from|by|with))? "
                rf"(?P<v>[{UPPER}]\.[ ]?[{UPPER}][{UPPER}{LOWER}'’-]{{2,20}})"
            ),
            LIKELY,
            words=words(
                "cover covers covered covering on signed handed paged spoke discussed seen "
                "reviewed reported"
            ),
        ),
        Rule(
            "surname_first",
            "PERSON",
            re.compile(
                r"(?i:patient|pt|re|client|member|insured|borrower)[ ]{0,2}[:#]?[ ]{1,3}"
                rf"(?P<v>{NAME_WORD},[ ]{NAME_WORD}(?: {NAME_WORD})?|{CAPITALS}, {CAPITALS}"
                rf"(?: {CAPITALS})?)"
            ),
            LIKELY,
            words=words("patient pt re client member insured borrower"),
        ),
        Rule(
            "name_with_degree",
            "PERSON",
            re.compile(rf"(?<![{UPPER}{LOWER}])(?P<v>{FULL_NAME}),?[ ]{_DEGREES}"),
            _TITLED,
            words=words(
                "m md d do ph phd r rn n np p pa dds dmd pharm pharmd mbbs facp facs "
                "lpn crna dvm psy psyd lcsw msw cnm dpm frcp frcs cpa esq j jd aprn "
                "cfa mph bsn msn dpt"
            ),
            back=60,
            here=re.compile(_DEGREES),
        ),
    ),
    finders=(find_addressees,),
    finds=("PERSON",),
)
