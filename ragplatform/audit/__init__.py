"""Evidence of who asked what and was shown what: an append-only Merkle log in plain files.

Write with ``logs.TenantLogs``, read with ``query.read``, open sealed parts with ``record.unseal``,
check with ``verify.verify``. Each process has a folder for acts of the deployment itself, named
after its kind (``api``, ``api-2``), and one for each tenant (``api.mercy``). Each holds a log::

    key.pub                         the public key, as a signed-note verifier key
    checkpoint                      the newest checkpoint that was set aside: open, rotation, close
    segment-000000000000.jsonl      records and commits; the number is the first record's index
    torn-*.bin                      what a crash left unfinished, kept aside when the log reopened
    lock                            held by the one writer; names its process
    checkpoint.cosigned             the newest checkpoint with the signatures of witnesses
    checkpoint.stamped, .tsr        the one that was time-stamped last, and its token
    witness/                        how far each witness is; all time-stamps

A segment is a run of groups. A group is one record or more, each a line of canonical JSON, and then
one commit line: the checkpoint over all records so far, signed, and the leaf hashes of the group.
A group goes to the disk in one write and one sync. The first record of each group holds the digest
of the commit line above it, so that every byte of the file hangs on the last signature.

Without a witness outside the host nobody can see that the newest groups were cut off together: hold
``AuditLog.checkpoint()`` elsewhere and give it to ``verify``.

Source: RFC 9162 (hashing); C2SP signed-note and tlog-checkpoint (signatures, checkpoints).
"""
