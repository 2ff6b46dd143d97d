"""The salts of the model server's prefix cache: who may find what whose prompts left there.

A prompt that begins like an earlier one is read faster, and that can be timed. So only prompts of
equal rights share a salt, and none for longer than an epoch: a day, or until what the rights follow
from has changed. What was in a prompt before a person withdrew consent, or a document was labelled
anew or erased, is then found by nobody, and the server drops it with time.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import date

from ragplatform.model import Scope, Standing


def rights_digest(standing: Standing, classes: Iterable[str]) -> str:
    """Return a digest of all that rights follow from beside the policies.

    ``classes`` are all access classes of the tenant by id. It changes with every relation of the
    caller, with every consent for the purpose, every broken glass, every feed that goes dark, and
    every label that no document had before, whether or not it changes what the caller may read.
    """
    groups = [
        standing.related,
        standing.opened,
        standing.consenting,
        standing.refusing,
        standing.glass,
        standing.dark,
        classes,
    ]
    # As JSON, so that no name can pass from the end of one group to the start of the next.
    told = json.dumps([sorted(group) for group in groups])
    return hashlib.sha256(told.encode()).hexdigest()


def cache_salt(key: bytes, scope: Scope, rights: str, day: date) -> str:
    """Return the salt of a scope's prompts on this day, under ``rights_digest``; 64 digits.

    Whoever has not the key cannot make it, and it tells nothing of what it was made from.
    """
    told = json.dumps([scope.key, rights, day.isoformat()])
    return hmac.new(key, told.encode(), hashlib.sha256).hexdigest()
