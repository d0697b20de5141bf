"""Answers a new task in seconds: the vectors of a pretrained network stay as they are, and a linear head is solved on labels.

Foundation models that others publish enter by `relselect.foundation.published`.
"""

from __future__ import annotations

from relselect.foundation.family import Foundation
from relselect.foundation.published import PublishedModel, PublishedQuestion

__all__ = ["Foundation", "PublishedModel", "PublishedQuestion"]
