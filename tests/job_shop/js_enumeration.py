"""The optimum of tiny job shops of every kind by enumeration, and such shops."""

from optsched.selfcheck.families.job_shop import KINDS, random_variant
from optsched.selfcheck.references import TooLong
from optsched.selfcheck.references.job_shop_enumeration import optimum

__all__ = ["KINDS", "TooLong", "optimum", "random_variant"]
