"""The published JSON schemas of a bank: of the manifest it is built from, and of its rows.

`configs/bank.schema.json` and `configs/bank_rows.schema.json` are what this module writes.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from relselect.bank.manifest import BankManifest
from relselect.bank.rows import BankRow, BankTask, BankTrial

__all__ = ["manifest_schema", "rows_schema"]

_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", re.MULTILINE)


def manifest_schema() -> dict[str, Any]:
    """Return the JSON schema of what a bank is built from."""
    return BankManifest.model_json_schema()


def rows_schema() -> dict[str, Any]:
    """Return the JSON schema of the rows of a bank: `task` and `trial`. An unknown number is null."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rows of a performance bank",
        "$defs": {"task": _row_schema(BankTask), "trial": _row_schema(BankTrial)},
    }


def _row_schema(kind: type[BankRow]) -> dict[str, Any]:
    schema = TypeAdapter(kind).json_schema()
    described = dict(_ATTRIBUTE.findall(kind.__doc__ or ""))
    for each in fields(kind):
        found = schema["properties"][each.name]
        found.pop("default", None)
        if each.type == "float":
            found["type"] = ["number", "null"]
        text = described.get(each.name) or dict(_ATTRIBUTE.findall(BankRow.__doc__ or ""))[each.name]
        found["description"] = " ".join(text.split())
    schema.pop("description", None)
    return schema
