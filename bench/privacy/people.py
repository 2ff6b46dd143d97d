"""A corpus of invented people: a name, a note about each, and a question that only it answers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

_SEED = 17

_GIVEN = (
    "Adaeze Aiden Alma Amara Anders Anjali Beatriz Bennett Bruno Camille Cedric Chiara Dalia "
    "Darnell Dorothea Ebony Eitan Elsbeth Emre Farah Felix Fiona Gideon Greta Hannah "
    "Hiroshi Ines Isaac Jamila Joaquin Judith Kenji Kirsten Lamar Leonie Lorraine Mateo Meera "
    "Miriam Nadia Norbert Odette Omar Patrice Priscilla Quentin Ravi Rosalind Sanjay Sigrid Tamsin "
    "Thabo Ursula Vikram Wanda Xiomara Yusuf Zelda"
).split()
_FAMILY = (
    "Abernathy Achebe Alvarado Banerjee Barlow Bianchi Blackwood Castellano Chaudhry Cromwell "
    "Dahlberg Delacroix Dimitriou Eastwood Eriksen Fairbanks Ferreira Gallagher Goldstein Grimaldi "
    "Haddad Hawthorne Hoffmeister Ibarra Ivanova Jaramillo Kaczmarek Kowalski Lachance Lindqvist "
    "MacAllister Marchetti Mbeki Nakamura Novak OBrien Okafor Oyelaran Pemberton Petrov Quarles "
    "Ramaswamy Rasmussen Sandoval Schreiber Sorensen Takahashi Thackeray Underhill Vasquez "
    "Villanueva Weatherby Wojcik Yamamoto Zielinski"
).split()
_CITIES = (
    "Ashford Bellingham Carrollton Danbury Elmira Fairmont Greenfield Hartsville Ironwood Jasper "
    "Kingsport Lakewood Millbrook Newberry Oakdale"
).split()
_STREETS = "Maple Street,Cedar Avenue,Willow Lane,Birch Road,Chestnut Drive,Harbor Court".split(",")
_PROBLEMS = (
    "atrial fibrillation,community-acquired pneumonia,an acute gout flare,poorly controlled asthma,"
    "iron deficiency anemia,a distal radius fracture,type 2 diabetes,chronic migraine,"
    "hypothyroidism,cellulitis of the left leg,pancreatitis,heart failure,a kidney stone,"
    "psoriatic arthritis"
).split(",")
_DRUGS = (
    "apixaban,amoxicillin,colchicine,budesonide,ferrous sulfate,ibuprofen,metformin,topiramate,"
    "levothyroxine,cefazolin,ondansetron,furosemide,tamsulosin,methotrexate"
).split(",")
_PLANS = (
    "physical therapy was ordered,the wound was dressed,blood tests will be repeated,a sleep study "
    "was advised,the diet was discussed,an echocardiogram is planned,the vaccine was given"
).split(",")
_QUESTIONS = (
    "Which medicine did {name} receive?",
    "Why was {name} admitted?",
    "What is planned for {name} after discharge?",
)


@dataclass(frozen=True)
class Invented:
    """A person, the note about them, and a question by name."""

    name: str
    note: str
    question: str


def people(count: int) -> list[Invented]:
    """Return so many invented people, each name once, the same at every call."""
    chance = random.Random(_SEED)
    names = [f"{given} {family}" for given, family in product(_GIVEN, _FAMILY)]
    chance.shuffle(names)
    return [
        Invented(name, _note(chance, name), chance.choice(_QUESTIONS).format(name=name))
        for name in names[:count]
    ]


def _note(chance: random.Random, name: str) -> str:
    given, _, family = name.partition(" ")
    year, month, day = chance.randint(1935, 2004), chance.randint(1, 12), chance.randint(1, 28)
    born = f"{month:02}/{day:02}/{year}"
    when = f"{chance.randint(1, 12):02}/{chance.randint(1, 28):02}/2024"
    phone = f"({chance.randint(201, 989)}) 555-{chance.randint(100, 9999):04}"
    street = f"{chance.randint(10, 990)} {chance.choice(_STREETS)}"
    problem, drug, plan = map(chance.choice, (_PROBLEMS, _DRUGS, _PLANS))
    dose = 25 * chance.randint(1, 40)
    return _join(
        chance,
        (
            f"{name}, born {born}, was admitted on {when} with {problem}.",
            f"Patient: {name} (MRN {chance.randint(10**6, 10**7 - 1)}). Seen {when} for {problem}.",
        ),
        (
            f"{given} received {drug} {dose} mg and felt better the next day.",
            f"Treatment with {drug} {dose} mg was started; {family} tolerated it well.",
        ),
        (
            f"After discharge, {plan}. Call {phone} with results.",
            f"At home in {chance.choice(_CITIES)} ({street}), {plan}.",
        ),
    )


def _join(chance: random.Random, *choices: Sequence[str]) -> str:
    return " ".join(chance.choice(sentences) for sentences in choices)
