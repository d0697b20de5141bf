"""The registry of families: the one place that says which there are.

Another family is made known by `register(FamilyInfo(...))`; nothing else has to be changed for it to be trained, reported,
saved and loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from relselect.errors import ConfigError
from relselect.families.info import FamilyInfo

if TYPE_CHECKING:
    from relselect.families.protocol import Family

__all__ = [
    "baselines",
    "combination",
    "family_infos",
    "family_of",
    "info_of",
    "register",
    "registered",
    "trained",
    "trained_names",
    "unregister",
]


def _from(module: str, name: str) -> Callable[[], Family]:
    """Return what makes a family of this package; its module is imported when the family is made."""

    def make() -> Family:
        family: Family = getattr(importlib.import_module(module), name)()
        return family

    return make


_FAMILIES: dict[str, FamilyInfo] = {
    info.name: info
    for info in (
        FamilyInfo(
            name="constants",
            title="constant baseline",
            phrase="the constant baseline",
            short="constant",
            colours=("#747b86", "#98a0ab"),
            make=_from("relselect.families.constants", "Constants"),
            description="Always gives the same answer, for everyone or per entity. A model that does not beat it has learnt "
            "nothing.",
            baseline=True,
        ),
        FamilyInfo(
            name="dfs",
            title="feature synthesis",
            phrase="feature synthesis",
            short="DFS",
            colours=("#0a7468", "#45cdb9"),
            make=_from("relselect.dfs", "DFS"),
            description="Summarises the related rows of each entity into columns (counts, means, times since) and trains a "
            "tabular model on them.",
        ),
        FamilyInfo(
            name="rdl",
            title="graph neural network",
            phrase="a graph neural network",
            short="RDL",
            colours=("#3a56c5", "#8ea4ff"),
            make=_from("relselect.rdl", "RDL"),
            description="Takes rows as nodes and foreign keys as edges and learns what to read from the neighbourhood of each "
            "entity, without hand-made columns.",
            seeds=3,
        ),
        FamilyInfo(
            name="hybrid",
            title="network with features",
            phrase="a graph network with features",
            short="hybrid",
            colours=("#a8550b", "#f0a35e"),
            make=_from("relselect.hybrid", "Hybrid"),
            description="A graph neural network that also reads, at its head, the features which trees gain most by.",
            optional=True,
            seeds=3,
        ),
        FamilyInfo(
            name="foundation",
            title="pretrained network",
            phrase="a pretrained network",
            short="pretrained",
            colours=("#a3304f", "#f08aa5"),
            make=_from("relselect.foundation", "Foundation"),
            description="Reads each entity by a graph network that was pretrained on other databases, and solves a linear "
            "head on the labels.",
            optional=True,
        ),
        FamilyInfo(
            name="blended",
            title="blend of families",
            phrase="a blend of families",
            short="blend",
            colours=("#8a4b9e", "#d7a3e6"),
            make=_from("relselect.blend", "Blend"),
            description="Averages the predictions of the best models of several families, by how probable it is that each is "
            "the better one.",
            combines=True,
        ),
    )
}


def register(info: FamilyInfo) -> None:
    """Make a family known.

    Args:
        info: Its description.

    Raises:
        ConfigError: A family of that name is known already, or the name cannot stand in a file name or an option.
    """
    if info.name in _FAMILIES:
        raise ConfigError("family", info.name, "is registered already", "Give it another name, or unregister the first")
    if not info.name.isidentifier() or info.name == "both":
        raise ConfigError("family", info.name, "must be a word of letters, digits and underscores", "Rename the family")
    _FAMILIES[info.name] = info


def unregister(name: str) -> None:
    """Forget a family.

    Raises:
        ConfigError: There is no family of that name.
    """
    info_of(name)
    del _FAMILIES[name]


@contextmanager
def registered(info: FamilyInfo) -> Iterator[FamilyInfo]:
    """Make a family known within a `with` block."""
    register(info)
    try:
        yield info
    finally:
        unregister(info.name)


def family_infos() -> tuple[FamilyInfo, ...]:
    """Return the descriptions of all families, in the order of their registration."""
    return tuple(_FAMILIES.values())


def info_of(name: str) -> FamilyInfo:
    """Return the description of a family.

    Raises:
        ConfigError: There is no family of that name.
    """
    if name not in _FAMILIES:
        fix = f"Use one of: {', '.join(_FAMILIES)}. A family of another package is registered before it is used"
        raise ConfigError("family", name, "is not registered", fix)
    return _FAMILIES[name]


def family_of(name: str) -> Family:
    """Return a family.

    Raises:
        ConfigError: There is no family of that name.
    """
    return info_of(name).make()


def trained() -> tuple[str, ...]:
    """Return the names of the families that are tuned without being named, in the order in which they are."""
    return tuple(name for name in _tuned() if not _FAMILIES[name].optional)


def _tuned() -> tuple[str, ...]:
    """Return the names of all families that can be tuned."""
    return tuple(info.name for info in _FAMILIES.values() if not info.baseline and not info.combines)


def baselines() -> tuple[str, ...]:
    """Return the names of the baselines, which are fitted in every run."""
    return tuple(info.name for info in _FAMILIES.values() if info.baseline)


def combination() -> str:
    """Return the name of the family that averages candidates of others.

    Raises:
        ConfigError: It was unregistered.
    """
    for info in _FAMILIES.values():
        if info.combines:
            return info.name
    raise ConfigError("family", "a blend", "is not registered", "Register a family that combines others")


def trained_names(names: object) -> tuple[str, ...]:
    """Return the names of families to train, checked, in the order of their registration.

    Args:
        names: A text with commas, or a list, tuple or set of names; "all" for those of `trained`. Optional families are
            trained only if they are named here.

    Raises:
        ConfigError: A name is unknown or that of a baseline, or none is given.
    """
    listed = (
        names.split(",") if isinstance(names, str) else list(names) if isinstance(names, list | tuple | set) else []
    )
    wanted = [str(name).strip() for name in listed]
    if wanted == ["all"]:
        return trained()
    known = _tuned()
    if not wanted or any(name not in known for name in wanted):
        example = "families=(" + ", ".join(repr(name) for name in known[:2]) + ")"
        raise ConfigError("families", names, f"must name some of {', '.join(known)}", f"Write e.g. {example}")
    return tuple(name for name in known if name in wanted)
