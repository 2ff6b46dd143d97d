"""Personal data: find it, transform it by rule, clear text for a reader, screen what is released.

The one gate that callers use is ``gate.Privacy``; the detector behind it is a port.
"""
