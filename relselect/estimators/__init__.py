"""scikit-learn's manners: predictors and features as estimators, and a splitter that keeps time in order."""

from relselect.estimators.predictors import RelSelectClassifier, RelSelectRegressor
from relselect.estimators.splitting import CutoffSplit
from relselect.estimators.synthesis import RelSelectFeatures

__all__ = ["CutoffSplit", "RelSelectClassifier", "RelSelectFeatures", "RelSelectRegressor"]
