"""The audit log in the formats of others: SIEMs, hospitals, spreadsheets and auditors.

Each format is a module with a pure function from a record to an object or line. ``formats`` lists
them, ``selection`` chooses the records, ``writing`` writes them to a file one after another, and
``package`` makes the archive that an auditor checks offline.

No format holds sealed parts: only their names. Each event names the origin, index and leaf hash of
the record it was made of, so that the record can be found in the log and its inclusion proven.
"""
