"""The performance bank: tasks with their profiles, and trials with their scores, seconds and predictions."""

from __future__ import annotations

from relselect.bank.arrays import LabelledPart
from relselect.bank.bank import PerformanceBank
from relselect.bank.build import BankBuild, build_bank
from relselect.bank.folder import BankFolder
from relselect.bank.manifest import BankManifest, BankSource, read_bank_manifest
from relselect.bank.rows import BankTask, BankTrial
from relselect.events import BankProgress

__all__ = [
    "BankBuild",
    "BankFolder",
    "BankManifest",
    "BankProgress",
    "BankSource",
    "BankTask",
    "BankTrial",
    "LabelledPart",
    "PerformanceBank",
    "build_bank",
    "read_bank_manifest",
]
