"""Who is let in, and from where; and the API against its own documents."""

import contextlib
import html
import importlib
import json
import socket
import subprocess
import sys
import time
from threading import Thread

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import dfgame
from dfgame.cli import main
from dfgame.config import ServeConfig, SettingError
from dfgame.records import UserError
from dfgame.serve import pages, run
from dfgame.serve.run import check_host, with_key
from dfgame.serve.service import Service
from dfgame.serve.store import Store
from serving import INSPECTING, KEY, make_media, serving, tiny_detector


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return tiny_detector(tmp_path_factory.mktemp("box"))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    return make_media(tmp_path_factory.mktemp("media"))["picture"]


@pytest.fixture(scope="module")
def open_server(detector, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("open"), detector) as server:
        yield server


@pytest.fixture(scope="module")
def keyed(detector, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("keyed"), detector, KEY) as server:
        yield server


def test_another_address_needs_a_key(monkeypatch):
    monkeypatch.delenv("DFGAME_API_KEY", raising=False)
    with pytest.raises(UserError, match=r"0\.0\.0\.0"):
        check_host(with_key(ServeConfig(host="0.0.0.0")))
    monkeypatch.setenv("DFGAME_API_KEY", KEY)
    check_host(with_key(ServeConfig(host="0.0.0.0")))
    for key in ("short", "schlüssel-mit-umlaut"):
        monkeypatch.setenv("DFGAME_API_KEY", key)
        with pytest.raises(SettingError, match="api-key"):
            with_key(ServeConfig())
    for host in ("127.0.0.1", "localhost", "::1"):
        check_host(ServeConfig(host=host))


def test_the_command_refuses_in_two_lines(capsys, monkeypatch):
    monkeypatch.delenv("DFGAME_API_KEY", raising=False)
    with pytest.raises(SystemExit) as end:
        main(["serve", "--host", "0.0.0.0"])
    assert end.value.code == 2 and "DFGAME_API_KEY" in capsys.readouterr().err


def test_a_missing_package_names_the_extra(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("dfgame.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(dfgame, "serve", None)  # the one imported now is not the one that others know
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit) as end:
        main(["serve"])
    shown = capsys.readouterr().err
    assert end.value.code == 2 and "uvicorn" in shown and ".[web]" in shown


@pytest.mark.parametrize("path", ["/api/jobs", "/api/openapi.json", "/", "/docs", "/jobs/x", "/nowhere"])
def test_nothing_is_shown_without_the_key(keyed, path):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}, {"Cookie": "dfgame=x"}):
        answer = httpx.get(f"{keyed.client.base_url}{path}", headers=headers, trust_env=False)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert ("error" in answer.text) == path.startswith("/api")
    assert keyed.client.get(path).status_code in (200, 404)


def test_a_browser_enters_with_a_cookie_that_is_not_the_key(keyed):
    with httpx.Client(base_url=keyed.client.base_url, trust_env=False) as browser:
        assert 'action="/enter"' in browser.get("/").text
        assert browser.get("/static/style.css").status_code == 200
        assert browser.post("/enter", data={"key": "wrong-wrong-wrong-wrong"}).status_code == 401
        answer = browser.post("/enter", data={"key": KEY})
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and KEY not in cookie
        assert browser.get("/").status_code == 200
        assert browser.get("/api/jobs").status_code == 200


def test_a_key_that_does_not_come_is_not_waited_for(keyed, monkeypatch):
    monkeypatch.setattr(pages, "_PATIENCE", 0.2)

    def trickled():
        for byte in b"key=" + b"a" * 100:
            time.sleep(0.05)
            yield bytes([byte])

    with contextlib.suppress(httpx.WriteError):  # the server may hang up before all was sent
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert keyed.client.post("/enter", content=trickled(), headers=headers).status_code == 408


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:1"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({}, 404),
    ],
)
def test_nothing_is_changed_for_a_page_of_another_site(open_server, headers, status):
    for method, path in (("DELETE", f"/api/jobs/{'0' * 32}"), ("POST", f"/jobs/{'0' * 32}/delete")):
        assert open_server.client.request(method, path, headers=headers).status_code == status


def test_its_own_origin_may(open_server):
    origin = str(open_server.client.base_url).rstrip("/")
    path = f"/api/jobs/{'0' * 32}"
    assert open_server.client.delete(path, headers={"Origin": origin}).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost.", 400),
        ("[::1", 400),
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
    ],
)
def test_only_names_of_this_machine_are_answered(open_server, host, status):
    assert open_server.client.get("/api/health", headers={"Host": host}).status_code == status


def test_every_answer_is_locked_up(open_server, monkeypatch):
    for path in ("/", "/docs", "/api/health", "/nowhere", "/api/nowhere", "/static/app.js", "/jobs/x"):
        headers = open_server.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and "server" not in headers
    monkeypatch.setattr(open_server.service.store, "page", lambda *_: 1 / 0)
    for path, kind in (("/api/jobs", "application/json"), ("/", "text/html; charset=utf-8")):
        broken = httpx.get(f"{open_server.client.base_url}{path}", trust_env=False)  # the server hangs up after it
        assert (broken.status_code, broken.headers["content-type"]) == (500, kind) and "log" in broken.text
        assert "default-src 'none'" in broken.headers["content-security-policy"]
    monkeypatch.undo()
    assert open_server.client.put("/api/jobs").status_code == 405
    assert open_server.client.put("/api/jobs").headers["allow"]


def test_two_servers_do_not_share_a_folder(open_server, detector, tmp_path):
    folder = open_server.service.report_of("x").parent.parent
    with pytest.raises(UserError, match=r"jobs\.sqlite"):
        Service(folder, ServeConfig(), detector, INSPECTING)
    (tmp_path / "jobs.sqlite").write_text("This is a text, and not what is expected here. " * 50)
    with pytest.raises(UserError, match="not a database"):
        Store(tmp_path / "jobs.sqlite")


def test_many_uploads_at_once_are_all_taken(open_server, picture):
    answers = []

    def send():
        with httpx.Client(base_url=open_server.client.base_url, timeout=60, trust_env=False) as client:
            files = {"file": ("a.png", picture.read_bytes())}
            answers.append(client.post("/api/jobs", files=files).json()["id"])

    threads = [Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 6
    for id in answers:
        open_server.wait(id, "done")


def test_more_connections_than_are_held_are_sent_away_and_the_others_go_on(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "MOST_CONNECTIONS", 5)
    with serving(tmp_path, detector) as server:
        place = server.client.base_url.host, server.client.base_url.port
        with contextlib.ExitStack() as idle:
            for _ in range(5):
                idle.enter_context(socket.create_connection(place))
            assert until(lambda: httpx.get(server.client.base_url).status_code == 503)
        assert until(lambda: httpx.get(server.client.base_url).status_code == 200)


def until(true) -> bool:
    """Whether something comes true within ten seconds."""
    end = time.monotonic() + 10
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def test_the_documents_say_how_each_call_fails(open_server):
    documents = open_server.client.get("/api/openapi.json").json()
    assert set(documents["paths"]) == {
        "/api/jobs",
        "/api/jobs/{id}",
        "/api/jobs/{id}/report",
        "/api/jobs/{id}/cancel",
        "/api/health",
    }
    upload = documents["paths"]["/api/jobs"]["post"]
    assert {"202", "400", "401", "403", "408", "413", "415", "422", "503"} == set(upload["responses"])
    assert upload["requestBody"]["content"]["multipart/form-data"]["schema"]["required"] == ["file"]
    assert "GET /api/jobs/{id}/report" in open_server.client.get("/docs").text


def test_the_documents_show_calls_that_work_here(open_server, keyed):
    for server, options in ((open_server, ""), (keyed, '-H "Authorization: Bearer KEY" ')):
        page = html.unescape(server.client.get("/docs").text)
        assert f"curl {options}-F file=@clip.mp4 {server.client.base_url.join('/api/jobs')}\n" in page


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_the_api_does_what_its_documents_say(open_server, mode):
    """Generated calls, right and wrong: statuses, types and bodies as documented, and nothing that fails."""
    schemathesis = pytest.importorskip("schemathesis")
    # Imported before the server's thread is busy, and not late: Python 3.11 miscounts where two threads parse at once.
    for late in ("object_authorization", "validation", "adapter.security"):
        importlib.import_module(f"schemathesis.specs.openapi.{late}")
    url = str(open_server.client.base_url).rstrip("/")
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
    # Generated bytes are no picture: that they are refused is right.
    excluded = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]
    called = set()
    for operation in (result.ok() for result in schema.get_all_operations()):
        if mode == "NEGATIVE" and not (operation.query or operation.path_parameters or operation.body):
            continue

        @settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        )
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
        def one(case):
            called.add((case.method, case.path))
            case.call_and_validate(base_url=url, excluded_checks=excluded)

        one()
    assert len(called) == (7 if mode == "POSITIVE" else 6)


def test_a_server_ends_well_when_told_to(tmp_path):
    tiny_detector(tmp_path)
    places = ["--data", str(tmp_path / "served"), "--detector", str(tmp_path / "tiny.safetensors")]
    command, pipe = [sys.executable, "-m", "dfgame", "serve", "--port", "0", *places], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            health = httpx.get(f"{url}api/health", trust_env=False, timeout=60).json()
            assert health["model"]["name"] == "tiny" and json.dumps(health)
            server.terminate()
            _, errors = server.communicate(timeout=60)
        finally:
            server.kill()
    assert server.returncode == 0 and "Traceback" not in errors


def test_a_setting_that_would_do_nothing_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--workers", "2"])
    assert ended.value.code == 2
    assert "--workers: changes nothing here" in capsys.readouterr().err
