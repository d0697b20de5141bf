from __future__ import annotations

import math

import pytest

from relselect.bank.relarena import import_relarena
from relselect.errors import BankError

HEAD = (
    "model,dataset,task,task_type,seed,n_trials,metric,device,selected,config,config_id,config_tag,val_score,test_score,"
    "fit_time_tuning,predict_time_tuning,fit_time_refit,predict_time_refit,error"
)
LINES = """
constant-global,rel-f1,driver-dnf,BINARY_CLASSIFICATION,0,0,roc_auc,cpu,True,{},b1,default,0.5,0.5,0.1,0.1,0.1,0.1,
graphsage,rel-f1,driver-dnf,BINARY_CLASSIFICATION,0,5,roc_auc,gpu,True,"{""channels"": 64}",b2,r3,0.7,0.72,30.5,1.0,31.0,2.5,
rdblearn,rel-f1,driver-position,REGRESSION,0,5,mae,gpu,True,"{""max_depth"": 2}",b3,default,3.1,4.2,12.0,1.0,,,
rt-plurel,rel-f1,driver-position,REGRESSION,0,0,mae,gpu,True,{},b4,default,14.0,4.0,,,,,
""".strip()


def test_scores_are_higher_is_better_and_families_are_ours(tmp_path):
    place = tmp_path / "results.csv"
    place.write_text(f"{HEAD}\n{LINES}\n")
    bank = import_relarena(place, "them")
    assert [(task.title, task.kind, task.metric) for task in sorted(bank.tasks, key=lambda t: t.name)] == [
        ("rel-f1/driver-dnf", "binary", "roc_auc"),
        ("rel-f1/driver-position", "regression", "neg_mean_absolute_error"),
    ]
    found = {trial.config["model"]: trial for trial in bank.trials}
    assert (found["graphsage"].family, found["graphsage"].learner, found["graphsage"].number) == ("rdl", "sage", 3)
    assert found["graphsage"].seconds == 30.5
    assert (found["rdblearn"].select_score, found["rdblearn"].test_score) == (-3.1, -4.2)
    assert math.isnan(found["rt-plurel"].select_score)
    assert found["rt-plurel"].family == "rt-plurel"
    assert all(task.origin == "imported" and task.profile == {} for task in bank.tasks)
    saved = bank.save(tmp_path / "bank")
    assert saved.fingerprint == bank.fingerprint
    saved.validate()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a,b\n1,2\n", "lacks the columns"),
        (f"{HEAD}\n{LINES.replace('REGRESSION', 'RANKING')}", "line 4"),
        (None, "read"),
    ],
)
def test_other_tables_are_refused_by_line(tmp_path, text, part):
    place = tmp_path / "results.csv"
    if text is not None:
        place.write_text(text)
    with pytest.raises(BankError, match=part):
        import_relarena(place, "them")
