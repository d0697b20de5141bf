"""What callers may pass as a task."""

from __future__ import annotations

import pandas as pd
import pytest

import relselect as rs
from relselect.errors import ConfigError
from relselect.tasks.named import task_of

MANIFEST = """
name: shop
tables:
  users: {primary_key: id}
tasks:
  age: {entity: users, kind: regression, target: age, completes: age}
"""


@pytest.fixture
def declared(tmp_path):
    rows = pd.DataFrame({"id": range(60), "age": [float(20 + number % 7) for number in range(60)]})
    rows.to_parquet(tmp_path / "users.parquet")
    (tmp_path / "database.yaml").write_text(MANIFEST)
    return rs.Database.from_folder(tmp_path)


def test_a_task_its_name_and_its_declaration_are_one(declared) -> None:
    by_name = task_of(declared, "age")
    assert task_of(declared, by_name) is by_name
    assert task_of(declared, declared.tasks["age"]).fingerprint == by_name.fingerprint


def test_what_is_no_task_says_what_to_pass(declared) -> None:
    with pytest.raises(ConfigError, match="Use one of: age"):
        task_of(declared, "churn")
    with pytest.raises(ConfigError, match=r"Task\.from_spec"):
        task_of(declared, declared.tasks["age"].model_copy(update={"target": "id"}))
    with pytest.raises(ConfigError, match="Pass the name"):
        task_of(declared, 3)  # type: ignore[arg-type]
