"""The size rule: which of two families the number of training rows favours. It stands in until a bank teaches a selector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import yaml

from relselect.configs import config_path
from relselect.selector.recommendation import Margin

__all__ = ["SizeRule"]


@dataclass(frozen=True)
class SizeRule:
    """margin(n) = largest * tanh((log10 n - log10 crossover) / width), give or take half_interval.

    Source and fit stand in `configs/selector/size_rule.yaml`, from which the shipped rule is read.

    Attributes:
        many_rows_favour: The family with a positive margin above the crossover.
        few_rows_favour: The family with a positive margin below it.
        crossover: Training rows at which neither is favoured.
        largest: The margin at very many rows.
        width: Width of the crossover in decades.
        half_interval: Half the width of the interval.

    Example:
        >>> rule = SizeRule.shipped()
        >>> rule.margins(rule.crossover)[rule.many_rows_favour].value
        0.0
    """

    many_rows_favour: str
    few_rows_favour: str
    crossover: float
    largest: float
    width: float
    half_interval: float

    @classmethod
    @cache
    def shipped(cls) -> SizeRule:
        """Return the rule that is shipped."""
        return cls(**yaml.safe_load(config_path("selector", "size_rule.yaml").read_text(encoding="utf-8")))

    @property
    def taught_by(self) -> str:
        """What the rule was learnt from."""
        return (
            "the size rule (a smooth threshold at about "
            f"{self.crossover:,.0f} training rows, from 24 published tasks of 9 databases); no performance bank taught it"
        )

    def margins(self, train_rows: float) -> Mapping[str, Margin]:
        """Return the expected relative margin of each of the two families over the other.

        Args:
            train_rows: Labelled training rows, at least one.
        """
        rows = math.log10(max(train_rows, 1)) - math.log10(self.crossover)
        middle, half = self.largest * math.tanh(rows / self.width), self.half_interval
        return {
            self.many_rows_favour: Margin(middle, middle - half, middle + half),
            self.few_rows_favour: Margin(-middle, -middle - half, -middle + half),
        }
