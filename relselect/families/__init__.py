"""Families of models: the protocol that each follows, what a fit returns, and the registry of them all."""

from relselect.families.candidate import (
    Candidate,
    Checkpoint,
    Config,
    CurvePoint,
    FeatureImportance,
    FitEnd,
    Importances,
    LearningCurve,
)
from relselect.families.info import FamilyInfo
from relselect.families.protocol import Family, Portfolio, Probe, ReadsSome, RowSource
from relselect.families.registry import family_infos, family_of, info_of, register, registered, unregister

__all__ = [
    "Candidate",
    "Checkpoint",
    "Config",
    "CurvePoint",
    "Family",
    "FamilyInfo",
    "FeatureImportance",
    "FitEnd",
    "Importances",
    "LearningCurve",
    "Portfolio",
    "Probe",
    "ReadsSome",
    "RowSource",
    "family_infos",
    "family_of",
    "info_of",
    "register",
    "registered",
    "unregister",
]
