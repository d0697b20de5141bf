"""Sentences that say what the value of a measure means, or why it is undefined.

Nothing is measured here: every function takes numbers that another module computed. Formulas stand with those modules and in
`docs/profile.md`.
"""

from __future__ import annotations

import math

from relselect.database.clock import DAY

__all__ = [
    "CONSTANT_JOINED_LABELS",
    "CONSTANT_LABEL",
    "CONSTANT_WITHIN_ENTITIES",
    "NOT_ADJUSTED",
    "NO_CLASSES",
    "NO_ENTITY_YET",
    "NO_JOINED_ENTITY",
    "NO_KEYED_ROW",
    "NO_KNOWN_LABEL",
    "NO_SCORED_ROW",
    "NO_TABPFN",
    "ONE_CUTOFF",
    "OUT_OF_TIME",
    "STATIC",
    "UNDEFINED_SKILL",
    "UNKNOWN_TIMES",
    "aggregate",
    "aggregated_homophily",
    "autocorrelation",
    "baseline",
    "class_balance",
    "class_insensitive_homophily",
    "column_count",
    "compared_pairs",
    "constant_joined_labels",
    "database_rows",
    "entities_seen",
    "entity_rows",
    "fan_out",
    "feature_skill",
    "few_earlier_labels",
    "few_pairs",
    "few_pairs_on_any_path",
    "gap_autocorrelation",
    "global_baseline",
    "homophily",
    "label_shift",
    "label_variation",
    "measured_paths",
    "network_skill",
    "new_entities",
    "no_lag",
    "no_path",
    "past_agreement",
    "path_mean",
    "rows_per_entity",
    "same_label",
    "span",
    "table_count",
    "tabpfn_failed",
    "train_rows",
]

NO_CLASSES = "A regression task has no classes."
STATIC = "The task has no time, so no label is earlier than another."
UNKNOWN_TIMES = "It is not known when labels become known, so no label can be used as an earlier one."
ONE_CUTOFF = "All train rows share one cutoff, so none is earlier than another."
NO_KNOWN_LABEL = "No label was known before the last fifth of the train dates."
NO_SCORED_ROW = "No train row is left to score on."
NO_KEYED_ROW = "No training row belongs to a known entity."
NO_ENTITY_YET = "No training row's entity is visible at the row's date, so none has a past."
NO_JOINED_ENTITY = "No training row's entity is visible at the row's date, so none is joined to another."
CONSTANT_LABEL = "The label is constant in training."
CONSTANT_WITHIN_ENTITIES = "The label does not vary among entities with several rows."
CONSTANT_JOINED_LABELS = "Labels of the entities that paths join do not vary."
UNDEFINED_SKILL = "Labels in the last fifth of the train dates do not vary, so skill is undefined."
NOT_ADJUSTED = "The same without adjustment for chance."
NO_TABPFN = "TabPFN's weights are not on this machine."
OUT_OF_TIME = "The time for the profile ended before it was measured."

#: Two standard errors below this width exclude a homophily that a model could use.
_WIDE = 0.1
_LAGS = {1: "last one", 2: "last but one", 3: "last but two"}
_SCALE = "0 is a constant, 1 perfect"


# Scale


def database_rows(rows: int) -> str:
    """Read `log10_rows`."""
    return f"The database holds {rows:,} rows that are visible at the end of training."


def train_rows(rows: int) -> str:
    """Read `log10_train_rows`."""
    return f"There are {rows:,} labelled training rows."


def entity_rows(table: str, rows: int) -> str:
    """Read `log10_entities`."""
    return f"The entity table {table} has {rows:,} rows at the end of training."


def rows_per_entity(ratio: float) -> str:
    """Read `rows_per_entity`."""
    if math.isnan(ratio):
        return NO_KEYED_ROW
    return f"An entity with training rows has {ratio:.1f} of them on average."


def class_balance(balance: float, rarest: float) -> str:
    """Read `class_balance` with the share of the rarest class."""
    return f"Class balance {balance:.2f} (1 is even); the rarest class has {rarest:.1%} of the training rows."


def column_count(columns: int) -> str:
    """Read `columns`."""
    return f"{columns} columns are neither keys nor times."


def table_count(tables: int) -> str:
    """Read `tables`."""
    return f"The database has {tables} tables."


def fan_out(ratio: float) -> str:
    """Read `mean_fan_out`."""
    if math.isnan(ratio):
        return "No table refers to another."
    return f"A referenced row has {ratio:.1f} referring rows on average over the foreign keys."


# Baselines


def global_baseline(value: float, classes: int) -> str:
    """Read `global_skill`."""
    if classes == 2:
        return "A constant probability ranks no row above another, so its skill is 0 by definition."
    what = "mean" if classes == 0 else "majority class"
    return f"The global {what} of earlier labels has skill {value:.2f} in the last fifth of the train dates."


def baseline(value: float, stderr: float, classes: int, *, median: bool) -> str:
    """Read `entity_skill` and `entity_mean_skill`; `median` says which constant a regression task uses."""
    what = "most frequent class" if classes > 2 else "median" if median and classes == 0 else "mean"
    return (
        f"Predicting each entity's {what} of earlier labels has skill {value:.2f} (± {stderr:.2f}) "
        f"in the last fifth of the train dates ({_SCALE})."
    )


def entities_seen(share: float) -> str:
    """Read `entities_seen_before`."""
    return (
        f"{share:.0%} of the rows in the last fifth of the train dates belong to entities with an earlier known label."
    )


# Labels over time


def no_lag(lag: int) -> str:
    """Say that no entity has enough rows for a lag."""
    return f"No entity has {lag + 1} train rows."


def autocorrelation(value: float, stderr: float, lag: int, pairs: int) -> str:
    """Read `lag1_autocorrelation` to `lag3_autocorrelation`."""
    return (
        f"An entity's label correlates at {value:.2f} (± {stderr:.2f}) with its {_LAGS[lag]}, {pairs:,} pairs of rows."
    )


def label_shift(value: float) -> str:
    """Read `label_drift` of numbers and of two classes."""
    return f"In the last fifth of the train dates the mean label lies {value:+.2f} standard deviations from before."


def label_variation(value: float) -> str:
    """Read `label_drift` of more than two classes."""
    return f"The label's distribution moved by {value:.2f} (total variation) into the last fifth of the train dates."


def span(low: int, high: int, *, integer: bool) -> str:
    """Return a range of ticks in words: days, hours below a day, or the units of an integer time.

    >>> span(28 * DAY, 56 * DAY, integer=False)
    '28 to 56 days'
    """
    if integer:
        return f"{low:,} to {high:,} time units"
    if low >= DAY:
        return f"{low / DAY:,.0f} to {high / DAY:,.0f} days"
    return f"{low / DAY * 24:,.1f} to {high / DAY * 24:,.1f} hours"


def few_earlier_labels(least: int, apart: str = "") -> str:
    """Say that fewer than `least` rows have an earlier label of their entity, `apart` (see `span`) older if given."""
    older = f" {apart} before" if apart else ""
    return f"Fewer than {least} rows have an earlier label of their entity{older}."


def gap_autocorrelation(value: float, stderr: float, apart: str, pairs: int, classes: int) -> str:
    """Read `gap1_autocorrelation` to `gap8_autocorrelation`."""
    return f"Labels of one entity {apart} apart {_relate(classes)} {value:.2f} (± {stderr:.2f}; {pairs:,} pairs)."


def past_agreement(value: float, stderr: float, classes: int) -> str:
    """Read `past_agreement`."""
    return f"A label and the mean of its entity's past labels {_relate(classes)} {value:.2f} (± {stderr:.2f})."


def same_label(value: float, stderr: float) -> str:
    """Read `same_label_ratio`."""
    return f"On average {value:.0%} (± {stderr:.1%}) of an entity's past labels equal the present one."


def new_entities(share: float) -> str:
    """Read `new_entity_share`."""
    return f"{share:.1%} of the rows after the first train date are the first of their entity."


def _relate(classes: int) -> str:
    return "agree, beyond chance, at" if classes > 2 else "correlate at"


# Homophily


def no_path(entity: str) -> str:
    """Say that no meta-path leads from an entity back to its table."""
    return f"No path of two hops leads from {entity} back to it."


def few_pairs(pairs: int, words: str) -> str:
    """Say that a path has too few pairs with labels; `words` are those of the meta-path."""
    return f"Only {pairs} pairs of {words} have labels."


def few_pairs_on_any_path(least: int) -> str:
    """Say that every path has fewer than `least` pairs."""
    return f"No path has {least} pairs of labelled rows."


def constant_joined_labels(words: str) -> str:
    """Say that the labels on a path are constant."""
    return f"Labels of {words} do not vary."


def homophily(value: float, stderr: float, words: str, pairs: int, classes: int) -> str:
    """Read `homophily[path]`: the direction and strength first, then the number.

    A value within two standard errors of zero counts as unrelated where the interval is narrow, else as undecided.

    >>> homophily(0.3, 0.02, "customers that share a region", 1200, classes=2)
    'Labels of customers that share a region agree more than chance: adjusted homophily 0.300 ± 0.020 (1,200 pairs).'
    """
    kind = "adjusted homophily" if classes else "correlation"
    relation = _relation(value, stderr, classes)
    return f"Labels of {words} {relation}: {kind} {value:.3f} ± {stderr:.3f} ({pairs:,} pairs)."


def _relation(value: float, stderr: float, classes: int) -> str:
    if math.isfinite(stderr) and abs(value) <= 2 * stderr:
        if 2 * stderr >= _WIDE:
            return "cannot be distinguished from unrelated ones"
        return "agree no more than chance" if classes else "are unrelated"
    strength = "strongly " if abs(value) >= 0.5 else "" if abs(value) >= 0.1 else "slightly "
    if classes:
        return f"agree {strength}{'more' if value > 0 else 'less'} than chance"
    return f"correlate {strength}{'positively' if value > 0 else 'negatively'}"


def class_insensitive_homophily(value: float, stderr: float, words: str) -> str:
    """Read `insensitive_homophily[path]`."""
    return f"Averaged over classes, {words} agree beyond chance at {value:.3f} (± {stderr:.3f})."


def aggregated_homophily(value: float, stderr: float, words: str, rows: int) -> str:
    """Read `aggregated_homophily[path]`."""
    if math.isnan(value):
        return f"Means over {words} do not vary."
    return f"A label and the mean over {words}: {value:.3f} (± {stderr:.3f}; {rows:,} rows)."


def aggregate(value: float, stderr: float, words: str, classes: int, *, labels: bool) -> str:
    """Read an aggregate over paths, `words` being its name; `labels` where its value relates labels, as a mean does."""
    if not labels:
        return f"{words} of the homophily is {value:.3f} (± {stderr:.3f})."
    verb = "agree, beyond chance, at" if classes else "correlate at"
    return f"{words}: labels of joined entities {verb} {value:.3f} (± {stderr:.3f})."


def path_mean(value: float, stderr: float, kind: str) -> str:
    """Read `homophily_insensitive_mean` and `homophily_aggregated_mean`, `kind` being an adjective."""
    return f"The mean over paths of {kind} homophily is {value:.3f} (± {stderr:.3f})."


def measured_paths(exist: int, paths: int, late: int, left_out: int) -> str:
    """Read `homophily_paths`: paths with values of those tried, paths that came too late, and paths never tried."""
    missed = f"; the time ended before {late} of them" if late else ""
    more = f"; {left_out} further paths that combine two ways were left out" if left_out else ""
    return f"{exist} of {paths} paths between entities have labelled pairs{missed}{more}."


def compared_pairs(pairs: int) -> str:
    """Read `homophily_pairs`."""
    return f"{pairs:,} pairs were compared."


# Affinities


def feature_skill(value: float, stderr: float, depth: int, *, tabpfn: bool = False) -> str:
    """Read `feature_affinity_depth1` and `2`, and TabPFN's."""
    if tabpfn:
        return f"TabPFN on the same features has skill {value:.2f} (± {stderr:.2f}; {_SCALE})."
    steps = "one step" if depth == 1 else f"up to {'two' if depth == 2 else depth} steps"
    return f"A fixed small model on features of {steps} has skill {value:.2f} (± {stderr:.2f}; {_SCALE})."


def tabpfn_failed(error: str) -> str:
    """Say that TabPFN failed; `error` is the name of the exception's class."""
    return f"TabPFN did not run ({error})."


def network_skill(value: float, stderr: float, layers: int, *, seeded: bool) -> str:
    """Read `path_affinity_sage1` to `path_affinity_seeded3`."""
    kind = "A seed-labelled" if seeded else "An"
    hops = "one layer" if layers == 1 else f"{layers} layers"
    return f"{kind} untrained network of {hops} and a linear head have skill {value:.2f} (± {stderr:.2f})."
