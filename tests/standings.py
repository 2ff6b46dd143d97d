"""Standings for tests: how somebody stands to people when no register was asked."""

from ragplatform.model import Principal, Purpose, Standing
from ragplatform.policy.questions import Circumstances

KIN = Circumstances(related=True)


def standing(principal: Principal, purpose: Purpose, **more: frozenset[str]) -> Standing:
    """Return the standing of a principal whose relations are those that its key vouches for."""
    return Standing(principal, purpose, principal.subjects, **more)  # type: ignore[arg-type]
