"""Optima of tiny instances by enumeration, written from the definitions of the families.

They share nothing with formulations, searches and bounds.
"""


class TooLong(Exception):
    """The enumeration would take too long for this instance."""
