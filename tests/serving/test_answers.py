"""Answers over real HTTP: predictions as Python gives them, the description, health and counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from relselect.errors import ConfigError
from relselect.serving.metrics import ServerMetrics
from relselect.serving.settings import ServerSettings
from tests.serving.conftest import AT, USER


def test_predictions_are_those_of_python(served, trained):
    client, _ = served
    ids = [USER + 7 * number for number in range(20)]
    status, found, _ = client.predict({"entities": [{"id": each} for each in ids], "at": AT})
    assert status == 200, found
    frame = trained("dfs")[0].predict(rows=pd.DataFrame({"id": ids, "cutoff": pd.Timestamp(AT)}))
    rows = pd.DataFrame(found["predictions"])
    assert rows["id"].tolist() == ids
    assert rows["known"].all()
    assert np.allclose(rows["probability"], frame["probability"], rtol=0, atol=1e-12)
    assert rows["prediction"].tolist() == frame["prediction"].tolist()
    assert found["at"] == AT
    assert re.fullmatch(r"[0-9a-f]{12}", found["model"])


def test_the_moment_may_be_left_out_or_be_a_word(served):
    client, _ = served
    now = datetime.now(UTC)
    for value, day in (({}, now), ({"at": None}, now), ({"at": "now"}, now), ({"at": "today"}, now)):
        status, found, _ = client.predict({"entities": [{"id": USER}], **value})
        assert status == 200
        assert abs((datetime.fromisoformat(found["at"]).replace(tzinfo=UTC) - day).total_seconds()) < 2 * 86_400
    assert client.predict({"entities": [{"id": USER}], "at": "today"})[1]["at"] == now.date().isoformat()


def test_unknown_entities_are_marked_and_alone_refused(served):
    client, _ = served
    status, found, _ = client.predict({"entities": [{"id": USER}, {"id": -1}], "at": AT})
    assert status == 200
    assert [row["known"] for row in found["predictions"]] == [True, False]
    status, found, _ = client.predict({"entities": [{"id": -1}], "at": AT})
    assert status == 422
    assert "none of the 1 rows names a row of users" in found["error"]["message"]
    assert found["error"]["problems"][0]["field"] == "rows"


def test_the_model_is_described(served, trained):
    client, _ = served
    status, found, _ = client.ask("GET", "/model")
    fitted = trained("dfs")[0]
    assert status == 200
    assert found["task"]["name"] == fitted.task.name
    assert found["task"]["horizon"] == "30 d"
    assert found["family"] == fitted.candidate.family
    assert found["metric"]["title"] == "AUROC"
    assert found["metric"]["validation"] == pytest.approx(fitted.candidate.score)
    assert datetime.fromisoformat(found["saved"]) <= datetime.now(UTC)
    assert found["data"]["last_time"].startswith("1970-")
    row = found["request"]["$defs"]["Entity"]
    assert row["properties"]["id"]["type"] == "integer"
    assert row["required"] == ["id"]


def test_health_and_counts(served):
    client, service = served
    status, health, _ = client.ask("GET", "/health")
    assert (status, health["status"], health["reload"]["state"]) == (200, "ok", "none")
    before = service.metrics.requests
    client.predict({"entities": [{"id": USER}], "at": AT})
    client.predict({"entities": []})
    client.ask("GET", "/nowhere")
    status, text, headers = client.ask("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert service.metrics.requests >= before + 3
    value = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}
    assert value['relselect_requests_total{path="other",status="404"}'] >= 1
    assert value['relselect_requests_total{path="/predict",status="422"}'] >= 1
    assert value["relselect_predictions_total"] >= 1
    counted = value['relselect_request_seconds_count{path="/predict"}']
    assert value['relselect_request_seconds_bucket{path="/predict",le="+Inf"}'] == counted
    assert value['relselect_errors_total{path="/predict"}'] <= counted


def test_buckets_add_up():
    metrics = ServerMetrics()
    for seconds in (0.001, 0.005, 0.02, 40.0):
        metrics.add("/predict", 200, seconds)
    text = metrics.text({})
    counts = [float(match) for match in re.findall(r"_bucket\{[^}]*\} (\d+)", text)]
    assert counts == sorted(counts)
    assert counts[0] == 2
    assert counts[-2:] == [3, 4]
    assert 'relselect_request_seconds_sum{path="/predict"} 40.026000' in text


def test_settings_are_checked(tmp_path):
    for wrong in ({"max_rows": 0}, {"max_bytes": -1}, {"port": 70_000}, {"max_waiting": 0}):
        with pytest.raises(ConfigError):
            ServerSettings(tmp_path, **wrong)
    with pytest.raises(ConfigError, match="--timeout"):
        ServerSettings.seconds_of("--timeout", "soon")
    assert ServerSettings(tmp_path).local
    assert not ServerSettings(tmp_path, host="0.0.0.0").local
