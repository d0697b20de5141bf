"""The selector that the shipped performance bank teaches, if the package holds a bank that is large enough."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from relselect.configs import bank_path
from relselect.errors import BankError, RelSelectError

if TYPE_CHECKING:
    from relselect.selector.meta import MetaSelector

__all__ = ["shipped_selector"]

#: The file without which a folder is no bank.
_MANIFEST = "manifest.json"


@cache
def shipped_selector() -> MetaSelector | None:
    """Return the selector of the shipped bank; None where there is no such bank, or it teaches nothing.

    The bank is opened once per process; what the selector learnt is fitted when it is first asked.
    """
    try:
        place = bank_path(_MANIFEST).parent
    except RelSelectError:
        return None
    from relselect.bank import PerformanceBank
    from relselect.selector.meta import MetaSelector

    try:
        selector = MetaSelector(PerformanceBank.open(place))
        selector.comparisons  # noqa: B018 - a bank that is too small says so here
    except BankError:
        return None
    return selector
