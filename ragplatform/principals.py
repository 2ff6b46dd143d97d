"""Who asked, as a table keeps it until the work is done."""

import json

from ragplatform.model import Principal, Purpose, Sensitivity


def to_json(principal: Principal) -> str:
    """Return the principal with the rights of this moment. A display name is not kept."""
    purposes = principal.purposes
    return json.dumps(
        {
            "id": principal.id,
            "tenant": principal.tenant,
            "roles": sorted(principal.roles),
            "departments": sorted(principal.departments),
            "clearance": int(principal.clearance),
            "subjects": sorted(principal.subjects),
            "purposes": None if purposes is None else sorted(purposes),
            "via": principal.via,
            "proof": principal.proof,
        }
    )


def from_json(text: str) -> Principal:
    """Return the principal that ``to_json`` kept. Rows older than ``subjects`` name none."""
    kept = json.loads(text)
    purposes = kept["purposes"]
    return Principal(
        id=kept["id"],
        tenant=kept["tenant"],
        roles=frozenset(kept["roles"]),
        departments=frozenset(kept["departments"]),
        clearance=Sensitivity(kept["clearance"]),
        subjects=frozenset(kept.get("subjects", ())),
        purposes=None if purposes is None else frozenset(map(Purpose, purposes)),
        via=kept["via"],
        proof=kept["proof"],
    )
