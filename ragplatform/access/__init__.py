"""Who stands how to whom, now: relations, consents, broken glasses, and the desk that changes them.

``register.Register`` keeps it, ``desk.AccessDesk`` is the only way to change it on record.
"""
