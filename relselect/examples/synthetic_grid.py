"""The shipped grid of synthetic databases as a generator for performance banks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from relselect.errors import ConfigError
from relselect.examples.example import Example
from relselect.examples.synthetic_database import synthetic_database
from relselect.examples.synthetic_spec import SyntheticSpec, synthetic_specs

__all__ = ["SyntheticGrid"]


class SyntheticGrid:
    """Makes the synthetic databases of `synthetic_specs` by name; follows `relselect.bank.sources.DatabaseGenerator`.

    >>> "xor-2" in SyntheticGrid().names()
    True
    """

    def names(self) -> list[str]:
        """Return the names of the specifications."""
        return list(synthetic_specs())

    def facts(self, name: str, *, seed: int = 0) -> Mapping[str, Any]:
        """Return the fields of a specification, and the seed."""
        return {**asdict(_spec(name)), "seed": seed}

    def make(self, name: str, *, seed: int = 0) -> Example:
        """Return the database of a specification.

        Raises:
            ConfigError: There is no specification of that name.
        """
        return synthetic_database(_spec(name), seed)


def _spec(name: str) -> SyntheticSpec:
    specs = synthetic_specs()
    if name not in specs:
        raise ConfigError("database", name, "is no synthetic database", f"Use one of: {', '.join(specs)}")
    return specs[name]
