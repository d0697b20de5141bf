"""The families by name. The one place that knows which there are; a fourth is added here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.families.protocol import Family

__all__ = ["TRAINED", "family_of", "trained_names"]

#: Families that are tuned, in the order in which they are; the constants always run first.
TRAINED = ("dfs", "rdl")


def family_of(name: str) -> Family:
    """Return a family.

    Raises:
        ConfigError: There is no family of that name.
    """
    if name == "dfs":
        from relselect.dfs import DFS

        return DFS()
    if name == "rdl":
        from relselect.rdl import RDL

        return RDL()
    if name == "constants":
        from relselect.families.constants import Constants

        return Constants()
    raise ConfigError("family", name, "is no family", f"Use one of: {', '.join(TRAINED)}")


def trained_names(names: object) -> tuple[str, ...]:
    """Return the names of families to train, checked, in the order of `TRAINED`.

    Raises:
        ConfigError: A name is unknown, or none is given.
    """
    listed = (
        names.split(",") if isinstance(names, str) else list(names) if isinstance(names, list | tuple | set) else []
    )
    wanted = [str(name).strip() for name in listed]
    unknown = [name for name in wanted if name not in TRAINED]
    if unknown or not wanted:
        raise ConfigError(
            "families", names, f"must name some of {', '.join(TRAINED)}", "Write e.g. families=('dfs', 'rdl')"
        )
    return tuple(name for name in TRAINED if name in wanted)
