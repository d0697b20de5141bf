"""What notebooks show: whole, escaped, without scripts, in the notebook's own colours."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

import relselect as rs
from relselect.notebook import NotebookTable, notebook_html
from tests.report.records import run_record
from tests.shop import shop_task

HOSTILE = "<script>alert(1)</script>\u202e"


class Balanced(HTMLParser):
    """Checks that every tag is closed, and collects tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(shown: str) -> Balanced:
    page = Balanced()
    page.feed(shown)
    assert not page.open
    assert page.tags <= {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    # no colour but those of the notebook, and grey lines that are seen on light and on dark
    assert set(re.findall(r"(?<![-\w])color:([^;\"]+)", shown)) <= {"inherit"}
    assert not [style for style in re.findall(r'style="([^"]*)"', shown) if "#" in style]
    return page


def test_text_is_escaped_and_long_tables_are_cut():
    rows = [(HOSTILE, str(number)) for number in range(50)]
    page = read(notebook_html(HOSTILE, [HOSTILE], [NotebookTable((HOSTILE, "n"), rows, (1,), (0,), HOSTILE)]))
    assert page.text.count("<script>alert(1)</script>\\u202e") == 4 + 40
    assert "10 more rows" in page.text


@pytest.fixture(scope="module")
def task(database, tables):
    return shop_task(database, tables, description=f"Who orders again? {HOSTILE}")


def test_databases_and_tasks(database, task):
    text = read(database._repr_html_()).text
    for part in ("Database('shop', 3 tables", "orders", "user_id → users", "From 1970-01-01"):
        assert part in text
    text = read(task._repr_html_()).text
    for part in ("Task 'reorder'", "Who orders again?", "label window 30 d", "train", "AUROC"):
        assert part in text
    frame = pd.DataFrame({HOSTILE: [1, 2], "id": [1, 2]})
    assert (
        HOSTILE[:-1] not in rs.Database.from_dataframes({HOSTILE[:-1]: frame}, keys={HOSTILE[:-1]: "id"})._repr_html_()
    )


def test_profiles_and_recommendations(database, task):
    profile = rs.profile(database, task)
    text = read(profile._repr_html_()).text
    assert f"Profile: {len(profile.measures)} measures" in text
    assert profile.measures[0].name in text
    advice = rs.recommend(database, task)
    text = read(advice._repr_html_()).text
    assert "Train " in text
    assert "Learnt from" in text


def test_predictors(trained):
    fitted = trained("dfs")[0]
    text = read(fitted._repr_html_()).text
    assert "Fitted('reorder'" in text
    assert "Candidates by AUROC" in text
    assert fitted.candidate.id in text


def test_errors_are_positive_in_records():
    from relselect.report.notebook_page import record_html

    record = run_record()
    record["task"] = {**record["task"], "metric": "neg_mean_absolute_error", "metric_title": "MAE"}
    for row in record["leaderboard"]:
        for name in ("score", "low", "high", "test_score"):
            row[name] = None if row[name] is None else -abs(row[name])
    board = read(record_html("run", record)).text.split("Candidates by MAE")[1]
    assert re.search(r"\d\.\d", board)
    assert not re.search(r"[-−]\d", board.replace("dfs-", "").replace("rdl-", "").replace("constants-", ""))
