"""The trivial family: constants, global and per entity; who loses to them has learnt nothing."""

from relselect.families.constants.family import Constants

__all__ = ["Constants"]
