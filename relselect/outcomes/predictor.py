"""What a predictor says of whoever is asked about now; `relselect.fitted.Fitted` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relselect.counts import check_count
from relselect.database.clock import moment_of
from relselect.families.predictor import TrainedPredictor
from relselect.outcomes.newest import newest_asked
from relselect.outcomes.outlook import newest_places, outlook_of

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.outcomes.outlook import Outlook
    from relselect.tasks.splits import Split

__all__ = ["LooksAhead"]


class LooksAhead(TrainedPredictor):
    """A predictor that says who is asked about at a date, and what is expected of them."""

    def outlook(self, database: Database | None = None, *, at: object = None, most: int = 20) -> Outlook:
        """Return who is asked about at a date and what is expected of them, those first whose answer is most probably
        the rarer one, or whose amount is the highest.

        The population query is asked at the date, and what it finds is predicted by the deployed state. Without such a query, or
        for a static task, the newest rows of the task's last split stand in, and the outlook's `source` says so.

        Args:
            database: The database to read; the one trained on if None.
            at: The date, "now" or "today"; the time of the database's last row if None.
            most: Entities that are listed at most; `predict(at=...)` returns all.

        Returns:
            The outlook; `relselect.outcomes.outlook.Outlook`.

        Raises:
            TaskError: A date is given and the task has no population query, or the query fails or finds nobody.
            ConfigError: `most` is no whole number from 1.
        """
        most, problem = check_count("most", most), self.problem(database)
        when = None if at is None else moment_of(at, problem.database.time_kind)
        asked = newest_asked(problem) if when is None else problem.at(when)
        if asked is not None:
            rows, keys = asked
            predicted = self.family.predict(self.state_for(None), problem, rows.unlabelled())
            return outlook_of(self.task, "population", rows, keys, predicted, most=most)
        split: Split = "test" if self.task.has_test else "val"
        rows, keys = problem.rows(split), self.task.splits[split].keys
        places = newest_places(rows)
        rows, keys = rows.take(places), keys.take(places)
        predicted = self.family.predict(self.state_for(split), problem, rows.unlabelled())
        return outlook_of(self.task, "evaluated", rows, keys, predicted, most=most)
