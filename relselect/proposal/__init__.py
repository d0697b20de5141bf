"""What a schema does not say: keys, references, times and masks proposed from names and values, with reasons."""

from relselect.proposal.facts import Facts, facts_of
from relselect.proposal.finding import Finding
from relselect.proposal.proposal import Proposal, propose
from relselect.proposal.reading import Origin, read_facts

__all__ = ["Facts", "Finding", "Origin", "Proposal", "facts_of", "propose", "read_facts"]
