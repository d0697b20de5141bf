"""Made-up records for the report's tests; no figure in them was measured."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["advice_record", "run_record"]


def run_record() -> dict[str, Any]:
    """A full record of a run in which feature synthesis wins."""
    return {
        "version": 1,
        "relselect": "0.1.0",
        "kind": "run",
        "seed": 0,
        "budget": {"seconds": 300.0, "spent": 283.1, "by_stage": _stages()},
        "environment": {"python": "3.11.9", "torch": "2.13.0", "lightgbm": "4.7.0", "optuna": "5.0.0", "device": "cpu"},
        "database": _database(),
        "task": _task(),
        "profile": _profile(),
        "recommendation": _advice(),
        "leaderboard": _leaderboard(),
        "failures": [{"family": "rdl", "number": 3, "error": "RuntimeError: loss became NaN in epoch 2"}],
        "unfinished": [],
        "choice": {
            "candidate": "dfs-2",
            "family": "dfs",
            "checkpoint": None,
            "why": "best on validation; the next family stands outside its interval",
            "near_ties": [
                {"candidate": "rdl-0", "checkpoint": 1, "step": 700, "score": 0.8123, "slope": 0.031, "chosen": True},
                {"candidate": "rdl-0", "checkpoint": 0, "step": 900, "score": 0.8141, "slope": 0.088, "chosen": False},
            ],
            "without_flatness": "dfs-2",
            "without_flatness_checkpoint": None,
        },
        "candidates": _candidates(),
        "notices": [
            {"level": "info", "topic": "device", "message": "no GPU found, everything ran on the CPU"},
            {"level": "warning", "topic": "task rows", "message": "14 rows name a player that is not in the table"},
        ],
    }


def advice_record() -> dict[str, Any]:
    """A record of a recommendation, nothing trained."""
    run = run_record()
    kept = ("version", "relselect", "seed", "environment", "database", "task", "profile")
    return {key: run[key] for key in kept} | {
        "kind": "recommendation",
        "budget": {"seconds": None, "spent": 6.4, "by_stage": []},
        "recommendation": _advice(),
    }


def _stages() -> list[dict[str, Any]]:
    stages = (("profile", 6.4), ("constants", 0.3), ("tuning dfs", 118.2), ("tuning rdl", 131.5), ("choice", 14.1))
    return [{"stage": name, "seconds": took} for name, took in (*stages, ("test predictions", 12.6))]


def _database() -> dict[str, Any]:
    return {
        "name": "lahman-baseball",
        "source": "lahman-baseball",
        "fingerprint": "9f2c61d0a7be44f1c8d35e70b1aa6cde",
        "rows": 412_305,
        "tables": [
            _table("people", 20_676, 24, ["playerID"], "debut", [], 230),
            _table("appearances", 112_106, 21, [], "date", [("playerID", "people", 0), ("teamID", "teams", 12)], 0),
            _table("teams", 3_015, 48, ["yearID", "teamID"], "date", [("franchID", "franchises", 0)], 0),
            _table("franchises", 120, 4, ["franchID"], None, [], 0),
        ],
    }


def _table(
    name: str,
    rows: int,
    columns: int,
    key: list[str],
    time: str | None,
    foreign: list[tuple[str, str, int]],
    nulls: int,
) -> dict[str, Any]:
    keys = [{"columns": [column], "table": parent, "nulls": 0, "dangling": lost} for column, parent, lost in foreign]
    return {
        "name": name,
        "rows": rows,
        "columns": columns,
        "primary_key": key,
        "time": time,
        "foreign_keys": keys,
        "null_times": nulls,
    }


def _task() -> dict[str, Any]:
    spans = (
        ("train", 41_220, "1955-01-01", "2004-01-01", 0.712, 310),
        ("val", 6_012, "2005-01-01", "2009-01-01", 0.698, 0),
        ("test", 7_351, "2010-01-01", "2015-01-01", 0.704, 0),
    )
    names = ("split", "rows", "first_cutoff", "last_cutoff", "label_mean", "purged")
    return {
        "name": "player-active",
        "entity": "people",
        "kind": "binary",
        "target": "active",
        "metric": "roc_auc",
        "regime": "rolling",
        "horizon": "365 days",
        "classes": [],
        "delay": "none",
        "splits": [dict(zip(names, span, strict=True)) for span in spans],
        "description": "Will a player who appeared in the last two seasons appear in the next one?",
    }


def _profile() -> dict[str, Any]:
    measures = (
        (
            "adjusted homophily, people–appearances–people",
            0.214,
            0.011,
            "team mates' labels agree more than by chance",
            "homophily",
        ),
        ("homophily, strongest path", 0.402, 0.02, "moderate", "homophily"),
        ("untrained GraphSAGE, 2 layers", 0.55, 0.013, "a random network already ranks well", "path affinity"),
        ("LightGBM, depth 1", 0.63, 0.012, "most of the signal is one table away", "feature affinity"),
        ("LightGBM, depth 2", 0.64, 0.012, "a second hop adds nothing certain", "feature affinity"),
        ("label autocorrelation, lag 1", 0.47, 0.009, "last year says much about this year", "temporal affinity"),
        ("log10 rows", 5.615, None, "mid-sized", "scale"),
        ("class balance", 0.712, None, "fair", "scale"),
    )
    names = ("name", "value", "stderr", "reading", "group")
    return {"measures": [dict(zip(names, row, strict=True)) | {"seconds": 0.8} for row in measures], "seconds": 6.4}


def _advice() -> dict[str, Any]:
    return {
        "family": "dfs",
        "margin": -0.031,
        "interval": [-0.062, 0.004],
        "taught_by": "size rule; no bank taught it",
        "neighbours": [],
        "evidence": [
            "One-hop features explain most of the label: skill 0.63 at depth 1, 0.64 at depth 2.",
            "Linked players agree little beyond chance (adjusted homophily 0.21).",
            "The label remembers itself: correlation 0.47 with the year before.",
        ],
    }


def _leaderboard() -> list[dict[str, Any]]:
    rows = [
        (
            "dfs",
            "dfs-2",
            0.8462,
            0.8345,
            0.8571,
            0.8391,
            38.2,
            612.0,
            {"depth": 2, "learning_rate": 0.043, "leaves": 63},
            "",
        ),
        (
            "dfs",
            "dfs-0",
            0.8421,
            0.8309,
            0.8533,
            0.8402,
            21.0,
            540.0,
            {"depth": 2, "learning_rate": 0.05, "leaves": 31},
            "",
        ),
        (
            "dfs",
            "dfs-1",
            0.8398,
            0.8281,
            0.8511,
            None,
            35.8,
            611.0,
            {"depth": 3, "learning_rate": 0.11, "leaves": 31},
            "",
        ),
        (
            "rdl",
            "rdl-0",
            0.8141,
            0.8011,
            0.8269,
            0.8102,
            61.9,
            934.0,
            {"channels": 64, "convolution": "sage", "layers": 2},
            "",
        ),
        (
            "rdl",
            "rdl-1",
            0.8027,
            0.7893,
            0.8160,
            None,
            44.0,
            901.0,
            {"channels": 128, "convolution": "gatv2", "layers": 2},
            "stopped by the budget after 6 epochs",
        ),
        ("constants", "per-entity", 0.7210, 0.7069, 0.7350, 0.7152, 0.1, None, {}, "mean label of the same player"),
        ("constants", "global", 0.5, 0.5, 0.5, 0.5, 0.0, None, {}, "the training mean"),
    ]
    names = ("family", "candidate", "score", "low", "high", "test_score", "seconds", "peak_memory_mb", "config", "note")
    return [
        {"rank": rank, "device": "cpu", "default": row[1] in {"dfs-0", "rdl-0"}, "chosen": row[1] == "dfs-2"}
        | dict(zip(names, row, strict=True))
        for rank, row in enumerate(rows, 1)
    ]


def _candidates() -> dict[str, Any]:
    curve = [
        {
            "epoch": epoch,
            "steps": 100 * epoch,
            "loss": 0.6 * math.exp(-epoch / 5) + 0.4,
            "score": 0.815 - 0.09 * math.exp(-epoch / 2.5) - 0.0004 * max(epoch - 8, 0) ** 2,
        }
        for epoch in range(1, 15)
    ]
    features = [
        ("COUNT(appearances, 365d)", 310.0, "number of appearances in the last 365 days"),
        ("TIME_SINCE_LAST(appearances)", 222.5, "days since the last appearances row"),
        ("MEAN(__labels__.label)", 140.1, "mean of this player's earlier labels"),
        ("SUM(appearances.G_all, 730d)", 91.0, "sum of G_all over appearances in the last 730 days"),
        ("people.birthYear", 60.7, "birthYear of people"),
        ("STD(appearances.G_batting)", 22.4, ""),
    ]
    entries = [{"feature": name, "importance": gain, "description": text} for name, gain, text in features]
    return {"dfs-2": {"details": {"feature_importances": entries}}, "rdl-0": {"details": {"learning_curve": curve}}}
