"""A fit or refit that was killed resumes from its stored state and ends with the same weights, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from relselect.rdl.training import trainer as training
from relselect.rdl.training.stepping import Stepper
from relselect.rdl.training.training_state import read_training_state, write_training_state
from relselect.tensor_files import read_metadata, save_state
from tests.rdl.training.killed import CONFIG, REFIT, refit, study

#: Steps of the training that is validated.
TRAINED = CONFIG["epochs"] * CONFIG["steps_per_epoch"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return study(tmp_path_factory.mktemp("whole")).best


def kill_at(folder: Path, step: int) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", "tests.rdl.training.killed", str(folder), str(step)]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()


def interrupt_at(folder: Path, step: int, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "SAVE_SECONDS", 0.0)
        patch.setattr(Stepper, "step", stopping_after(step, Stepper.step))
        assert study(folder).interrupted


def stopping_after(last: int, step):
    taken = iter(range(last))

    def counted(self, batch):
        if next(taken, None) is None:
            raise KeyboardInterrupt
        return step(self, batch)

    return counted


def same(one, other) -> None:
    assert np.array_equal(one.predictions, other.predictions)
    assert [(each.step, each.score) for each in one.checkpoints] == [
        (each.step, each.score) for each in other.checkpoints
    ]
    for mine, theirs in zip(one.checkpoints, other.checkpoints, strict=True):
        assert all(torch.equal(tensor, theirs.state[name]) for name, tensor in mine.state.items())
    for mine, theirs in zip(*(each.model.network.state_dict().values() for each in (one, other)), strict=True):
        assert torch.equal(mine, theirs)
    curves = [[(point.step, point.loss, point.score) for point in each.curve.points] for each in (one, other)]
    assert curves[0] == curves[1]


def test_a_killed_training_goes_on_to_the_last_bit(whole, tmp_path):
    assert len(whole.curve.points) == CONFIG["epochs"]
    kill_at(tmp_path, 9)  # within an epoch
    goes_on(whole, tmp_path, 9)


def test_a_killed_refit_goes_on_to_the_last_bit(whole, tmp_path, monkeypatch):
    kill_at(tmp_path, TRAINED + 3)
    assert [path.name for path in (tmp_path / REFIT).iterdir()] == ["refit.safetensors"]
    found = study(tmp_path).best
    same(found, whole)
    steps = []
    step = Stepper.step
    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", lambda self, batch: steps.append(self.steps) or step(self, batch))
        resumed = refit(found, tmp_path / REFIT)
    assert steps[0] == 3
    wanted = refit(whole, tmp_path / "another")
    for mine, theirs in zip(*(each.model.network.state_dict().values() for each in (resumed, wanted)), strict=True):
        assert torch.equal(mine, theirs)


def test_an_interrupted_training_goes_on_from_the_end_of_an_epoch(whole, tmp_path, monkeypatch):
    interrupt_at(tmp_path, TRAINED - 6, monkeypatch)
    goes_on(whole, tmp_path, TRAINED - 6)


def goes_on(whole, tmp_path, step) -> None:
    state = tmp_path / "trials" / "0.unfinished" / "training.safetensors"
    assert state.exists()
    resumed = study(tmp_path).best
    assert f"from step {step}" in resumed.notes[0]
    same(resumed, whole)
    assert not state.parent.exists()


def test_a_state_of_another_training_or_a_damaged_one_is_not_taken_up(whole, tmp_path, monkeypatch):
    interrupt_at(tmp_path, 9, monkeypatch)
    state = tmp_path / "trials" / "0.unfinished" / "training.safetensors"
    held = state.read_bytes()
    assert read_training_state(state, "another") is None
    state.write_bytes(held[: len(held) // 2])
    resumed = study(tmp_path).best
    assert resumed.notes == whole.notes
    same(resumed, whole)


def test_a_stored_state_holds_what_was_written(tmp_path):
    path, tensors = tmp_path / "a" / "b.safetensors", {"x.y": torch.arange(3), "x.z": torch.tensor(float("nan"))}
    facts = {"score": float("-inf"), "curve": [{"loss": 0.1}], "position": 2**40}
    write_training_state(path, "me", facts, tensors)
    found = read_training_state(path, "me")
    assert found is not None
    assert found.facts == {**facts, "score": None}  # JSON has no number for it
    assert torch.equal(found.under("x")["y"], tensors["x.y"])
    assert found.under("x")["z"].isnan()
    assert [each.name for each in path.parent.iterdir()] == ["b.safetensors"]


def test_a_state_is_standard_json_and_scores_that_are_undefined_are_read_from_either_form(tmp_path, monkeypatch):
    monkeypatch.setattr(training.Trainer, "_score", lambda self, predictions: float("nan"))
    interrupt_at(tmp_path, CONFIG["steps_per_epoch"] + 1, monkeypatch)
    (path,) = tmp_path.rglob("*.safetensors")
    header = read_metadata(path)
    facts = json.loads(header["facts"], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [facts["curve"][0]["score"], facts["checkpoints"][0][1]] == [None, None]
    stored = read_training_state(path, header["identity"])
    earlier = header["facts"].replace("null", "NaN")
    save_state(stored.tensors, path, metadata={**header, "facts": earlier})
    assert read_training_state(path, header["identity"]).facts == facts
    found = study(tmp_path).best
    assert len(found.curve.points) == CONFIG["epochs"]
    assert all(np.isnan(point.score) for point in found.curve.points)
    assert all(np.isnan(each.score) for each in found.checkpoints)
