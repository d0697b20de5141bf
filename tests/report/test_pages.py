"""The page, the Markdown and the JSON: equal records, equal bytes; nothing unescaped, nothing loaded."""

from __future__ import annotations

import copy
import json
import random
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from relselect.errors import ConfigError
from relselect.report import read_record, render_html, render_markdown, write_report
from relselect.report.reproduction import reproduction_command
from relselect.report.schema import check_record
from relselect.report.tables import neighbours
from relselect.serialization import dump_document, plain

from .records import advice_record, run_record, three_families

HOSTILE = "<script>alert(1)</script>\"'`|*_[x](http://evil.test/a)\u202e\x00\ud800</style>]]>"


class Page(HTMLParser):
    """Collects tags, attributes and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same value with every dictionary in another order."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


#: Keys whose values are one of a few words.
WORDS = {
    "kind",
    "regime",
    "split",
    "severity",
    "level",
    "ended",
    "unit",
    "loss_of",
    "way",
    "basis",
    "final",
    "event",
    "fidelity",
}


def hostile(value: Any) -> Any:
    """The same value with every text replaced, but for those that are one of a few words."""
    if isinstance(value, dict):
        return {key: item if key in WORDS else hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize("make", [run_record, advice_record, three_families])
@pytest.mark.parametrize("render", [render_html, render_markdown, dump_document])
def test_equal_records_render_equal_bytes(make: Any, render: Any) -> None:
    record = make()
    kept = copy.deepcopy(record)
    assert render(record) == render(shuffled(record, random.Random(0)))
    assert record == kept


@pytest.mark.parametrize("make", [run_record, advice_record, three_families])
def test_page_is_small_well_formed_and_loads_nothing(make: Any) -> None:
    text = render_html(make())
    page = Page(text)
    assert not page.open
    assert len(text.encode()) < 1_000_000
    assert {"script", "link", "img", "iframe", "object", "embed"}.isdisjoint(tag for tag, _ in page.tags)
    for _, attributes in page.tags:
        assert not {"src", "xlink:href", "onclick", "onload"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in text
    assert "@import" not in text
    assert "://" not in text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_figure_is_described() -> None:
    page = Page(render_html(run_record()))
    figures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(figures) == 2 * 13
    assert [attributes["class"] for attributes in figures] == ["figure wide", "figure narrow"] * 13
    ids = {attributes.get("id") for _, attributes in page.tags}
    for attributes in figures:
        assert attributes["role"] == "img"
        assert set((attributes["aria-labelledby"] or "").split()) <= ids


@pytest.mark.parametrize("make", [run_record, advice_record, three_families])
def test_hostile_names_stay_text(make: Any) -> None:
    honest, record = Page(render_html(make())), hostile(make())
    record["candidates"] = {HOSTILE: value for value in record.pop("candidates", {}).values()}  # noqa: B035
    text = render_html(record)
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in honest.tags}
    assert "<script>alert(1)" in "".join(page.words)
    assert not re.search("[\x00\u202e\ud800]", text)
    text.encode("utf-8")
    assert not {name for _, attributes in page.tags for name in attributes if name.startswith("on")}


def test_hostile_names_stay_text_in_markdown() -> None:
    lines = render_markdown(hostile(run_record())).splitlines()
    text = "\n".join(line for line in lines if not line.startswith("    "))  # code blocks are shown as they are
    assert not re.search(r"(?<!\\)<", text)
    assert "://" not in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} <= set(range(2, 13))
    text.encode("utf-8")


def test_every_fact_of_the_tables_is_in_both() -> None:
    html, markdown = render_html(run_record()), render_markdown(run_record())
    for fact in (
        "0.846",
        "0.835 to 0.857",
        "9f2c61d0a7be44f1c8d35e70b1aa6cde",
        "loss became NaN",
        "365 days",
        "4 min 43 s",
    ):
        assert fact in html
        assert fact in markdown


def test_plain_makes_json_of_numpy_and_leaves_out_what_json_cannot_say() -> None:
    numpy = pytest.importorskip("numpy")
    value = {"a": numpy.float64("nan"), "b": numpy.arange(2), 3: (1, {2}), "c": float("inf"), "d": numpy.bool_(True)}
    assert plain(value) == {"a": None, "b": [0, 1], "3": [1, [2]], "c": None, "d": True}


def test_write_report_writes_page_and_record(tmp_path: Any) -> None:
    page = write_report(run_record(), tmp_path / "deep" / "churn")
    assert page == tmp_path / "deep" / "churn.html"
    assert page.read_text(encoding="utf-8") == render_html(run_record())
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8")) == plain(run_record())
    assert sorted(path.name for path in page.parent.iterdir()) == ["churn.html", "churn.json"]
    assert read_record(page.with_suffix(".json")) == check_record(run_record())
    assert write_report(run_record(), page.parent) == page.parent / "report.html"


def test_write_report_says_why_it_cannot(tmp_path: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(run_record(), tmp_path / "file" / "page.html")


def test_read_record_says_what_it_wants(tmp_path: Any) -> None:
    (tmp_path / "list.json").write_text("[]")
    for name in ("list.json", "none.json"):
        with pytest.raises(ConfigError, match=r"report\.json of a run"):
            read_record(tmp_path / name)


@pytest.mark.parametrize(
    ("database", "kind", "settings", "command"),
    [
        ("a b", "run", {}, "relselect train 'a b' --task t --seed 0 --time-budget 300s --regime rolling"),
        ("a b", "recommendation", {}, "relselect recommend 'a b' --task t --seed 0"),
        (None, "run", {}, ""),
        (
            "shop",
            "run",
            {"families": ["dfs", "rdl"], "max_trials": 7, "evaluate_test": False, "seed": 3, "time_budget": None},
            "relselect train shop --task t --seed 3 --regime rolling --families dfs,rdl --max-trials 7 --no-test",
        ),
        (
            "shop",
            "run",
            {"options": {"rdl": {"rows": "both", "without": ["a b"]}}, "metric": "accuracy", "device": "cpu"},
            "relselect train shop --task t --seed 0 --time-budget 300s --regime rolling --option 'rdl.rows=\"both\"' "
            "--option 'rdl.without=[\"a b\"]' --metric accuracy --device cpu",
        ),
        (
            "shop",
            "run",
            {"class_weight": {"false": 1.0, "very true": 2.5}, "fidelity": "auto"},
            "relselect train shop --task t --seed 0 --time-budget 300s --regime rolling --fidelity auto "
            "--class-weight false=1.0 --class-weight 'very true=2.5'",
        ),
        (
            "shop",
            "run",
            {"class_weight": "balanced"},
            "relselect train shop --task t --seed 0 --time-budget 300s --regime rolling --class-weight balanced",
        ),
    ],
)
def test_the_command_to_run_it_again_is_one_that_works(
    database: str | None, kind: str, settings: dict[str, Any], command: str
) -> None:
    record = run_record() | {"kind": kind}
    record["database"] |= {"name": database or "frames", "source": database}
    record["task"]["name"] = "t"
    record["settings"] |= settings
    assert reproduction_command(check_record(record)) == command


@pytest.mark.parametrize(("families", "command"), [(None, "relselect demo --seed 0 --time-budget 300s"), (["dfs"], "")])
def test_the_demo_is_run_again_only_as_it_was(families: list[str] | None, command: str) -> None:
    record = run_record()
    record["database"] |= {"name": "lahman", "source": None}
    record["settings"] |= {"families": families}
    assert reproduction_command(check_record(record)) == command


def test_a_family_that_is_registered_nowhere_is_in_every_table_and_figure() -> None:
    html, markdown = render_html(three_families()), render_markdown(three_families())
    for text in (html, markdown):
        assert "Use a network on features" in text
        assert "hybrid-0" in text
        assert "Too close to call" not in text
        assert "Network on features (Hybrid)" in text.replace("\\", "")
        assert "What a network on features does." in text
    assert html.count("Network on features</text>") == 0
    assert "Network on features<title>" in html
    assert '<span class="pill f3">Hybrid</span>' in html
    assert ".f3 { --family: #8a4b9c; }" in html
    assert ".f3 { --family: #d3a0e2; }" in html
    assert 'class="span f3"' in html


def test_families_have_no_colours_of_their_own_in_the_page() -> None:
    record = three_families()
    for family in record["families"]:
        family["colour_light"] = family["colour_dark"] = "red; } body { display: none"
    html = render_html(record)
    assert "body { display: none" not in html
    assert "red;" not in html


def test_similar_tasks_say_who_was_better_and_by_how_much() -> None:
    record = run_record()
    near = {"task": "shop/churn", "family": "rdl", "better": "dfs", "margin": -0.034, "minutes": 1.5, "distance": 0.2}
    record["recommendation"]["neighbours"] = [near, {"task": "shop/spend", "better": "nobody", "margin": "much"}]
    table = neighbours(check_record(record))
    assert [column.name for column in table.columns] == ["Task", "Better", "Lead in skill", "Training both"]
    assert table.rows[0].cells == ("shop/churn", "DFS", "3.4 %", "1 min 30 s")
    assert table.rows[1].cells[:3] == ("shop/spend", "nobody", "–")
    assert "shop/churn" in "".join(Page(render_html(record)).words)


def test_a_task_that_only_a_query_made_is_asked_for_by_it() -> None:
    record = run_record()
    query = "PREDICT COUNT(orders.*, 0, 60, days) = 0 FOR EACH customers.id"
    record["database"]["source"] = "shop/"
    record["settings"]["explain"] = False
    record["task"] |= {"query": query, "name": "customers-count-orders-60-days"}
    command = reproduction_command(check_record(record))
    assert f"--query '{query}'" in command
    assert "--task" not in command
    assert command.endswith("--no-explain")
    record["task"]["name"] = "churn"  # a manifest declares it, with options that the query alone does not have
    assert "--task churn" in reproduction_command(check_record(record))
