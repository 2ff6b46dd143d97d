"""Checkpoints are C2SP signed notes that others can read, and only the key's own are taken."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ragplatform.audit import verify_notes
from ragplatform.audit.merkle import Tree
from ragplatform.audit.note import Checkpoint, Signer
from ragplatform.errors import ConfigurationError, TamperedError
from tests.fakes_audit import ORIGIN, SIGNING_KEY

SIGNER = Signer(ORIGIN, SIGNING_KEY)
STATE = Checkpoint(3, bytes(range(32)))


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "A", "../x", "a//b", "a\nb", "-a"])
def test_an_origin_that_a_note_or_folder_cannot_bear_is_refused(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="origin"):
        Signer(origin, SIGNING_KEY)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="31 bytes"):
        Signer(ORIGIN, bytes(31))


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        Signer(ORIGIN, bytes(32)).sign(STATE),
        Signer("ragplatform/other", SIGNING_KEY).sign(STATE),
        SIGNER.sign(STATE).replace("\n3\n", "\n4\n"),
        SIGNER.sign(STATE).replace("\n3\n", "\nx\n"),
        SIGNER.sign(STATE).replace("\n\n", "\n"),
    ],
)
def test_a_note_that_the_key_did_not_sign_is_refused(note: str) -> None:
    with pytest.raises(TamperedError):
        SIGNER.open(note)


def test_a_signed_checkpoint_opens_to_what_was_signed() -> None:
    assert SIGNER.open(SIGNER.sign(STATE)) == STATE


def test_a_checkpoint_reads_as_the_standard_says() -> None:
    empty = SIGNER.sign(Checkpoint(0, Tree().root()))

    text, _, signature = empty.partition("\n\n")
    assert text == f"{ORIGIN}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    name, blob = signature.removesuffix("\n").removeprefix("— ").split(" ")
    assert name == ORIGIN
    signed = base64.b64decode(blob)
    assert signed[:4].hex() == SIGNER.verifier_key.split("+")[1]
    Ed25519PublicKey.from_public_bytes(SIGNER.public_key).verify(signed[4:], text.encode() + b"\n")


def test_the_verifier_reads_the_example_note_of_the_go_reference() -> None:
    """Source: golang.org/x/mod/sumdb/note, its package example."""
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    blob = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n"

    key = verify_notes.parse_key(vkey.encode(), None)

    assert key.name == "PeterNeumann"
    assert key.id == blob[:4]
    key.public.verify(blob[4:], text.encode())
