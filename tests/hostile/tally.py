"""How many hostile inputs of each kind the tests try; every case is a test, or a part of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.hostile import test_borders, test_bundles, test_manifests, test_queries, test_sources
from tests.leaks import test_overwritten

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        title: Its name in the table of docs/security.md.
        least: The least number of cases.
        cases: Test (file::function) -> the number of its cases.
    """

    title: str
    least: int
    cases: Mapping[str, int]

    @property
    def tried(self) -> int:
        """The number of cases."""
        return sum(self.cases.values())


_PLACES_OF_VALUES = 3  # label, feature and completion target

KINDS = (
    Kind(
        "damaged or forged bundles, sealed again",
        200,
        {
            "tests/hostile/test_bundles.py::test_a_damaged_bundle_is_refused": len(test_bundles.CASES),
            "tests/hostile/test_bundles.py::test_a_manifest_names_regular_files_inside_the_folder": len(
                test_bundles.PLACES
            ),
        },
    ),
    Kind(
        "manifests",
        60,
        {
            "tests/hostile/test_manifests.py::test_a_hostile_manifest_is_an_error_of_the_caller": len(
                test_manifests.TEXTS
            )
        },
    ),
    Kind(
        "queries and predicates",
        60,
        {
            "tests/hostile/test_queries.py::test_other_statements_and_relations_are_refused": len(test_queries.REFUSED),
            "tests/hostile/test_queries.py::test_answers_come_from_visible_rows": len(test_queries.ANSWERED),
            "tests/hostile/test_queries.py::test_endless_queries_end": len(test_queries.BOMBS),
            "tests/hostile/test_queries.py::test_greedy_queries_are_refused_before_they_fill_the_machine": len(
                test_queries.GREEDY
            ),
            "tests/hostile/test_sources.py::test_a_query_that_does_not_end_is_left_alone": sum(
                map(len, test_sources.BOMBS.values())
            ),
            "tests/hostile/test_sources.py::test_a_predicate_on_files_ends_in_time_and_memory": len(
                test_sources.PREDICATES
            ),
            "tests/hostile/test_sources.py::test_a_predicate_is_one_predicate": 2 * len(test_sources.ESCAPES),
        },
    ),
    Kind(
        "data at the border",
        40,
        {
            "tests/hostile/test_borders.py::test_equal_ids_find_their_parents": len(test_borders.SAME_IDS),
            "tests/hostile/test_borders.py::test_ids_that_were_rounded_are_refused": len(test_borders.ROUNDED),
            "tests/hostile/test_borders.py::test_what_is_no_value_is_refused_as_label_feature_and_completion_target": (
                _PLACES_OF_VALUES * len(test_borders.NO_LABELS)
            ),
            "tests/hostile/test_borders.py::"
            "test_a_table_column_of_no_values_is_passed_over_or_refused_with_the_column": len(test_borders.NO_LABELS),
            "tests/hostile/test_borders.py::test_an_infinite_time_is_missing": 2 * len(test_borders.FOREVER),
        },
    ),
    Kind(
        "columns overwritten in place",
        12,
        {"tests/leaks/test_overwritten.py::test_overwritten_columns_are_found": len(test_overwritten.PLANTED)},
    ),
)
