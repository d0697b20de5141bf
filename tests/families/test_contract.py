"""Every registered family follows the contract."""

from __future__ import annotations

import pytest

from relselect.families import FamilyInfo, family_infos
from tests.families.contract import FamilyContract


class TestRegisteredFamilies(FamilyContract):
    @pytest.fixture(params=family_infos(), ids=lambda info: info.name)
    def info(self, request: pytest.FixtureRequest) -> FamilyInfo:
        return request.param
