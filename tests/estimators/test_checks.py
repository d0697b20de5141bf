"""scikit-learn's own checks: those on parameters pass, those that fit random arrays are refused by one message."""

from __future__ import annotations

import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import SkipTest, check_estimator, estimator_checks_generator

from relselect.errors import TaskError
from relselect.estimators import RelSelectClassifier, RelSelectFeatures, RelSelectRegressor
from tests.shop import shop

ESTIMATORS = {each.__name__: each for each in (RelSelectClassifier, RelSelectRegressor, RelSelectFeatures)}


def untagged(name: str) -> Any:
    """An estimator that hides that its X is no array, so that scikit-learn runs everything on it."""

    class Untagged(ESTIMATORS[name]):  # type: ignore[misc]
        def __sklearn_tags__(self) -> Any:
            tags = super().__sklearn_tags__()
            tags.input_tags.two_d_array = True
            tags.input_tags.string = False
            tags.no_validation = False
            tags.non_deterministic = False
            return tags

    Untagged.__name__ = name
    return Untagged(shop(), "users", time_budget="20s") if name != "RelSelectFeatures" else Untagged(shop(), "users")


@cache
def outcomes(name: str) -> dict[str, str]:
    """Check -> "passed", "skipped", or "array" where the array that it fits was refused."""
    found: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator, check in estimator_checks_generator(untagged(name)):
            title = check.func.__name__
            try:
                check(estimator)
            except SkipTest:
                outcome = "skipped"
            except BaseException as error:  # an AssertionError about the message of our refusal is one too
                causes = [error]
                while (causes[-1].__cause__ or causes[-1].__context__) is not None:
                    causes.append(causes[-1].__cause__ or causes[-1].__context__)
                refused = any(
                    isinstance(each, TaskError)
                    and ("is no data frame" in str(each) or "needs the columns" in str(each))
                    for each in causes
                )
                outcome = "array" if refused else f"{type(error).__name__}: {error}"
            else:
                outcome = "passed"
            if found.get(title, "passed") == "passed":
                found[title] = outcome
    return found


#: Checks that ask for nothing but a constructor, parameters, tags and refusals: they have to pass.
OF_PARAMETERS = {
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_check_passes_or_meets_the_refusal_of_arrays(name):
    found = outcomes(name)
    assert len(found) > 40
    assert not {check: each for check, each in found.items() if each not in ("passed", "skipped", "array")}
    assert {found[check] for check in OF_PARAMETERS} == {"passed"}
    assert "array" in found.values()  # they do not pass because nothing was asked


def test_the_page_lists_the_checks_that_cannot_apply():
    page = (Path(__file__).parents[2] / "docs" / "sklearn.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(check_[a-z0-9_]+)`", page))
    refused = {check for name in ESTIMATORS for check, each in outcomes(name).items() if each == "array"}
    assert refused == listed - OF_PARAMETERS - {"check_estimator"}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_with_its_tags_check_estimator_passes(name):
    with pytest.warns(SkipTestWarning, match="requires input"):
        check_estimator(ESTIMATORS[name](shop(), "users"))
