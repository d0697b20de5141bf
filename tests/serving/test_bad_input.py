"""A hundred kinds of bad input: each gets its status, a field, a value and a rule, and never a traceback."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from relselect.serving.settings import ServerSettings
from tests.serving.conftest import AT, USER, serving

ONE = {"id": USER}
#: Texts that are no JSON, or JSON that no honest client writes.
NO_JSON = [
    b"", b" ", b"{", b"}", b"[", b"nul", b"'a'", b"{'entities': []}", b'{"entities": [}', b'{"entities": [],}', b"\xff\xfe",
    b"\x00", b'"\xed\xa0\x80"', b"NaN", b"[Infinity]", b'{"a": -Infinity}', b"1e999", b'{"at": 1, "at": 2}', b"[" * 10_000,
    b'{"entities": [{"id": 99999999999999999999999}]}', b"<xml/>", b"id=3", b"// comment",
    b'{"entities": [{"id": 9223372036854775808}]}', b"{}{}", b"\xef\xbb\xbf{}",
]  # fmt: skip
#: Bodies that are no request at all.
NO_REQUEST = [
    None, True, 3, 2.5, "text", [], [ONE], {}, {"entities": None}, {"entities": {}}, {"entities": "all"}, {"entities": 3},
    {"entities": []}, {"entity": [ONE]}, {"entities": [ONE], "limit": 3}, {"entities": [ONE], "At": AT},
    {"entities": [ONE], "__class__": "x"}, {"entities": [ONE] * 51}, {"rows": [ONE]}, {"entities": [[ONE]]},
]  # fmt: skip
#: Entities that name no key of the table.
NO_ENTITY = [
    None, 3, "3", [], [3], {}, {"ID": 3}, {"id": None}, {"id": "3"}, {"id": "three"}, {"id": 3.0}, {"id": 3.5}, {"id": True},
    {"id": [3]}, {"id": {"value": 3}}, {"id": 3, "name": "x"}, {"id": 3, "label": 1}, {"id": ""}, {"id ": 3}, {"id": False},
    {"id": "1; DROP TABLE users"}, {"id": "\u202e3"}, {"id": 1e3}, {"field_0": 3}, {"cutoff": AT, "id": 3},
]  # fmt: skip
#: Moments that are none.
NO_MOMENT = [
    "", " ", "soon", "2024-13-01", "2024-02-30", "2024", "yesterday", "99999-01-01", "0000-01-01", "-1", "1e3", 3, 3.5, True, [],
    [AT], {}, {"year": 2024}, "2024-01-01T25:00:00", "2024-01-01 12:00 PM", "now()", "NaT", "nan", "x" * 10_001, "\x00", "12:00",
]  # fmt: skip


def told(found, status: int) -> None:
    error = found["error"]
    assert set(error) == {"kind", "message", "problems"}
    assert error["message"]
    text = json.dumps(found)
    for sign in ("Traceback", "File \\", ".py", "pydantic", "site-packages"):
        assert sign not in text, text
    if status == 422:
        assert error["problems"]
        for each in error["problems"]:
            assert set(each) == {"field", "value", "rule"}
            assert each["field"]
            assert each["rule"]
            assert len(each["value"]) <= 200


CASES = [
    *((body, 400) for body in NO_JSON),
    *((json.dumps(value).encode(), 422) for value in NO_REQUEST),
    *((json.dumps({"entities": [ONE, entity]}).encode(), 422) for entity in NO_ENTITY),
    *((json.dumps({"entities": [ONE], "at": moment}).encode(), 422) for moment in NO_MOMENT),
]


def test_there_are_enough_kinds():
    assert len(CASES) + 12 >= 100


@pytest.mark.parametrize("number", range(len(CASES)))
def test_bodies(served, number):
    client, _ = served
    body, expected = CASES[number]
    status, found, _ = client.predict(body)
    assert status == expected, (body[:100], found)
    told(found, status)


def test_every_problem_is_told_at_once(served):
    client, _ = served
    _, found, _ = client.predict({"entities": [{"id": "a"}, {}, {"id": 1, "x": 2}], "at": 3, "more": 1})
    fields = {each["field"] for each in found["error"]["problems"]}
    assert fields == {"entities[0].id", "entities[1].id", "entities[2].x", "at", "more"}
    value = {each["field"]: each["value"] for each in found["error"]["problems"]}
    assert value["entities[0].id"] == "'a'"
    assert value["entities[1].id"] == "nothing"


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "expected"),
    [
        ("GET", "/predict", None, {}, 405),
        ("PUT", "/predict", b"{}", {}, 405),
        ("POST", "/health", b"{}", {}, 405),
        ("GET", "/", None, {}, 404),
        ("GET", "/docs", None, {}, 404),
        ("GET", "/../../etc/passwd", None, {}, 404),
        ("GET", "/predict/%00", None, {}, 404),
        ("POST", "/predict", b"{}", {}, 415),
        ("POST", "/predict", b"{}", {"Content-Type": "text/plain"}, 415),
        ("POST", "/predict", b"{}", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ("GET", "/health", None, {"Host": "evil.example"}, 421),
        ("GET", "/health", None, {"Host": "evil.example:80"}, 421),
    ],
)
def test_requests(served, method, path, body, headers, expected):
    client, _ = served
    status, found, _ = client.ask(method, path, body, headers)
    assert status == expected, found
    told(found, status)


def test_names_of_this_machine_are_answered(served):
    client, _ = served
    for host in ("localhost", "127.0.0.1:1", "[::1]:8000", "LOCALHOST:80"):
        assert client.ask("GET", "/health", headers={"Host": host})[0] == 200


def test_large_bodies_are_refused_early(served):
    client, _ = served
    status, found, headers = client.predict(b" " * 20_001)
    assert (status, found["error"]["kind"], headers["connection"]) == (413, "size", "close")

    def chunks():
        for _ in range(30):
            yield b" " * 1000

    import http.client

    connection = http.client.HTTPConnection(client.host, int(client.port), timeout=10)
    connection.request("POST", "/predict", chunks(), {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_slow_predictions_end_in_time_and_too_many_wait_in_vain(saved, place, monkeypatch):
    settings = ServerSettings(saved, database=place, timeout=0.4, max_waiting=3)
    with serving(settings) as (client, service):
        usual = type(service.holder.current).predict_all

        def slow(self, requests):
            time.sleep(0.8)
            return usual(self, requests)

        monkeypatch.setattr(type(service.holder.current), "predict_all", slow)
        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(lambda _: client.predict({"entities": [ONE], "at": AT}), range(12)))
        by_status = {status: answer for status, answer, _ in found}
        assert set(by_status) == {503, 504}
        assert {headers.get("retry-after") for status, _, headers in found if status == 503} == {"1"}
        for status, answer in by_status.items():
            told(answer, status)
        monkeypatch.setattr(type(service.holder.current), "predict_all", usual)
        time.sleep(1.0)
        assert client.predict({"entities": [ONE], "at": AT})[0] == 200


def test_a_slow_body_ends_in_time(saved, place):
    import http.client

    with serving(replace(ServerSettings(saved, database=place), timeout=0.3)) as (client, _):
        connection = http.client.HTTPConnection(client.host, int(client.port), timeout=10)
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b'{"entities"')
        answer = connection.getresponse()
        assert answer.status == 504
        told(json.loads(answer.read()), 504)
        connection.close()


def test_a_failure_inside_is_named_and_not_shown(served, monkeypatch, caplog):
    client, service = served

    def broken(self, asked):
        raise RuntimeError("secret of line 7")

    monkeypatch.setattr(type(service.holder.current), "predict", broken)
    status, found, _ = client.predict({"entities": [ONE], "at": AT})
    assert (status, found["error"]["kind"]) == (500, "internal")
    told(found, status)
    assert "secret" not in json.dumps(found)
    name = found["error"]["message"].split("name ")[1].rstrip(".")
    assert name in caplog.text
    assert "secret of line 7" in caplog.text
