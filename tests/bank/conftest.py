from __future__ import annotations

import pytest

from relselect.bank import PerformanceBank, build_bank
from relselect.families.registry import registered
from tests.bank.worlds import manifest
from tests.families.ridge import RIDGE


@pytest.fixture(scope="session")
def tiny_bank(tmp_path_factory) -> PerformanceBank:
    """A bank of three tasks with ridge regressions and constants."""
    with registered(RIDGE):
        return build_bank(manifest(), tmp_path_factory.mktemp("bank") / "tiny").bank
