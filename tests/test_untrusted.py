"""Fields are checked against what their classes declare, at every depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

from relselect.untrusted import check_fields

if TYPE_CHECKING:
    from somewhere import Unknown


@dataclass
class Inner:
    number: int


@dataclass
class Outer:
    name: str = "a"
    share: float = 1
    way: Literal["one", "two"] = "one"
    pair: tuple[str, int | None] = ("a", None)
    many: tuple[Inner, ...] = (Inner(1), Inner(2))
    by_name: Mapping[str, list[float]] = field(default_factory=lambda: {"a": [1.0, 2]})
    anything: Any = None
    rest: Sequence[dict[str, Any]] = ({"a": object()},)
    array: Unknown = None


def test_what_is_declared_passes():
    check_fields(Outer(), "outer")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": None}, r"outer\.name is NoneType, must be str"),
        ({"name": b"a"}, r"outer\.name is bytes"),
        ({"share": True}, r"outer\.share is bool, must be float"),
        ({"share": "1"}, r"outer\.share is str"),
        ({"way": "three"}, r"outer\.way is 'three', must be one of"),
        ({"way": 1}, r"outer\.way is 1"),
        ({"pair": ("a",)}, r"outer\.pair has 1 items, must have 2"),
        ({"pair": ("a", "b")}, r"outer\.pair\[1\] is str, must be int \| None"),
        ({"pair": ["a", 1]}, r"outer\.pair is list"),
        ({"many": (Inner(1), Inner("2"))}, r"outer\.many\[1\]\.number is str, must be int"),
        ({"many": (Inner(True),)}, r"outer\.many\[0\]\.number is bool"),
        ({"many": ({"number": 1},)}, r"outer\.many\[0\] is dict, must be Inner"),
        ({"by_name": {1: []}}, r"a key of outer\.by_name is int"),
        ({"by_name": {"a": ["x"]}}, r"outer\.by_name\['a'\]\[0\] is str"),
        ({"rest": ("a",)}, r"outer\.rest\[0\] is str"),
        ({"rest": {}}, r"outer\.rest is dict"),
    ],
)
def test_the_first_wrong_field_is_named(change, place):
    with pytest.raises(TypeError, match=place):
        check_fields(Outer(**change), "outer")
