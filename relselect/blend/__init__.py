"""The weighted average of candidates: of several families, or of several seeds of one configuration."""

from relselect.blend.family import Blend
from relselect.blend.model import AVERAGED, BlendModel, average_seeds, blend_candidates, blend_predictions
from relselect.blend.seeds import SeedAverage, predictor_family

__all__ = [
    "AVERAGED",
    "Blend",
    "BlendModel",
    "SeedAverage",
    "average_seeds",
    "blend_candidates",
    "blend_predictions",
    "predictor_family",
]
