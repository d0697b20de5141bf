"""The card of pretrained weights: what they were learnt from, under which licences and versions, and what loss they reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.configs import declared_licence
from relselect.files import write_text
from relselect.hashing import sha256_of_file
from relselect.language import sentence_encoder
from relselect.packages import package_versions
from relselect.serialization import number_of

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.pretraining.corpus import PretrainingSource
    from relselect.pretraining.plan import PretrainingPlan

__all__ = ["model_card", "write_card"]

_PACKAGES = ("relselect", "torch", "transformers", "numpy", "pyarrow")


def model_card(
    plan: PretrainingPlan,
    databases: Mapping[str, tuple[Database, PretrainingSource]],
    curve: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the card as JSON-able data.

    Args:
        plan: What was asked for.
        databases: Per place in the plan, the database and what was read of it.
        curve: Loss by epoch.
    """
    encoder = sentence_encoder(plan.language)
    return {
        "name": plan.name,
        "language": {"name": encoder.folder.parent.name, "identity": encoder.identity, "width": encoder.width},
        "plan": plan.model_dump(),
        "data": [_data(place, *databases[place], place in plan.held_out) for place in databases],
        "curve": [dict(each) for each in curve],
        "versions": package_versions(_PACKAGES),
    }


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
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items() if version)
    lines = [
        f"# {card['name']}",
        "",
        f"Shared layers of a graph network over language rows, SHA-256 `{sha256_of_file(weights)}`. They read vectors of the",
        f"language model {card['language']['name']} (`{card['language']['identity']}`, width {card['language']['width']}).",
        f"Made with {versions}.",
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
