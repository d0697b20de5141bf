"""Made-up records for the report's tests; no figure in them was measured."""

from __future__ import annotations

import math
from typing import Any

from relselect.report.record import RECORD_VERSION

__all__ = [
    "advice_record",
    "ahead",
    "duel",
    "families",
    "outcome",
    "ranged",
    "row",
    "run_record",
    "small_run",
    "three_families",
]


def run_record() -> dict[str, Any]:
    """A full record of a run in which feature synthesis wins."""
    return {
        "version": RECORD_VERSION,
        "relselect": "0.1.0",
        "kind": "run",
        "settings": _settings(),
        "families": families("constants", "dfs", "rdl"),
        "budget": {"seconds": 300.0, "spent": 283.1, "by_stage": _stages()},
        "environment": {"python": "3.11.9", "torch": "2.13.0", "lightgbm": "4.7.0", "optuna": "5.0.0", "device": "cpu"},
        "database": _database(),
        "task": _task(),
        "profile": _profile(),
        "recommendation": _advice(),
        "validation": {
            "way": "cutoffs",
            "stop_rows": 3_004,
            "select_rows": 3_008,
            "shared": False,
            "why": "The validation rows have 5 cutoffs, which alternate.",
        },
        "leaderboard": _leaderboard(),
        "failures": [{"family": "rdl", "number": 3, "error": "RuntimeError: loss became NaN in epoch 2"}],
        "pruned": [
            {"family": "dfs", "number": 5, "reason": "pruned at 81 of 2000 rounds: AUROC 0.7 is worse than 0.8"}
        ],
        "unfinished": [],
        "choice": {
            "candidate": "dfs-2",
            "family": "dfs",
            "checkpoint": None,
            "step": None,
            "why": "Best on validation; the next family stands outside its interval.",
            "near_ties": [
                {"candidate": "rdl-0", "checkpoint": 1, "step": 700, "score": 0.8123, "slope": 0.031, "chosen": True},
                {"candidate": "rdl-0", "checkpoint": 0, "step": 900, "score": 0.8141, "slope": 0.088, "chosen": False},
            ],
            "without_flatness": "dfs-2",
            "without_flatness_checkpoint": None,
            "landscape": _landscape(),
        },
        "deployed": {
            "candidate": "dfs-2",
            "checkpoint": None,
            "refitted": True,
            "why": "The trees were grown anew on training and validation rows, for as many rounds as validation found best.",
            "test_score": 0.8433,
            "test_low": 0.8318,
            "test_high": 0.8540,
        },
        "rests_on": _rests_on(),
        "outcome": outcome(),
        "candidates": _candidates(),
        "notices": [
            {"level": "info", "topic": "device", "message": "no GPU found, everything ran on the CPU"},
            {"level": "warning", "topic": "task rows", "message": "14 rows name a player that is not in the table"},
        ],
    }


def advice_record() -> dict[str, Any]:
    """A record of a recommendation, nothing trained."""
    baselines = [one | {"rank": rank} for rank, one in enumerate(_leaderboard()[-2:], 1)]
    return run_record() | {
        "kind": "recommendation",
        "settings": _settings() | {"time_budget": None, "evaluate_test": False},
        "budget": {"seconds": None, "spent": 6.4, "by_stage": []},
        "leaderboard": [one | {"test_score": None, "test_low": None, "test_high": None} for one in baselines],
        "failures": [],
        "pruned": [],
        "choice": None,
        "deployed": None,
        "rests_on": None,
        "outcome": None,
        "candidates": {},
        "notices": [],
    }


def three_families() -> dict[str, Any]:
    """A record of a run with a family that is registered nowhere, and wins."""
    record = run_record()
    record["families"] = families("constants", "dfs", "rdl", "hybrid")
    record["recommendation"] |= {
        "families": ["dfs", "rdl", "hybrid"],
        "margins": {
            "dfs": {"value": 0.012, "low": -0.003, "high": 0.027},
            "rdl": {"value": -0.035, "low": -0.06, "high": -0.01},
            "hybrid": {"value": -0.012, "low": -0.027, "high": 0.003},
        },
    }
    for one in record["leaderboard"]:
        one["rank"] += 1
        one["chosen"] = False
    record["leaderboard"].insert(0, row("hybrid", 0.86, 0.851, 0.869, number=0, chosen=True, test_score=0.85))
    record["choice"] |= {"candidate": "hybrid-0", "family": "hybrid", "without_flatness": "hybrid-0", "near_ties": []}
    record["deployed"] |= {"candidate": "hybrid-0"}
    for duel in record["outcome"]["duels"]:
        duel["first"] = "hybrid-0"
    return record


def small_run(*rows: dict[str, Any], metric: str = "roc_auc", **more: Any) -> dict[str, Any]:
    """A run with these rows of the leaderboard alone; the first row's family is the chosen one's."""
    record = run_record()
    titles = {"roc_auc": "AUROC", "neg_mean_absolute_error": "MAE"}
    record["task"] |= {"metric": metric, "metric_title": titles[metric]}
    record["leaderboard"] = [one | {"rank": rank} for rank, one in enumerate(rows, 1)]
    record["deployed"] |= {"refitted": False, "test_score": None, "test_low": None, "test_high": None}
    return record | {"candidates": {}, "failures": [], "outcome": None} | more


def row(family: str, score: float | None, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    """One row of a leaderboard."""
    number = more.pop("number", 0)
    return {
        "rank": 1,
        "family": family,
        "candidate": f"{family}-{number}",
        "score": score,
        "low": low,
        "high": high,
        "stop_score": score,
        "test_score": None,
        "test_low": None,
        "test_high": None,
        "seconds": 10.0,
        "peak_memory_mb": 500.0,
        "device": "cpu",
        "config": {},
        "default": False,
        "chosen": False,
        "ended": "constant" if family == "constants" else "converged",
        "note": "",
    } | more


def families(*names: str) -> list[dict[str, Any]]:
    """The descriptions of families, one of which no registry knows."""
    known = {
        "constants": ("constant baseline", "the constant baseline", "constant", "#747b86", "#98a0ab"),
        "dfs": ("feature synthesis", "feature synthesis", "DFS", "#0a7468", "#45cdb9"),
        "rdl": ("graph neural network", "a graph neural network", "RDL", "#3a56c5", "#8ea4ff"),
        "hybrid": ("network on features", "a network on features", "Hybrid", "#8a4b9c", "#d3a0e2"),
    }
    keys = ("title", "phrase", "short", "colour_light", "colour_dark")
    return [
        {"name": name, "description": f"What {known[name][1]} does.", "baseline": name == "constants"}
        | dict(zip(keys, known[name], strict=True))
        for name in names
    ]


def ahead(kind: str = "binary") -> dict[str, Any]:
    """Who is asked about at the newest date of the database."""
    one, amount = kind != "multiclass", kind == "regression"
    return {
        "source": "population",
        "at": "2016-10-02",
        "entities": 1_301,
        "expected": 910.6 if one else None,
        "positive": 951 if kind == "binary" else None,
        "keys": ["playerID"],
        "listed": [
            {"key": [f"player{place:02}"], "value": 0.99 - 0.01 * place, "answer": None if amount else "true"}
            for place in range(20)
        ],
        "lowest_first": False,
        "classes": []
        if one
        else [{"name": name, "expected": 650.5, "predicted": count} for name, count in (("A", 700), ("B", 601))],
    }


def outcome(kind: str = "binary") -> dict[str, Any]:
    """What the predictions of a run are worth: of a binary task, of a regression ("regression"), or of classes ("multiclass")."""
    event = {"binary": "negative", "regression": "amount", "multiclass": "right"}[kind]
    shares = [place / 20 for place in range(21)]
    bins = [(0.36 + 0.06 * place, 0.33 + 0.065 * place) for place in range(10)]
    periods = [(f"201{year}-01-01", 1_220 + year, 0.85 - 0.002 * year) for year in range(6)]
    one = kind != "multiclass"
    return {
        "split": "test",
        "refitted": True,
        "rows": 7_351,
        "entities": 2_104,
        "event": event,
        "drawn": 7_351,
        "mean": 0.704 if one else None,
        "newest": {
            "first": "2015-01-01",
            "last": "2015-01-01",
            "entities": 1_234,
            "expected": 868.4 if one else None,
            "positive": 901 if kind == "binary" else None,
            "actual": 871.0 if one else None,
        },
        "ahead": None,
        "totals": [
            {"split": "test", "rows": 7_351, "expected": 5_190.2, "actual": 5_175.0, "score": 0.8433, "constant": 0.7152},
            {"split": "select", "rows": 3_008, "expected": 2_101.0, "actual": 2_099.0, "score": 0.8462, "constant": 0.721},
        ],
        "top": {
            "rows": 735,
            "mean": ranged(0.84, 0.81, 0.87),
            "captured": ranged(None) if event == "right" else ranged(0.284, 0.262, 0.305),
            "lift": ranged(None) if event == "right" else ranged(2.84, 2.62, 3.05),
        },
        "gain": [] if event == "right" else [{"share": s, "captured": 1 - (1 - s) ** 3} for s in shares],
        "bins": [
            {"rows": 735, "predicted": p, "actual": y, "low": y - 0.02, "high": y + 0.02} for p, y in bins
        ],
        "calibration_error": None if kind == "regression" else 0.014,
        "calibration_noise": None if kind == "regression" else 0.016,
        "periods": [
            {"period": name, "rows": n, "score": s, "low": s - 0.02, "high": s + 0.02, "expected": 860.0, "actual": 855.0}
            for name, n, s in periods
        ],
        "compared": 9,
        "segments": [
            {"column": "bats", "value": "L", "rows": 2_710, "score": 0.861, "difference": ranged(0.018, 0.002, 0.035),
             "expected": 1_900.5, "actual": 1_888.0},
        ],
        "duels": [
            duel("test", "constants-1", 0.128, 0.119, 0.137, baseline=True),
            duel("test", "rdl-0", 0.033, 0.021, 0.045),
            duel("select", "constants-1", 0.125, 0.111, 0.139, baseline=True),
            duel("select", "rdl-0", 0.032, 0.02, 0.044),
        ],
        "classes": [] if one else [
            {"name": name, "actual": 2_450, "expected": 2_440.5, "predicted": 2_400 + place, "right": 1_900}
            for place, name in enumerate(("none", "some", "many"))
        ],
        "coverage": [] if kind != "regression" else [
            {"level": 0.9, "share": 0.8712, "low": 0.8648, "high": 0.8776, "width": 41.5, "rows": 7_351},
        ],
    }  # fmt: skip


def ranged(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A number with its interval."""
    return {"value": value, "low": low, "high": high}


def duel(split: str, second: str, value: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    """The chosen model of `run_record` beside another."""
    known = {"split": split, "rows": 3_000, "first": "dfs-2", "second": second, "lead": ranged(value, low, high)}
    return known | {"finished": True, "baseline": False} | more


def _landscape() -> list[dict[str, Any]]:
    steps = [-0.2, -0.1, 0.0, 0.1, 0.2]
    return [
        {"candidate": "rdl-0", "checkpoint": place, "direction": direction, "steps": steps, "chosen": place == 1,
         "losses": [0.4 + (1 + direction) * (2 - place) * step**2 for step in steps]}
        for place in (0, 1) for direction in (0, 1)
    ]  # fmt: skip


def _rests_on() -> dict[str, Any]:
    names = ("kind", "table", "name", "path", "drop", "low", "high")
    rows = (
        ("table", "appearances", "appearances", "people ← appearances.playerID", 0.141, 0.128, 0.153),
        ("table", "people", "people", "people", 0.012, 0.004, 0.019),
        (
            "table",
            "teams",
            "teams",
            "people ← appearances.playerID → teams (by appearances.teamID)",
            -0.001,
            -0.004,
            0.002,
        ),
        (
            "columns",
            "appearances",
            "appearances: G_all, G_batting",
            "people ← appearances.playerID",
            0.081,
            0.07,
            0.092,
        ),
    )
    delays = ("delay", "score", "change", "low", "high", "rows", "fallen")
    ages = (("0 days", 0.84, 0.0, 0.0, 0.0, 2000, 0), ("90 days", 0.82, -0.02, -0.03, -0.01, 1990, 10))
    periods = [
        {"period": f"20{year:02}-01-01", "rows": 900, "score": 0.84, "low": 0.82, "high": 0.86} for year in (10, 11, 12)
    ]
    return {
        "importance": {
            "candidate": "dfs-2",
            "rows": 2_000,
            "score": 0.84,
            "ablations": [dict(zip(names, each, strict=True)) for each in rows],
            "sentences": ["AUROC on 2,000 rows is 0.84. Without appearances AUROC falls by 0.141 (0.128 to 0.153)."],
        },
        "staleness": {
            "delays": [dict(zip(delays, each, strict=True)) for each in ages],
            "decay": {"split": "test", "periods": periods, "slope": -0.0001, "low": -0.001, "high": 0.0008},
            "sentences": [
                "Load the database more often than every 90 days: with data 90 days old AUROC falls by 0.02."
            ],
        },
        "why": "",
    }


def _settings() -> dict[str, Any]:
    return {
        "seed": 0,
        "families": None,
        "time_budget": 300.0,
        "max_trials": None,
        "fidelity": "full",
        "average_seeds": None,
        "evaluate_test": True,
        "final": "auto",
        "explain": True,
        "options": {},
        "spaces": {},
        "device": None,
        "metric": None,
        "class_weight": None,
        "preset": None,
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
        "metric_title": "AUROC",
        "regime": "rolling",
        "horizon": "365 days",
        "classes": [],
        "delay": "none",
        "splits": [dict(zip(names, span, strict=True)) for span in spans],
        "description": "Will a player who appeared in the last two seasons appear in the next one?",
        "fingerprint": "51c0ffee",
        "query": None,
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
    return {
        "measures": [dict(zip(names, row, strict=True)) | {"seconds": 0.8} for row in measures],
        "seconds": 6.4,
        "findings": [],
        "unrun_checks": [],
    }


def _advice() -> dict[str, Any]:
    return {
        "families": ["dfs"],
        "margins": {
            "dfs": {"value": 0.031, "low": -0.004, "high": 0.062},
            "rdl": {"value": -0.031, "low": -0.062, "high": 0.004},
        },
        "taught_by": "size rule; no bank taught it",
        "basis": "rule",
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
    empty = row("constants", None, None, None)
    return [empty | _leader(rank, dict(zip(names, one, strict=True))) for rank, one in enumerate(rows, 1)]


def _leader(rank: int, one: dict[str, Any]) -> dict[str, Any]:
    test, constant = one["test_score"], one["family"] == "constants"
    return one | {
        "rank": rank,
        "stop_score": None if constant else one["score"] + 0.004,
        "test_low": None if test is None else test - 0.012,
        "test_high": None if test is None else test + 0.012,
        "default": one["candidate"] in {"dfs-0", "rdl-0"},
        "chosen": one["candidate"] == "dfs-2",
        "ended": "constant" if constant else "budget" if one["candidate"] == "rdl-1" else "converged",
    }


def _candidates() -> dict[str, Any]:
    curve = [
        {
            "step": 100 * epoch,
            "epoch": epoch - 1,
            "loss": 0.6 * math.exp(-epoch / 5) + 0.4,
            "score": 0.815 - 0.09 * math.exp(-epoch / 2.5) - 0.0004 * max(epoch - 8, 0) ** 2,
            "seconds": 4.0 * epoch,
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
    total = sum(gain for _, gain, _ in features) / 0.8
    entries = [{"feature": name, "share": gain / total, "description": text} for name, gain, text in features]
    return {
        "dfs-2": {
            "learning_curve": None,
            "importances": {"kind": "gain", "features": entries},
            "facts": {"trees": 212},
        },
        "rdl-0": {
            "learning_curve": {"unit": "epoch", "loss_of": "train", "points": curve},
            "importances": None,
            "facts": {},
        },
    }
