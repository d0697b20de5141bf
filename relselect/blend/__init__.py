"""The weighted average of candidates of several families, as a predictor of its own."""

from relselect.blend.family import Blend
from relselect.blend.model import BlendModel, blend_candidates, blend_predictions

__all__ = ["Blend", "BlendModel", "blend_candidates", "blend_predictions"]
