"""What a schema does not say: keys, references, times and masks proposed from names and values, with reasons."""

from relselect.database.proposal.facts import Facts, facts_of
from relselect.database.proposal.finding import Finding
from relselect.database.proposal.proposal import Proposal, propose

__all__ = ["Facts", "Finding", "Proposal", "facts_of", "propose"]
