"""The card of pretrained weights: what they were learnt from, under which licences and versions, and what loss they reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.configs import declared_licence
from relselect.files import write_text
from relselect.hashing import sha256_of_file
from relselect.language import SentenceEncoder, sentence_encoder
from relselect.packages import package_versions
from relselect.serialization import number_of

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.pretraining.corpus import ChosenRows, PretrainingSource
    from relselect.pretraining.plan import PretrainingPlan

__all__ = ["language_card", "model_card", "write_card", "write_language_card"]

_PACKAGES = ("relselect", "torch", "transformers", "numpy", "pyarrow")


def model_card(
    plan: PretrainingPlan,
    databases: Mapping[str, tuple[Database, PretrainingSource]],
    curve: Sequence[Mapping[str, Any]],
    masked: Path | None = None,
) -> dict[str, Any]:
    """Return the card as JSON-able data.

    Args:
        plan: What was asked for.
        databases: Per place in the plan, the database and what was read of it.
        curve: Loss by epoch.
        masked: The folder of the language model that was trained further first; None where it was not.
    """
    encoder = sentence_encoder(plan.language if masked is None else str(masked))
    language = {"name": encoder.folder.parent.name, "identity": encoder.identity, "width": encoder.width}
    if masked is not None:
        base = sentence_encoder(plan.language)
        language |= {"name": _named(base), "folder": masked.name, "base": base.identity}
    return {
        "name": plan.name,
        "language": language,
        "plan": plan.stated(),
        "data": [_data(place, *databases[place], place in plan.held_out) for place in databases],
        "curve": [dict(each) for each in curve],
        "versions": package_versions(_PACKAGES),
    }


def language_card(
    plan: PretrainingPlan,
    chosen: Mapping[str, ChosenRows],
    base: SentenceEncoder,
    curve: Sequence[Mapping[str, Any]],
    identity: str,
) -> dict[str, Any]:
    """Return the card of a language model that was trained further, as JSON-able data; equal trainings have equal cards.

    Args:
        plan: What was asked for.
        chosen: Per place in the plan, the rows that were read.
        base: The model before.
        curve: Loss by epoch.
        identity: Hash of all that the training depends on.
    """
    return {
        "name": plan.name,
        "identity": identity,
        "base": {"name": _named(base), "identity": base.identity, "licence": _licence_of(base.folder)},
        "plan": plan.stated(),
        "data": [
            {
                "database": each.database.name,
                "held_out": place in plan.held_out,
                "licence": declared_licence(place),
                "fingerprint": each.database.fingerprint,
                "rows": each.count,
            }
            for place, each in chosen.items()
        ],
        "curve": [{name: value for name, value in each.items() if name != "seconds"} for each in curve],
        "versions": package_versions((*_PACKAGES, "tokenizers")),
    }


def _named(encoder: SentenceEncoder) -> str:
    """Return the name of a language model: that of its package, or of its folder."""
    folder = encoder.folder
    return folder.parent.name if folder.name == "model" else folder.name


def _licence_of(folder: Path) -> str:
    """Return the licence that the page beside a language model states; empty where it states none."""
    try:
        lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line.partition(":")[2].strip() for line in lines[:60] if line.startswith("license:")), "")


def write_language_card(card: Mapping[str, Any], weights: Path) -> Path:
    """Write the card of a language model that was trained further beside its weights, and return the file."""
    base, plan = card["base"], card["plan"]["masking"]
    trained = {-1: "the whole model", 0: "a head alone"}.get(plan["layers"], f"the last {plan['layers']} layers")
    lines = [
        f"# {card['name']}: language model",
        "",
        f"The encoder {base['name']} (`{base['identity']}`, licence: {base['licence'] or 'not stated'}), trained further on",
        f"rows of databases: {trained}, by restoring {plan['mask']:.0%} of the tokens of values.",
        f"Made with {_made_with(card)}.",
        "",
        "| database | licence | rows read | part |",
        "|---|---|---:|---|",
    ]
    lines += [
        f"| {each['database']} | {each['licence'] or 'not stated'} | {each['rows']:,} "
        f"| {'held out' if each['held_out'] else 'learnt from'} |"
        for each in card["data"]
    ]
    names = list(card["curve"][-1]["held_out"])
    lines += [
        "",
        "Loss per masked token, in nats:",
        "",
        f"| epoch | training |{''.join(f' {name} |' for name in names)}",
    ]
    lines.append(f"|---:|---:|{'---:|' * len(names)}")
    for each in card["curve"]:
        held_out = "".join(f" {number_of(each['held_out'][name]):.3f} |" for name in names)
        lines.append(f"| {each['epoch']} | {number_of(each['loss']):.3f} |{held_out}")
    return write_text(weights.with_name("README.md"), "\n".join(lines) + "\n")


def _made_with(card: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in card["versions"].items() if version)


def _data(place: str, database: Database, source: PretrainingSource, held_out: bool) -> dict[str, Any]:
    return {
        "database": database.name,
        "held_out": held_out,
        "licence": declared_licence(place),
        "fingerprint": database.fingerprint,
        "rows": source.rows_read,
        "seeds": sum(len(each) for each in source.seeds.values()),
    }


def write_card(card: Mapping[str, Any], weights: Path) -> Path:
    """Write the card beside the weights as Markdown for readers, and return the file; programs read the header of the weights."""
    lines = [
        f"# {card['name']}",
        "",
        f"Shared layers of a graph network over language rows, SHA-256 `{sha256_of_file(weights)}`. They read vectors of the",
        f"language model {card['language']['name']} (`{card['language']['identity']}`, width {card['language']['width']}).",
        f"Made with {_made_with(card)}.",
        "",
        "| database | licence | rows read | seed nodes | part |",
        "|---|---|---:|---:|---|",
    ]
    lines += [
        f"| {each['database']} | {each['licence'] or 'not stated'} | {each['rows']:,} | {each['seeds']:,} "
        f"| {'held out' if each['held_out'] else 'learnt from'} |"
        for each in card["data"]
    ]
    last = card["curve"][-1]
    lines += ["", f"Loss after {last['epoch']} epochs: {number_of(last['loss']):.4f} in training"]
    lines[-1] += "".join(f", {number_of(value):.4f} on {name}" for name, value in last["held_out"].items()) + "."
    return write_text(weights.with_name("README.md"), "\n".join(lines) + "\n")
