"""The size rule decides, abstains and says that no bank taught it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from relselect.errors import ConfigError
from relselect.families.registry import info_of, registered
from relselect.profile import Measure, Profile
from relselect.selector import Margin, Recommendation, SizeRule, recommend_from_profile


def ask(rows: int, profile: Profile | None = None, **how: object) -> Recommendation:
    problem = SimpleNamespace(rows=lambda split: range(rows))
    return recommend_from_profile(profile or Profile((), 0.0), problem, **how)


@pytest.mark.parametrize(("rows", "family"), [(1_000, "dfs"), (40_000, "both"), (12_000, "both"), (3_000_000, "rdl")])
def test_the_size_rule(rows: int, family: str) -> None:
    found = ask(rows)
    assert found.family == family
    assert found.interval[0] < found.margin < found.interval[1]
    assert "no performance bank" in found.taught_by
    assert any("No performance bank" in sentence for sentence in found.evidence)
    assert f"{rows:,} training rows" in found.evidence[0]


def test_the_margin_grows_smoothly_through_zero_at_the_crossover() -> None:
    rule = SizeRule.shipped()
    margins = [rule.margins(10**k)[rule.many_rows_favour].value for k in range(1, 8)]
    assert margins == sorted(margins)
    assert [-rule.margins(10**k)[rule.few_rows_favour].value for k in range(1, 8)] == margins
    assert rule.margins(40_000)[rule.many_rows_favour].value == 0


def test_a_family_that_the_rule_does_not_know_is_trained_too() -> None:
    with registered(replace(info_of("dfs"), name="third")):
        found = ask(1_000)
    assert found.families == ("dfs", "third")
    assert found.family == "both"
    assert set(found.margins) == {"dfs", "rdl"}
    assert found.margins["dfs"].value == -found.margins["rdl"].value > 0


def test_evidence_cites_the_profile() -> None:
    profile = Profile(
        (
            Measure("entity_skill", 0.4, 0.1, "baselines", "Entities repeat themselves."),
            Measure("label_drift", float("nan"), float("nan"), "temporal", "No dates."),
        ),
        1.0,
    )
    found = ask(40_000, profile)
    assert "Entities repeat themselves." in found.evidence
    assert "No dates." not in found.evidence


def test_json_and_report(tmp_path: Path) -> None:
    found = ask(1_000)
    assert Recommendation.from_json(json.loads(json.dumps(found.to_json()))) == found
    with pytest.raises(ConfigError, match="without its measurement"):
        found.report(tmp_path / "page.html")
    page = SimpleNamespace(html=lambda: "<p>", save=lambda path: path)
    reported = found.reported_by({"kind": "recommendation"}, page)
    assert reported.report() is page
    assert reported == found
    assert reported.record == {"kind": "recommendation"}
    assert reported.report(tmp_path / "page.html") == tmp_path / "page.html"


def test_a_taught_selector_takes_over() -> None:
    said = Recommendation(("rdl",), {"rdl": Margin(0.1, 0.05, 0.15)}, ("neighbours agree",), "a bank")
    taught = SimpleNamespace(recommend=lambda profile, problem: said)
    assert ask(1_000, selector=taught) is said
