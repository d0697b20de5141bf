"""Checks the text of a LightGBM model before LightGBM reads it: LightGBM follows indices in it without checking them.

The grammar is the one that LightGBM writes for what is trained here (version v4, dense trees, no linear leaves); anything
else is refused. Deliberately not here: whether the model predicts well, and how many features its caller has.

Source: `GBDT::SaveModelToString` and `Tree::ToString` of LightGBM 4.
"""

from __future__ import annotations

import math
import re

__all__ = ["check_tree_text"]

#: Leaves of a tree, categories sets of a tree and features at most.
_MOST = 1 << 17
#: Largest magnitude of a leaf's value: a sum of leaves stays finite.
_LARGEST = 1e100
_HEAD = (
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "feature_names",
    "feature_infos", "tree_sizes",
)  # fmt: skip
_TREE = (
    "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
    "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count",
)  # fmt: skip
_CATEGORIES = ("cat_boundaries", "cat_threshold")
_OBJECTIVE = re.compile(r"binary sigmoid:1|multiclass num_class:([0-9]{1,6})|regression|regression_l1")
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?|-?inf")
_INFO = re.compile(r"none|\[[-+0-9.e]{1,40}:[-+0-9.e]{1,40}\]|-?[0-9]{1,10}(:-?[0-9]{1,10})*")
_PARAMETER = re.compile(r"\[([a-z_0-9]{1,60}): ([A-Za-z_0-9.,+\- ]*)\]")
#: Parameters that name files and machines.
_PLACES = re.compile(r"data|valid|machines|.*_filename|.*_file|(in|out)put_.*")
_END, _LAST = "end of trees\n", "pandas_categorical:null\n"


def check_tree_text(text: str) -> str:
    """Check the text of a model and return its objective, such as "binary sigmoid:1".

    Raises:
        ValueError: It is none that LightGBM wrote: a field is missing, a number is none, an index leaves its range, or a
            node is reached twice or never.
    """
    if not text.isascii():
        raise ValueError("the trees hold other characters than ASCII")
    head, found, _ = text.partition("\n\nTree=0\n")
    if not found or not head.startswith("tree\n"):
        raise ValueError("the trees have no head")
    fields = _fields(head.removeprefix("tree\n").split("\n"), _HEAD, "the head")
    classes, features = _checked_head(fields)
    start = len(head) + 2
    sizes = _integers(fields["tree_sizes"], "tree_sizes", 1, 1 << 31)
    if len(sizes) % classes:
        raise ValueError(f"{len(sizes)} trees for {classes} classes")
    for number, size in enumerate(sizes):
        block = text[start : start + size]
        if not block.startswith(f"Tree={number}\n") or not block.endswith("\n\n"):
            raise ValueError(f"tree {number} is not where tree_sizes says")
        try:
            _check_tree(block.rstrip("\n").split("\n")[1:], features)
        except ValueError as error:
            raise ValueError(f"tree {number}: {error}") from None
        start += size
    _check_tail(text[start:])
    return fields["objective"]


def _checked_head(fields: dict[str, str]) -> tuple[int, int]:
    """Return the number of classes and of features."""
    (classes,) = _integers(fields["num_class"], "num_class", 1, _MOST, 1)
    (each,) = _integers(fields["num_tree_per_iteration"], "num_tree_per_iteration", 1, _MOST, 1)
    (last,) = _integers(fields["max_feature_idx"], "max_feature_idx", 0, 1 << 24, 1)
    objective = _OBJECTIVE.fullmatch(fields["objective"])
    if fields["version"] != "v4" or fields["label_index"] != "0" or objective is None:
        raise ValueError("the trees are of an unknown version or objective")
    if each != classes or int(objective[1] or 1) != classes:
        raise ValueError(f"{classes} classes with {each} trees for each iteration and the objective {objective[0]}")
    names, infos = fields["feature_names"].split(" "), fields["feature_infos"].split(" ")
    if names != [f"Column_{number}" for number in range(last + 1)] or len(infos) != last + 1:
        raise ValueError(f"names or ranges of {last + 1} features are missing")
    if not all(_INFO.fullmatch(info) for info in infos):
        raise ValueError("feature_infos holds what is no range")
    return classes, last + 1


def _check_tree(lines: list[str], features: int) -> None:
    named = _TREE + (_CATEGORIES if len(lines) > len(_TREE) + 2 else ()) + ("is_linear", "shrinkage")
    fields = _fields(lines, named, "the tree")
    (leaves,) = _integers(fields["num_leaves"], "num_leaves", 1, _MOST, 1)
    (sets,) = _integers(fields["num_cat"], "num_cat", 0, _MOST, 1)
    if fields["is_linear"] != "0" or bool(sets) != ("cat_boundaries" in fields):
        raise ValueError("is linear, or has no sets of categories where it counts some")
    nodes = leaves - 1
    _integers(fields["split_feature"], "split_feature", 0, features, nodes)
    kinds = _integers(fields["decision_type"], "decision_type", 0, 12, nodes)
    thresholds = _numbers(fields["threshold"], "threshold", nodes, finite=False)  # inf: all that is not missing
    for name in ("split_gain", "internal_value", "internal_weight"):
        _numbers(fields[name], name, nodes, finite=False)
    _integers(fields["internal_count"], "internal_count", 0, 1 << 31, nodes)
    if any(abs(value) > _LARGEST for value in _numbers(fields["leaf_value"], "leaf_value", leaves)):
        raise ValueError(f"leaf_value holds a number beyond {_LARGEST:g}")
    # a tree without a split has neither weights nor, in some versions, counts of its leaf
    weights = _numbers(fields["leaf_weight"], "leaf_weight", None, finite=False)
    counts = _integers(fields["leaf_count"], "leaf_count", 0, 1 << 31)
    if not {len(weights), len(counts)} <= ({leaves} if nodes else {0, 1}):
        raise ValueError(f"weights or counts of {leaves} leaves are missing")
    _numbers(fields["shrinkage"], "shrinkage", 1)
    if sets:
        _check_sets(fields, sets)
    categorical = [value for value, kind in zip(thresholds, kinds, strict=True) if kind & 1]
    if any(not 0 <= value < sets or value != int(value) for value in categorical):
        raise ValueError("threshold names a set of categories that there is not")
    _check_children(fields, nodes)


def _check_sets(fields: dict[str, str], sets: int) -> None:
    """Check that the sets of categories lie one after the other in `cat_threshold`."""
    bounds = _integers(fields["cat_boundaries"], "cat_boundaries", 0, 1 << 31, sets + 1)
    words = _integers(fields["cat_threshold"], "cat_threshold", 0, 1 << 32)
    if bounds[0] or bounds[-1] != len(words) or any(a > b for a, b in zip(bounds, bounds[1:], strict=False)):
        raise ValueError("cat_boundaries do not divide cat_threshold")


def _check_children(fields: dict[str, str], nodes: int) -> None:
    """Check that every node and every leaf but the root is the child of exactly one node, and that the root reaches it."""
    left = _integers(fields["left_child"], "left_child", -nodes - 1, max(1, nodes), nodes)
    right = _integers(fields["right_child"], "right_child", -nodes - 1, max(1, nodes), nodes)
    children = sorted([*left, *right])
    if nodes and children != [*range(-nodes - 1, 0), *range(1, nodes)]:
        raise ValueError("a node or a leaf has no parent or several")
    reached, waiting = 0, [0] if nodes else []
    while waiting:  # one parent each, so no node is met twice
        place = waiting.pop()
        reached += 1
        waiting += [child for child in (left[place], right[place]) if child >= 0]
    if reached != nodes:
        raise ValueError("some nodes are not reached from the root")


def _check_tail(text: str) -> None:
    """Check what follows the trees: counts of features, parameters, and no mapping of pandas."""
    gains, found, parameters = text.partition("\nparameters:\n")
    if not gains.startswith(f"{_END}\nfeature_importances:\n") or not found or not parameters.endswith(_LAST):
        raise ValueError("the end of the trees, the parameters or the last line is missing")
    for line in gains.removeprefix(f"{_END}\nfeature_importances:\n").splitlines():
        if not re.fullmatch(r"Column_[0-9]{1,8}=[0-9]{1,10}", line):
            raise ValueError("feature_importances holds what is no count")
    listed, found, rest = parameters.removesuffix(_LAST).partition("\nend of parameters\n")
    if not found or rest.strip("\n"):
        raise ValueError("the parameters have no end")
    for line in filter(None, listed.split("\n")):
        parts = _PARAMETER.fullmatch(line)
        if parts is None or (parts[2] and _PLACES.fullmatch(parts[1])):
            raise ValueError(f"{line:.60} is no parameter")


def _fields(lines: list[str], names: tuple[str, ...], place: str) -> dict[str, str]:
    """Return name -> text of lines `name=text`, which must be of these names in this order."""
    parts = [line.partition("=") for line in lines]
    if tuple(name for name, _, _ in parts) != names:
        raise ValueError(f"{place} has other fields than {', '.join(names)}")
    return {name: text for name, _, text in parts}


def _words(text: str, name: str, count: int | None) -> list[str]:
    words = text.split(" ") if text else []
    if count is not None and len(words) != count:
        raise ValueError(f"{name} has {len(words)} values for {count}")
    return words


def _integers(text: str, name: str, low: int, high: int, count: int | None = None) -> list[int]:
    """Return integers of the range low to high - 1."""
    words = _words(text, name, count)
    if not all(map(_INTEGER.fullmatch, words)):
        raise ValueError(f"{name} holds what is no integer")
    values = list(map(int, words))
    if values and not low <= min(values) <= max(values) < high:
        raise ValueError(f"{name} leaves the range from {low} to {high - 1}")
    return values


def _numbers(text: str, name: str, count: int | None, finite: bool = True) -> list[float]:
    words = _words(text, name, count)
    if not all(map(_NUMBER.fullmatch, words)):
        raise ValueError(f"{name} holds what is no number")
    values = list(map(float, words))
    if finite and not all(map(math.isfinite, values)):
        raise ValueError(f"{name} holds a number that is not finite")
    return values
