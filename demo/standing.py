"""Two steps of the demo: a patient refuses research, and a nurse breaks the glass."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from demo.tour import Tour

REFUSING: Final = "mrn:MH-204518"
EMERGENCY: Final = "mrn:MH-187720"
EMERGENCY_NAME: Final = "Lindqvist"
REASON: Final = "Collapsed in the corridor; his care team is not in the house."

Call = Callable[..., dict[str, Any]]


def refuse_research(tour: "Tour", call: Call, keys: Mapping[str, str], question: str) -> None:
    """Show that a refusal, and its end, hold for the next question."""
    tour.title("A patient refuses research: out of the very next question, nothing re-embedded")

    def found() -> set[str]:
        body = {"question": question, "purpose": "HRESCH", "limit": 20}
        results = call(tour, keys["res-kim"], "/v1/search", body)["results"]
        return {one["title"] for one in results if "apixaban" in one["text"].lower()}

    def say(word: str) -> None:
        body = {"purpose": "HOPERAT", "subject": REFUSING, "about": "HRESCH", "consent": word}
        call(tour, keys["access-mercy"], "/v1/consents", body)

    before = found()
    say("refused")
    refused = found()
    say("silent")
    print(f"   the researcher finds {', '.join(sorted(before))}")
    print(f"   after the refusal    {', '.join(sorted(refused)) or 'nothing of it'}")
    tour.expect("what is about her is gone at once", refused < before)
    tour.expect("and back when she takes it back", found() == before)


def break_glass(tour: "Tour", call: Call, keys: Mapping[str, str]) -> None:
    """Show an opening of one patient's record, and that it waits for somebody's verdict."""
    tour.title("An emergency: a nurse breaks the glass for one patient, and answers for it")
    question = "What device was implanted in Tobias Lindqvist?"

    def found(purpose: str) -> list[str]:
        body = {"question": question, "purpose": purpose}
        results = call(tour, keys["nurse-adams"], "/v1/search", body).get("results", [])
        return [one["title"] for one in results if EMERGENCY_NAME in one["text"]]

    before = found("TREAT")
    body = {
        "purpose": "ETREAT",
        "subject": EMERGENCY,
        "reason": REASON,
        "minutes": 10,
        "proof": keys["nurse-adams"],
    }
    opened = call(tour, keys["nurse-adams"], "/v1/breakglass", body)
    after = found("ETREAT")
    [waiting] = [
        one
        for one in call(tour, keys["compliance-mercy"], "/v1/breakglass/reviews")["items"]
        if one["id"] == opened["id"]
    ]
    print(f"   not on his care team she finds {len(before)} of his passages")
    print(f"   for 10 minutes, on record      {len(after)}: {', '.join(sorted(set(after)))}")
    print(f"   compliance sees: {waiting['principal']}, {waiting['subject']}, {waiting['reason']}")
    print(f"                    used by {waiting['uses']} request, no verdict yet")
    tour.expect("nothing before, his record after", not before and bool(after))
    tour.expect("every use waits for somebody else's verdict", waiting["uses"] == 1)
