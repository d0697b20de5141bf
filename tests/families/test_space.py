"""Search spaces as data: the shipped ones are whole, a caller's own one is searched, and all its mistakes are listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import optuna
import pytest
import yaml

from relselect.budget import Budget
from relselect.configs import config_path
from relselect.dfs import DFS
from relselect.dfs.learners.registry import LEARNERS
from relselect.errors import ConfigError, SpaceError
from relselect.families.options import adjusted_family, check_space, check_spaces
from relselect.families.protocol import Designed
from relselect.families.registry import family_infos
from relselect.families.space_files import read_space, shipped_space, space_schema
from relselect.hybrid import Hybrid
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.tuning import tune
from relselect.tuning.nearest import nearest_point
from tests.families.ridge import Ridge
from tests.rows import shared_rows
from tests.tuning.cheap import Bowl, tiny_problem

SHIPPED = sorted(config_path("spaces").glob("*.yaml"))


@pytest.fixture(scope="module")
def problem() -> Problem:
    return tiny_problem()


def space(parameters: dict[str, Any], family: str = "rdl") -> Any:
    return read_space({"family": family, "parameters": parameters})


def test_the_published_schema_is_that_of_the_models() -> None:
    published = json.loads(config_path("spaces.schema.json").read_text(encoding="utf-8"))
    assert published == space_schema()
    jsonschema.Draft202012Validator.check_schema(published)
    for each in ("ChoiceParameter", "IntegerParameter", "NumberParameter"):
        assert all(
            one.get("description") for name, one in published["$defs"][each]["properties"].items() if name != "type"
        )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_spaces_follow_the_schema_and_fit_their_family(path: Path, problem: Problem) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), space_schema())
    (info,) = [info for info in family_infos() if info.name == path.stem]
    family = info.make()
    assert isinstance(family, Designed)
    assert family.design == shipped_space(info.name) == read_space(path)
    assert read_space(family.design.to_json()) == family.design
    check_space(family, problem)
    assert nearest_point(family, problem, family.default(problem))[1]


def test_every_trained_family_has_a_shipped_space() -> None:
    trained = {info.name for info in family_infos() if not info.baseline and not info.combines}
    assert {path.stem for path in SHIPPED} == trained


def test_a_parameter_is_asked_where_its_condition_holds(problem: Problem) -> None:
    family = DFS()
    for learner in ("lightgbm", "tabm"):
        study = optuna.create_study()
        study.enqueue_trial({"learner": learner})
        trial = study.ask()
        config = family.space(trial, problem)
        others = [name for name in LEARNERS if name != learner]
        asked = [family.design.parameters[name].when.get("learner") for name in trial.params]
        assert [learner] in asked
        assert not any([other] in asked for other in others)
        assert config["learner"] == learner
    assert "num_leaves" not in config
    assert config["width"] == trial.params["tabm_width"]


def test_a_study_searches_the_space_it_was_given(problem: Problem, tmp_path: Path) -> None:
    own = space(
        {
            "layers": {"type": "integer", "low": 1, "high": 2},
            "convolution": {"type": "choice", "choices": ["sage", "multi"]},
            "aggregation": {"type": "choice", "choices": ["sum", "max"], "when": {"convolution": ["sage"]}},
            "rate": {"type": "number", "option": "learning_rate", "low": "1e-3", "high": "1e-2", "log": True},
            "out": {"type": "choice", "option": "without", "choices": ["", "events"]},
        }
    )
    family = adjusted_family(RDL("cpu"), {"channels": 8}, None, own)
    found = []
    for seed in range(12):
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask()
        found.append(family.space(trial, problem))
        assert ("aggregation" in found[-1]) == (found[-1]["convolution"] == "sage")
    assert {each["layers"] for each in found} == {1, 2}
    assert {each["channels"] for each in found} == {8}
    assert {tuple(each["without"]) for each in found} == {(), ("events",)}
    assert all(1e-3 <= each["learning_rate"] <= 1e-2 for each in found)
    assert adjusted_family(RDL(), None, "cpu", own).design == own


def test_a_study_in_another_space_is_another_study(problem: Problem, tmp_path: Path) -> None:
    how: dict[str, Any] = {"budget": Budget(None), "folder": tmp_path, "max_trials": 1}
    tune(Small(), problem, shared_rows(problem), **how)
    with pytest.raises(ConfigError, match="another space"):
        tune(Small(high=0.5), problem, shared_rows(problem), **how)


class Small(Bowl):
    """A bowl whose space is data."""

    def __init__(self, high: float = 1.0) -> None:
        super().__init__()
        self.design = space({"x": {"type": "number", "low": 0.0, "high": high}}, "bowl")

    def known(self, problem: Problem) -> dict[str, Any]:
        return {}

    def designed(self, problem: Problem, suggested: dict[str, Any]) -> dict[str, Any]:
        return {**self.default(problem), **suggested}

    def with_space(self, space: Any) -> Small:
        return self

    def space(self, trial: Any, problem: Problem) -> dict[str, Any]:
        return self.designed(problem, self.design.suggest(trial, {}))


def test_an_included_space_follows_and_own_parameters_replace_it() -> None:
    own = read_space(
        {"include": "rdl", "parameters": {"layers": {"type": "integer", "low": 1, "high": 1}}}, family="rdl"
    )
    assert own.parameters["layers"].high == 1
    assert set(own.parameters) == set(shipped_space("rdl").parameters)
    assert next(iter(Hybrid().design.parameters)) == "kept"


def test_a_parameter_of_another_name_stands_where_its_option_stands(problem: Problem) -> None:
    family = adjusted_family(DFS(), {"learner": "tabm", "width": 64})
    point, close = nearest_point(family, problem, family.default(problem))
    assert close
    assert point["tabm_learning_rate"] == family.default(problem)["learning_rate"]
    assert "tabm_width" not in point  # what the caller fixed is not asked


def number(low: Any, high: Any, **more: Any) -> dict[str, Any]:
    return {"type": "number", "low": low, "high": high, **more}


def whole(low: Any, high: Any, **more: Any) -> dict[str, Any]:
    return {**number(low, high, **more), "type": "integer"}


def choice(*choices: Any, **more: Any) -> dict[str, Any]:
    return {"type": "choice", "choices": list(choices), **more}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"a": whole(1, "x")}, ["parameters.a.high=x: should be a valid integer"]),
        (
            {"a": {"type": "choice"}, "b": number(1, "much")},
            ["a.choices: is missing", "b.high=much: should be a valid"],
        ),
        ({"a": {"type": "range"}, "b": choice(1, speed=1)}, ["'range'", "b.speed=1: is not understood"]),
        ({"a": whole(2, 1), "b": number(0, 1, log=True)}, ["a.low=2: is above high=1", "b.low=0.0: has no logarithm"]),
        ({"a": whole(1, 9, log=True, step=2)}, ["a.step=2: goes with no logarithm"]),
        ({"a": choice(1, 1)}, ["a.choices=1: stands there twice"]),
        (
            {"a": choice(1, True), "b": choice(False, "x", 0, 2)},
            ["a.choices=True: is equal to the choice 1", "b.choices=0: is equal to the choice False"],
        ),
        ({"a": choice(1, when={"z": [1]})}, ["a.when=z: is no earlier parameter"]),
        ({"a": choice("x"), "b": choice(1, when={"a": ["y"]})}, ["b.when.a=y: is no choice of a"]),
        ({}, ["parameters="]),
    ],
)
def test_all_mistakes_of_a_space_are_listed(parameters: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(SpaceError) as caught:
        read_space({"parameters": parameters}, family="rdl")
    assert len(caught.value.problems) == len(told)
    for text, problem in zip(told, caught.value.problems, strict=True):
        assert text in problem


@pytest.mark.parametrize(
    ("family", "parameters", "told"),
    [
        (
            RDL("cpu"),
            {"layers": whole(0, 2), "wide": choice(1), "without": choice("", "nowhere")},
            ["layers=0", "wide=1", "nowhere"],
        ),
        (
            DFS(),
            {
                "learner": choice("forest", "tabm"),
                "width": choice(8, when={"learner": ["tabm"]}),
                "bags": choice(2, when={"learner": ["tabm"]}),
            },
            ["forest", "bags=2"],
        ),
        (DFS(), {"num_leaves": whole(2, "$many")}, ["num_leaves=$many: is nothing that dfs knows"]),
        (
            DFS(),
            {"num_leaves": whole("$few", "$many")},
            ["num_leaves=$few: is nothing", "num_leaves=$many: is nothing"],
        ),
    ],
)
def test_what_a_family_refuses_of_a_space_is_listed(
    problem: Problem, family: Any, parameters: dict[str, Any], told: list[str]
) -> None:
    with pytest.raises(SpaceError) as caught:
        check_space(family.with_space(space(parameters, family.name)), problem)
    assert len(caught.value.problems) == len(told)
    for text, one in zip(told, caught.value.problems, strict=True):
        assert text in one


def test_a_space_is_checked_and_told_apart_where_options_are_fixed(problem: Problem, tmp_path: Path) -> None:
    own = space({"tabm_width": choice(16, 32, option="width")}, "dfs")
    family = adjusted_family(DFS(), {"learner": "tabm", "blocks": 1}, None, own)
    check_space(family, problem)  # `width` is an option of the learner that is fixed
    config = family.space(optuna.create_study().ask(), problem)
    assert (config["learner"], config["blocks"]) == ("tabm", 1)
    assert config["width"] in (16, 32)
    assert set(config) == set(family.default(problem))
    with pytest.raises(SpaceError, match="wide"):
        check_space(adjusted_family(DFS(), {"learner": "tabm"}, None, space({"wide": choice(1)}, "dfs")), problem)
    how: dict[str, Any] = {"budget": Budget(None), "folder": tmp_path, "max_trials": 1}
    fixed = {"kind": "a"}
    tune(adjusted_family(Small(), fixed), problem, shared_rows(problem), **how)
    with pytest.raises(ConfigError, match="another space"):
        tune(adjusted_family(Small(high=0.5), fixed), problem, shared_rows(problem), **how)


def test_a_parameter_is_checked_under_the_conditions_of_its_conditions() -> None:
    own = space(
        {
            "a": choice("x", "y", option="first"),
            "b": choice(1, 2, when={"a": ["y"]}),
            "c": choice(3, when={"b": [2]}),
        }
    )
    assert [config for name, _, config in own.points({}) if name == "c"] == [{"first": "y", "b": 2, "c": 3}]


def test_a_fixed_option_answers_its_parameter_and_no_other_of_its_name(problem: Problem) -> None:
    own = space({"depth": choice(1, 2, option="layers"), "width": choice(8, option="channels")})
    family = adjusted_family(RDL("cpu"), {"channels": 16, "without": ["events"]}, None, own)
    trial = optuna.create_study().ask()
    config = family.space(trial, problem)
    assert (config["channels"], config["without"]) == (16, ["events"])
    assert set(trial.params) == {"depth"}


def test_spaces_of_another_form_are_refused(tmp_path: Path) -> None:
    assert check_spaces(None, ("rdl",)) == {}
    for spaces, match in (
        ([], "must map names of families"),
        ({"gnn": {}}, "'gnn', which is not trained here"),
        ({"rdl": 3}, "must be a file or a mapping"),
        ({"rdl": tmp_path / "none.yaml"}, "cannot be read"),
        ({"rdl": __file__}, "cannot be read"),
        ({"rdl": {"family": "dfs", "parameters": {"a": {"type": "choice", "choices": [1]}}}}, "family=dfs: is not rdl"),
    ):
        with pytest.raises(ConfigError, match=match):
            check_spaces(spaces, ("rdl", "dfs"))
    file = tmp_path / "own.yaml"
    file.write_text("family: rdl\nparameters:\n  layers: {type: integer, low: 1, high: 2}\n")
    assert check_spaces({"rdl": str(file)}, ("rdl",))["rdl"]["parameters"]["layers"] == {
        "type": "integer",
        "low": 1,
        "high": 2,
    }
    with pytest.raises(ConfigError, match="whose space cannot be exchanged"):
        adjusted_family(Ridge(), None, None, read_space(file))
