"""Proposes what a schema does not declare: keys, foreign keys, times and masks, each line with its reason.

A proposal declares nothing until it is written as a manifest or turned into a database.
"""

from relselect.proposal.facts import Facts, facts_of
from relselect.proposal.proposal import Proposal, propose
from relselect.proposal.proposed_line import ProposedLine
from relselect.proposal.reading import Origin, read_facts

__all__ = ["Facts", "Origin", "Proposal", "ProposedLine", "facts_of", "propose", "read_facts"]
