"""The published form of a run record: its JSON Schema, and the check that a record has it.

The schema is generated from the typed dictionaries of `relselect.report.record`; `configs/report.schema.json` is its
committed copy. A record of versions 4 to 7 is read as one in which the parts that it lacks were not measured. Nothing else is
filled in or guessed: a record with a missing key, an unknown key or a value of another type is refused with the place of every
difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import is_typeddict

from relselect.errors import ConfigError
from relselect.report import outcome_record, record, trial_record
from relselect.report.record import RECORD_VERSION, RunRecord
from relselect.serialization import plain

__all__ = ["check_record", "read_record", "record_schema", "schema_text"]

#: Differences that an error message lists.
_LISTED = 5
_FIX = "Point to the report.json of a run, or to the folder that `relselect train` wrote"


def record_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a run record."""
    schema = _adapter().json_schema()
    schema["properties"]["version"] = {"const": RECORD_VERSION, "title": "Version", "type": "integer"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "relselect run record"}


def schema_text() -> str:
    """Returns the schema as the text of `configs/report.schema.json`.

    Written again by `python -m relselect.report.schema > configs/report.schema.json`.
    """
    return json.dumps(record_schema(), indent=2, sort_keys=True) + "\n"


def check_record(given: Mapping[str, Any]) -> RunRecord:
    """Returns the record as JSON-able values, checked against its schema.

    Args:
        given: A run record. It is not changed.

    Raises:
        ConfigError: The record has another version, a missing or unknown key, or a value of another type.
    """
    given = _current(given)
    version = given.get("version")
    if version != RECORD_VERSION or isinstance(version, bool):
        newer = isinstance(version, int) and version > RECORD_VERSION
        upgrade = "Upgrade: pip install -U relselect"
        fix = upgrade if newer else "Train again, or render it with the relselect that wrote it"
        raise ConfigError("record.version", version, f"this relselect reads records of version {RECORD_VERSION}", fix)
    try:
        return _adapter().validate_python(_sorted(plain(given)), strict=True)
    except ValidationError as error:
        raise ConfigError("record", error.error_count(), _differences(error), _FIX) from None


def read_record(path: str | Path) -> RunRecord:
    """Reads a record from a JSON file and checks it.

    Raises:
        ConfigError: The file is missing, holds no JSON object, or the object is no record of this version.
    """
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("record", str(path), f"cannot be read as JSON ({error})", _FIX) from error
    if not isinstance(stored, dict):
        raise ConfigError("record", str(path), "must hold one JSON object", _FIX)
    return check_record(stored)


@cache
def _adapter() -> TypeAdapter[RunRecord]:
    # unknown keys are refused; set here, so that the module with the types does not import pydantic
    for module in (record, outcome_record, trial_record):
        for name in module.__all__:
            if is_typeddict(kind := getattr(module, name)):
                with_config(ConfigDict(extra="forbid"))(kind)
    return TypeAdapter(RunRecord)


def _current(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record of versions 4 to 8 as one of version 9, with what it lacks as not measured and not asked for."""
    version = given.get("version")
    if version not in (4, 5, 6, 7, 8) or isinstance(version, bool):
        return given
    if version == 8:
        return {"pruned": [], **given, "version": RECORD_VERSION}
    parts: dict[str, dict[str, Any]] = {
        "settings": {"average_seeds": 1, "spaces": {}, "fidelity": "full", "class_weight": None},
        "outcome": {"ahead": None, "coverage": []},
    }
    if version < 6:
        parts["choice"] = {"landscape": []}
    if version == 4:
        parts["settings"] |= {"options": {}, "device": None, "metric": None, "preset": None}
    filled = {
        name: {**lacks, **known} for name, lacks in parts.items() if isinstance(known := given.get(name), Mapping)
    }
    outcome = filled.get("outcome", {})
    if isinstance(ahead := outcome.get("ahead"), Mapping):
        filled["outcome"] = {**outcome, "ahead": {"lowest_first": False, **ahead}}
    return {"outcome": None, "pruned": [], **given, **filled, "version": RECORD_VERSION}


def _sorted(value: Any) -> Any:
    """The same value with the keys of every dictionary in alphabetical order, so that equal records render equal bytes."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _differences(error: ValidationError) -> str:
    """The first differences from the schema as one sentence."""
    found = error.errors(include_url=False, include_input=False)
    listed = [f"{'.'.join(map(str, each['loc'])) or 'record'}: {each['msg']}" for each in found[:_LISTED]]
    more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"differs from the schema of version {RECORD_VERSION} ({'; '.join(listed)}{more})"


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201
