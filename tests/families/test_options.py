"""Options that a caller fixes hold in the default, in the alternatives and in everything that a study suggests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relselect.budget import Budget
from relselect.dfs import DFS
from relselect.errors import ConfigError
from relselect.families.options import adjusted_family, check_options, fixed_options
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.tuning import tune
from tests.families.ridge import Ridge
from tests.rows import shared_rows
from tests.tuning.cheap import Bowl, tiny_problem


@pytest.fixture(scope="module")
def problem() -> Problem:
    return tiny_problem()


class Knowing(Bowl):
    """Knows two more configurations."""

    def alternatives(self, problem: Problem) -> list[dict[str, Any]]:
        return [{**self.default(problem), "kind": "b"}, {**self.default(problem), "x": 0.5}]


def study(family: Any, problem: Problem, folder: Path, trials: int = 12) -> Any:
    return tune(family, problem, shared_rows(problem), budget=Budget(None), folder=folder, max_trials=trials)


def test_a_study_searches_the_other_options_only(problem: Problem, tmp_path: Path) -> None:
    family = adjusted_family(Bowl(), {"kind": "b"})
    found = study(family, problem, tmp_path)
    assert {each.config["kind"] for each in found.candidates} == {"b"}
    assert found.candidates[0].config == {**Bowl().default(problem), "kind": "b"}
    assert len({each.config["x"] for each in found.candidates}) > 3
    assert fixed_options(family) == {"kind": "b"}
    assert fixed_options(Bowl()) == {}


def test_an_alternative_keeps_what_was_fixed_and_is_tried_once(problem: Problem) -> None:
    default = Bowl().default(problem)
    assert adjusted_family(Knowing(), {"kind": "b"}).alternatives(problem) == ({**default, "kind": "b", "x": 0.5},)
    assert adjusted_family(Knowing(), {"x": 0.1}).alternatives(problem) == ({**default, "kind": "b", "x": 0.1},)
    assert adjusted_family(Bowl(), {"x": 0.1}).alternatives(problem) == ()


def test_a_study_with_other_options_is_another_study(problem: Problem, tmp_path: Path) -> None:
    study(adjusted_family(Bowl(), {"kind": "b"}), problem, tmp_path, 2)
    assert len(study(adjusted_family(Bowl(), {"kind": "b"}), problem, tmp_path, 3).candidates) == 3
    with pytest.raises(ConfigError, match="options"):
        study(adjusted_family(Bowl(), {"kind": "a"}), problem, tmp_path, 3)
    with pytest.raises(ConfigError, match="options"):
        study(Bowl(), problem, tmp_path, 3)


def test_nothing_fixed_leaves_a_family_as_it_is() -> None:
    family = Bowl()
    assert adjusted_family(family) is family
    assert adjusted_family(family, {}) is family
    assert adjusted_family(family, None, "cpu") is family  # it has no choice


def test_a_learner_brings_its_own_default(problem: Problem) -> None:
    config = adjusted_family(DFS(), {"learner": "tabm", "width": 64}).default(problem)
    assert config["learner"] == "tabm"
    assert config["width"] == 64
    assert "bags" not in config
    assert set(config) == set(DFS().adjusted(problem, {"learner": "tabm"}))
    assert adjusted_family(DFS(), {"search": True}).alternatives(problem) == ()


def test_an_option_of_the_network_holds_though_no_study_searches_it(problem: Problem, tmp_path: Path) -> None:
    import optuna

    family = adjusted_family(RDL("cpu"), {"rows": "both", "layers": 1})
    assert family.default(problem)["rows"] == "both"
    for number in range(4):
        sampler = optuna.samplers.RandomSampler(seed=number)
        config = family.space(optuna.create_study(sampler=sampler).ask(), problem)
        assert (config["rows"], config["layers"]) == ("both", 1)


@pytest.mark.parametrize(
    ("family", "options", "match"),
    [
        (DFS(), {"depht": 3}, "depht=3: is no option of feature synthesis"),
        (DFS(), {"learner": "forest"}, "forest"),
        (DFS(), {"learner": "tabm", "bags": 3}, "bags=3: is no option"),
        (RDL("cpu"), {"layers": 0}, "layers=0"),
        (RDL("cpu"), {"wide": 3}, "wide=3: is no option of the graph network"),
        (Ridge(), {"penality": 2.0}, "penality=2.0: is no option of ridge"),
    ],
)
def test_what_a_family_does_not_have_is_refused(
    problem: Problem, family: Any, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        adjusted_family(family, options).default(problem)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ([("dfs", {})], "must map names of families"),
        ({"gnn": {"layers": 2}}, "'gnn', which is not trained here. Name some of dfs, rdl"),
        ({"dfs": 3}, r"options\['dfs'\]=3: must map names of options"),
        ({"dfs": {3: 1}}, "must map names of options"),
    ],
)
def test_options_of_another_form_are_refused(options: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        check_options(options, ("dfs", "rdl"))
    assert check_options(None, ("dfs",)) == {}
    assert check_options({"dfs": {"search": True}}, ("dfs",)) == {"dfs": {"search": True}}


def test_a_device_that_is_not_there_is_refused() -> None:
    assert adjusted_family(RDL("cpu"), None, "cpu").device.type == "cpu"
    for device in ("cuda:77", "gpu"):
        with pytest.raises(ConfigError, match=f"device={device}: is not available"):
            adjusted_family(RDL("cpu"), None, device)
