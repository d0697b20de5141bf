"""Ways to damage a bundle, by name: each changes the files of a copy, whose manifest is then sealed again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

__all__ = ["NETWORK", "PLACES", "SHARED", "TREES", "seal"]

Damage = Callable[[Path], object]

#: What a value of a JSON file is replaced by.
VALUES = {"null": None, "text": "x", "minus": -1, "list": [], "mapping": {}, "nested": [[[]]], "large": 2**62}
#: What a JSON file is replaced by.
TEXTS = {
    "empty": b"",
    "zeros": bytes(64),
    "deep": b"[" * 200_000,
    "closed and deep": b"[" * 90_000 + b"]" * 90_000,
    "nan": b"NaN",
    "another encoding": '{"a": 1}'.encode("utf-16"),
    "half": None,
    "a number of many digits": b"9" * 10_000,
}
KEYS = {
    "result.json": ("version", "settings", "budget", "task", "profile", "recommendation", "validation", "candidates",
                    "decision", "scores", "stages", "notices", "families", "environment"),
    "fitted.json": ("types", "schema", "declared", "family", "source", "snapshot"),
    "task/task.json": ("classes", "entity", "kind", "horizon", "key_columns", "metric", "population", "purged", "regime",
                       "starts", "static", "time_kind", "known_after", "feature_columns"),
    "model/candidate.json": ("checkpoint", "checkpoints", "config", "curve", "ended", "family", "interval", "number",
                             "score", "seed", "format", "facts", "notes"),
}  # fmt: skip
OWN_KEYS = {
    "trees": {
        "model/trees.json": ("boosters", "constant", "label", "shift"),
              "model/plan.json": ("format", "entity", "features", "schema")},
    "network": {"model/network.json": ("format", "entity", "edge_types", "tables", "task_row", "target", "settings",
                                       "checkpoints")},
}  # fmt: skip


def seal(folder: Path) -> None:
    """Write the manifest anew, with the hashes of the files that there are."""
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != "manifest.json"
    }
    rewrite(folder / "manifest.json", lambda found: {**found, "files": files})


def rewrite(path: Path, change: Callable[[object], object]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def put(name: str, keys: tuple[object, ...], value: object) -> Damage:
    """Replace the value at a path of keys."""

    def change(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        place = data
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        (folder / name).write_text(json.dumps(data))

    return change


def raw(name: str, data: bytes | None) -> Damage:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if data is None else data)

    return change


def without(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def of_json(keys: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, Damage]]:
    """Every file in every broken text, and every key with two of the values in turn and left out."""
    kinds = list(VALUES)
    for name, names in keys.items():
        for title, data in TEXTS.items():
            yield f"{name}: {title}", raw(name, data)
        for place, key in enumerate(names):
            for kind in (kinds[place % len(kinds)], kinds[(place + 3) % len(kinds)]):
                yield f"{name}: {key} is {kind}", put(name, (key,), VALUES[kind])


# Labels and predictions.


def labels(change: Callable[[pa.Table], pa.Table]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "task" / "val.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return damage


def column(name: str, values: Callable[[pa.Table], object]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, values(table))


def predictions(make: Callable[[np.ndarray], object], **options: object) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "model" / "select_predictions.npy"
        np.save(path, make(np.load(path)), **options)

    return damage


def header_of_npy(shape: str, dtype: str = "'<f8'") -> Damage:
    def damage(folder: Path) -> None:
        head = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}"
        head += " " * (-(len(head) + 11) % 64) + "\n"
        path = folder / "model" / "select_predictions.npy"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(64))

    return damage


SHARED: dict[str, Damage] = {
    **dict(of_json(KEYS)),
    "labels: text": labels(column("label", lambda t: pc.cast(t["label"], pa.string()))),
    "labels: nan": labels(column("label", lambda t: pa.array([float("nan")] * len(t)))),
    "labels: seven": labels(column("label", lambda t: pa.array([7.0] * len(t)))),
    "labels: a half": labels(column("label", lambda t: pa.array([0.5] * len(t)))),
    "labels: null": labels(column("label", lambda t: pa.nulls(len(t), pa.float64()))),
    "labels: none": labels(lambda t: t.slice(0, 0)),
    "labels: a cutoff of floats": labels(column("cutoff", lambda t: pc.cast(t["cutoff"], pa.float64(), safe=False))),
    "labels: a null cutoff": labels(column("cutoff", lambda t: pa.nulls(len(t), pa.int64()))),
    "labels: no key": labels(lambda t: t.drop_columns(["key_0"])),
    "labels: a further column": labels(lambda t: t.append_column("x", t["key_0"])),
    "labels: a column twice": labels(lambda t: t.append_column("label", t["label"])),
    "labels: cut": raw("task/val.parquet", None),
    "labels: another file": raw("task/val.parquet", b"PAR1" + bytes(100) + b"PAR1"),
    "labels: a huge footer": raw("task/val.parquet", b"PAR1" + bytes(10) + b"\xff\xff\xff\x7fPAR1"),
    "labels: missing": without("task/val.parquet"),
    "predictions: nan": predictions(lambda found: found * np.nan),
    "predictions: above one": predictions(lambda found: found + 2),
    "predictions: a cube": predictions(lambda found: found[None, None]),
    "predictions: a scalar": predictions(lambda found: found[0]),
    "predictions: of objects": predictions(lambda found: found.astype(object), allow_pickle=True),
    "predictions: single": predictions(lambda found: found.astype(np.float32)),
    "predictions: two classes": predictions(lambda found: np.stack([found, found], 1)),
    "predictions: a huge shape": header_of_npy("(1000000000000,)"),
    "predictions: an overflowing shape": header_of_npy("(4611686018427387904, 4)"),
    "predictions: a negative shape": header_of_npy("(-8,)"),
    "predictions: code for a shape": header_of_npy("__import__('os').getpid()"),
    "predictions: code for a type": header_of_npy("(8,)", "__import__('os')"),
    "predictions: records": header_of_npy("(8,)", "[('a', '<f8')]"),
    "predictions: cut": raw("model/select_predictions.npy", None),
    "predictions: missing": without("model/select_predictions.npy"),
    "a model of another family": put("model/candidate.json", ("family",), "constants"),
    "a decision about another model": put("result.json", ("decision", "candidate", "number"), 77),
    "negative nulls": put("fitted.json", ("snapshot", "orders", "nulls", "sku"), -1),
    "a snapshot key that is no column": put("fitted.json", ("snapshot", "orders", "shape", "primary_key"), ["nothing"]),
    "an unknown type": put("fitted.json", ("types", "orders", "total"), "colour"),
    "a type of an unknown column": put("fitted.json", ("types", "orders", "nothing"), "text"),
    "a schema without the columns": put("fitted.json", ("schema",), {"users": ["id"]}),
    "three classes": put("task/task.json", ("classes",), ["a", "b", "c"]),
    "one class twice": put("task/task.json", ("classes",), ["a", "a"]),
    "a split that there is not": put("task/task.json", ("starts",), {"train": 1, "val": 2, "dev": 3}),
    "a start in text": put("task/task.json", ("starts", "val"), "5"),
    "a start beyond 64 bits": put("task/task.json", ("starts", "val"), 2**64),
    "a key twice": put("task/task.json", ("key_columns",), ["id", "id"]),
}  # fmt: skip

# Trees.

TEXT = "model/trees_0.txt"


def lines(change: Callable[[str], str]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / TEXT
        text = change(path.read_text())
        # the sizes of the trees are kept right, so that LightGBM reads as far as the damage
        blocks = re.findall(r"Tree=.*?\n\n\n?(?=Tree=|end of trees)", text, re.DOTALL)
        text = re.sub(r"tree_sizes=.*", "tree_sizes=" + " ".join(str(len(block)) for block in blocks), text, count=1)
        path.write_text(text)

    return damage


def field(name: str, value: Callable[[list[str]], list[str]] | None) -> Damage:
    """Change the values of a field in its first line, or leave the line out."""

    def change(text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            return "" if value is None else f"{name}={' '.join(value(match[1].split()))}\n"

        return re.sub(rf"(?m)^{name}=(.*)\n", replaced, text, count=1)

    return lines(change)


FIELDS = ("num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
          "leaf_value", "leaf_weight", "leaf_count", "internal_value", "is_linear", "shrinkage", "num_class",
          "num_tree_per_iteration", "max_feature_idx", "objective", "feature_names", "feature_infos", "version")  # fmt: skip
INDICES = (
    "split_feature",
    "left_child",
    "right_child",
    "num_leaves",
    "num_cat",
    "max_feature_idx",
    "num_class",
    "decision_type",
)
CHANGES: dict[str, Callable[[list[str]], list[str]] | None] = {
    "is left out": None,
    "is empty": lambda values: [],
    "is short": lambda values: values[:-1],
    "is nan": lambda values: ["nan", *values[1:]],
    "is text": lambda values: ["x", *values[1:]],
}
TREES: dict[str, Damage] = {
    **dict(of_json(OWN_KEYS["trees"])),
    **{f"trees: {name} {how}": field(name, change) for name in FIELDS for how, change in CHANGES.items()},
    **{f"trees: {name} begins with {value}": field(name, lambda values, v=value: [v, *values[1:]])
       for name in INDICES for value in ("-1", "-99999", "99999", "2147483647", "4294967296")},
    "trees: a node that is its own child": field("left_child", lambda values: ["0", *values[1:]]),
    "trees: a leaf twice": field("right_child", lambda values: ["-1"] * len(values)),
    "trees: an infinite leaf": field("leaf_value", lambda values: ["inf", *values[1:]]),
    "trees: a leaf that overflows": field("leaf_value", lambda values: ["1e308", *values[1:]]),
    "trees: linear": field("is_linear", lambda values: ["1"]),
    "trees: sets of categories outside": field("num_cat", lambda values: ["3"]),
    "trees: other names of features": field("feature_names", lambda values: [f"x{n}" for n in range(len(values))]),
    "trees: a file name in the parameters": lines(
        lambda text: text.replace("[forcedsplits_filename: ]", "[forcedsplits_filename: x.json]")
    ),
    "trees: machines in the parameters": lines(lambda text: text.replace("[machines: ]", "[machines: example.org]")),
    "trees: a parameter of another type": lines(lambda text: re.sub(r"\[num_leaves: \d+\]", "[num_leaves: abc]", text)),
    "trees: no end": lines(lambda text: text[: text.index("end of trees")]),
    "trees: a mapping of pandas": lines(lambda text: text.replace("pandas_categorical:null", "pandas_categorical:[[1]]")),
    "trees: cut": raw(TEXT, None),
    "trees: empty": raw(TEXT, b""),
    "trees: missing": without(TEXT),
    "trees: other characters": lines(lambda text: text.replace("Tree=0", "Tr\u00e9e=0")),
    "trees: another objective": field("objective", lambda values: ["lambdarank"]),
    "trees: too many": put("model/trees.json", ("boosters",), 10**9),
    "trees: a constant that is nan": raw("model/trees.json", b'{"boosters": 1, "constant": NaN, "label": {}, "shift": []}'),
    "trees: a key twice": raw("model/trees.json", b'{"boosters": 1, "boosters": 1, "constant": 0.5}'),
    "trees: a plan of fewer features": lambda folder: rewrite(
        folder / "model" / "plan.json", lambda plan: {**plan, "features": plan["features"][:-1]}),
    "trees: an empty vocabulary": lambda folder: rewrite(folder / "model" / "vocabulary.json", lambda found: []),
    "trees: a word that is a number": put("model/vocabulary.json", (0, "words"), [1, 2]),
    "trees: words that are text": put("model/vocabulary.json", (0, "words"), "abc"),
    "trees: an unknown learner": put("model/candidate.json", ("config", "learner"), "os"),
}  # fmt: skip

# Networks.

WEIGHTS = "model/network.safetensors"


def tensors(change: Callable[[dict[str, object]], dict[str, object]], name: str = WEIGHTS) -> Damage:
    def damage(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        state = {key: value.clone() for key, value in load_file(folder / name).items()}
        save_file(change(state), folder / name)

    return damage


def first(change: Callable[[object], object]) -> Callable[[dict[str, object]], dict[str, object]]:
    """Change the largest tensor."""

    def changed(state):
        name = max(state, key=lambda each: state[each].numel())
        return {**state, name: change(state[name]).contiguous()}

    return changed


def safetensors_header(change: Callable[[dict[str, object]], object], size: int | None = None) -> Damage:
    def damage(folder: Path) -> None:
        data = (folder / WEIGHTS).read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        head = json.dumps(change(json.loads(data[8 : 8 + length]))).encode()
        head += b" " * (-len(head) % 8)
        (folder / WEIGHTS).write_bytes(
            struct.pack("<Q", len(head) if size is None else size) + head + data[8 + length :]
        )

    return damage


def offsets(first: int, last: int) -> Damage:
    def change(head):
        name = next(key for key in head if key != "__metadata__")
        return {**head, name: {**head[name], "data_offsets": [first, last]}}

    return safetensors_header(change)


def setting(name: str, value: object) -> tuple[str, Damage]:
    return f"network: {name}={value}", put("model/network.json", ("settings", name), value)


NETWORK: dict[str, Damage] = {
    **dict(of_json(OWN_KEYS["network"])),
    "network: nan": tensors(first(lambda tensor: tensor * float("nan"))),
    "network: infinite": tensors(first(lambda tensor: tensor + float("inf"))),
    "network: nan in a checkpoint": tensors(first(lambda tensor: tensor * float("nan")), "model/checkpoint-1.safetensors"),
    "network: another shape in a checkpoint": tensors(first(lambda tensor: tensor[:-1]), "model/checkpoint-1.safetensors"),
    "network: a missing checkpoint": without("model/checkpoint-1.safetensors"),
    "network: double": tensors(first(lambda tensor: tensor.double())),
    "network: half": tensors(first(lambda tensor: tensor.half())),
    "network: whole numbers": tensors(first(lambda tensor: tensor.int())),
    "network: transposed": tensors(first(lambda tensor: tensor[:, :-1])),
    "network: flat": tensors(first(lambda tensor: tensor.flatten())),
    "network: one tensor less": tensors(lambda state: dict(list(state.items())[1:])),
    "network: one tensor more": tensors(lambda state: {**state, "more": next(iter(state.values())).clone()}),
    "network: no tensor": tensors(lambda state: {}),
    "network: cut": raw(WEIGHTS, None),
    "network: empty": raw(WEIGHTS, b""),
    "network: a pickle": raw(WEIGHTS, b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."),
    "network: a huge header": safetensors_header(lambda head: head, 1 << 62),
    "network: a header that is a list": safetensors_header(lambda head: []),
    "network: offsets outside": offsets(0, 1 << 40),
    "network: offsets backwards": offsets(64, 0),
    "network: missing": without(WEIGHTS),
    **dict([
        setting("channels", 10**9), setting("channels", 0), setting("channels", "64"), setting("layers", 10**9),
        setting("members", 10**6), setting("encoder_blocks", 10**6), setting("fan_out", 10**12), setting("encoder", "os"),
        setting("convolution", None), setting("dropout", 2.0), setting("batch_size", 0), setting("nothing", 1),
        setting("window", -1), setting("aggregation", []), setting("channels", 32),
    ]),
    "network: a target of other outputs": put("model/network.json", ("target", "outputs"), 3),
    "network: a target of another kind": put("model/network.json", ("target", "kind"), "x"),
    "network: a prior in text": put("model/network.json", ("target", "prior"), ["0"]),
    "network: a scale of zero": put("model/network.json", ("target", "scale"), 0.0),
    "network: an edge of an unknown table": put("model/network.json", ("edge_types", 0), ["a", "b", "c"]),
    "network: an edge of two": put("model/network.json", ("edge_types", 0), ["orders", "users"]),
    "network: an edge in text": put("model/network.json", ("edge_types", 0), "abc"),
    "network: a clock outside": put("model/network.json", ("tables", "orders", "categories", 0, "clock"), 9),
    "network: a column that training did not see": put("model/network.json", ("tables", "orders", "numeric", 0, "name"), "ghost"),
    "network: a scale of a column of zero": put("model/network.json", ("tables", "orders", "numeric", 0, "scale"), 0.0),
    "network: a centre in text": put("model/network.json", ("tables", "orders", "numeric", 0, "center"), "1"),
    "network: categories that are numbers": put("model/network.json", ("tables", "orders", "categories", 0, "values"), [1, 2]),
    "network: more categories": put("model/network.json", ("tables", "orders", "categories", 0, "values"), ["a"] * 9),
    "network: a text column of no buckets": put("model/network.json", ("tables", "users", "texts"), [
        {"name": "city", "texts": 1, "counts": [], "characters": 9, "clock": -1, "names": False}]),
    "network: an entity that is no table": put("model/network.json", ("entity",), "nobody"),
    "network: a format in text": put("model/network.json", ("format",), "2"),
    "network: many checkpoints": put("model/network.json", ("checkpoints",), [{"step": 1, "score": 0.5}] * 2000),
}  # fmt: skip

# Places: what the manifest itself names. These are not sealed afterwards.


def listed(change: Callable[[dict[str, str]], object]) -> Damage:
    return lambda folder: rewrite(folder / "manifest.json", lambda found: {**found, "files": change(found["files"])})


def also(name: str) -> Damage:
    return listed(lambda files: {**files, name: "0" * 64})


def replaced_by(make: Callable[[Path], object], name: str = "result.json") -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return damage


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 << 30)


def linked_folder(folder: Path) -> None:
    (folder / "model").rename(folder.parent / f"{folder.name}-model")
    (folder / "model").symlink_to(folder.parent / f"{folder.name}-model")


def linked_file(path: Path) -> None:
    path.symlink_to("/etc/hostname")


PLACES: dict[str, Damage] = {
    **{f"a name: {name!r}": also(name) for name in (
        "../outside.json", "/etc/hostname", "model/../../x.json", "/dev/zero", "./result.json", "", ".", "a//b.json",
        "model\\x.json", "C:/x.json", "x\x00.json", "model", "task/", "~/x.json", "con.exe", "\u202ex.json")},
    "no files": listed(lambda files: {}),
    "a list of files": listed(list),
    "files in text": listed(lambda files: "result.json"),
    "a digest that is null": listed(lambda files: {**files, "result.json": None}),
    "a digest that is a list": listed(lambda files: {**files, "result.json": []}),
    "no task": listed(lambda files: {name: each for name, each in files.items() if not name.startswith("task")}),
    "no model": listed(lambda files: {name: each for name, each in files.items() if not name.startswith("model")}),
    "a file that is not listed": lambda folder: (folder / "model" / "more.json").write_text("{}"),
    "a folder that is not listed": lambda folder: (folder / "model" / "more").symlink_to("/etc"),
    "a pipe": replaced_by(os.mkfifo),
    "a pipe for a manifest": replaced_by(os.mkfifo, "manifest.json"),
    "a pipe for labels": replaced_by(os.mkfifo, "task/val.parquet"),
    "a device": replaced_by(lambda path: path.symlink_to("/dev/zero")),
    "a device for a manifest": replaced_by(lambda path: path.symlink_to("/dev/zero"), "manifest.json"),
    "a link": replaced_by(linked_file),
    "a link to a folder": linked_folder,
    "a folder for a file": replaced_by(Path.mkdir),
    "a folder for a manifest": replaced_by(Path.mkdir, "manifest.json"),
    "a sparse file": replaced_by(sparse),
    "a sparse manifest": replaced_by(sparse, "manifest.json"),
    "a sparse text": replaced_by(sparse, "model/candidate.json"),
    "a format that is true": lambda folder: rewrite(folder / "manifest.json", lambda found: {**found, "format": True}),
    "a format in text": lambda folder: rewrite(folder / "manifest.json", lambda found: {**found, "format": "2"}),
    "a manifest that is nested": raw("manifest.json", b"[" * 200_000),
    "a manifest that is null": raw("manifest.json", b"null"),
    "a manifest with a key twice": raw("manifest.json", b'{"format": 2, "files": {}, "files": {}}'),
}  # fmt: skip
