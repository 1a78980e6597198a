"""The life of uploaded files, from the outside: over HTTP, at a server on this machine."""

import contextlib
import errno
import json
import os
import re
import sqlite3
import time
from html.parser import HTMLParser
from threading import Event

import httpx
import pytest

from conftest import moving
from dfgame.inspection.pipeline import inspect
from dfgame.media import write_video
from dfgame.records import UserError, verdict_json
from dfgame.serve import uploads
from dfgame.serve.store import Store
from dfgame.serve.uploads import clean_name
from dfgame.serve.worker import Worker
from serving import INSPECTING, make_media, serving, tiny_detector


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return tiny_detector(tmp_path_factory.mktemp("box"))


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return make_media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def running(detector, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("served"), detector, max_size=0.3, max_duration=5) as server:
        yield server


@pytest.fixture
def waiting(detector, tmp_path, monkeypatch):
    """A server whose worker never works, with room for two files."""
    monkeypatch.setattr("dfgame.serve.worker.Worker._work", lambda _: None)
    with serving(tmp_path / "served", detector, queue=2) as server:
        yield server


def files_of(server):
    return sorted(path.name for path in server.service.report_of("x").parent.parent.glob("files/*"))


@pytest.mark.parametrize("kind", ["picture", "video"])
def test_a_file_is_inspected_as_by_the_command_and_then_deleted(running, detector, media, kind):
    answer = running.send(media[kind], name="holiday")
    assert answer.status_code == 202
    sent = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{sent['id']}"
    assert sent["status"] == "queued" and sent["size"] == media[kind].stat().st_size and sent["name"] == "holiday"
    job = running.wait(sent["id"], "done")
    said = inspect(media[kind], detector, frames=INSPECTING.frames, batch_size=INSPECTING.batch_size)
    expected = json.loads(json.dumps(verdict_json(said))) | {"file": "holiday"}
    assert job["result"] == expected
    assert (job["progress"], job["place"], job["verdict"]) == (1, 0, said.verdict)
    report = running.client.get(f"/api/jobs/{sent['id']}/report")
    assert report.status_code == 200 and "sandbox" in report.headers["content-security-policy"]
    assert said.sha256 in report.text and "holiday" in report.text
    assert str(running.service.report_of("x").parent.parent) not in report.text
    assert not [name for name in files_of(running) if sent["id"] in name]
    listed = running.client.get("/api/jobs").json()
    assert listed["jobs"][0]["id"] == sent["id"] and "result" not in listed["jobs"][0]


def test_a_deleted_job_leaves_nothing(running, media):
    id = running.send(media["picture"]).json()["id"]
    running.wait(id, "done")
    assert running.service.report_of(id).is_file()
    assert running.client.delete(f"/api/jobs/{id}").status_code == 204
    assert not running.service.report_of(id).exists()
    for path in (f"/api/jobs/{id}", f"/api/jobs/{id}/report", f"/jobs/{id}"):
        assert running.client.get(path).status_code == 404
    assert running.client.delete(f"/api/jobs/{id}").status_code == 404


def chunks(boundary, content, name="a.png"):
    yield (
        f"--{boundary}\r\n".encode()
        + f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    )
    for start in range(0, len(content), 10_000):
        yield content[start : start + 10_000]
    yield f"\r\n--{boundary}--\r\n".encode()


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize("declared", [True, False])
def test_too_large_a_file_is_refused_with_or_without_a_length(running, declared):
    content = bytes(2_000_000)
    with contextlib.suppress(httpx.WriteError):  # the server may hang up before all was sent
        body = b"".join(chunks("b", content)) if declared else chunks("b", content)
        answer = running.client.post("/api/jobs", content=body, headers=FORM)
        assert answer.status_code == 413 and "larger than the 0.3 MB" in answer.json()["error"]
    assert files_of(running) == []


def test_a_body_of_unknown_length_is_taken(running, media):
    content = media["picture"].read_bytes()
    answer = running.client.post("/api/jobs", content=chunks("b", content), headers=FORM)
    assert answer.status_code == 202 and answer.json()["size"] == len(content)
    running.wait(answer.json()["id"], "done")


def test_a_file_that_comes_too_slowly_is_given_up(running, monkeypatch):
    monkeypatch.setattr(uploads, "_PATIENCE", 0.3)
    monkeypatch.setattr(uploads, "_SLOWEST", 1_000_000)

    def trickled():
        for byte in b"".join(chunks("b", bytes(200))):
            time.sleep(0.05)
            yield bytes([byte])

    with contextlib.suppress(httpx.WriteError):  # the server may hang up before all was sent
        answer = running.client.post("/api/jobs", content=trickled(), headers=FORM)
        assert answer.status_code == 408 and "more slowly than 1000 kB a second" in answer.json()["error"]
    assert files_of(running) == []


def test_a_file_of_which_no_note_can_be_made_is_not_kept(running, media, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(running.service.store, "add", full)
    assert running.send(media["picture"]).status_code == 500
    assert files_of(running) == []


def test_too_long_a_video_is_refused(running, tmp_path):
    write_video(tmp_path / "long.mp4", moving(3, 6), fps=1, crf=40)
    answer = running.send(tmp_path / "long.mp4")
    assert answer.status_code == 422 and "6.0 seconds long, and 5 are" in answer.json()["error"]
    assert files_of(running) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, I am no picture", b"%PDF-1.7\n", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"<svg></svg>"],
)
def test_the_type_is_told_by_content_whatever_the_name(running, tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    answer = running.send(tmp_path / "x", name="picture.png")
    assert answer.status_code == 415 and answer.json()["error"].endswith(".")
    assert files_of(running) == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x", {"Content-Type": "application/json"}, 415),
        (b"x", {}, 415),
        (b"x", {"Content-Type": "multipart/form-data"}, 400),
        (b"nonsense", FORM, 400),
        (b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nabc", FORM, 400),
        (b"--b\r\nContent-Disposition: form-data; name=other; filename=a\r\n\r\nabc\r\n--b--\r\n", FORM, 400),
        (b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--b--\r\n', FORM, 400),
        (b"".join(list(chunks("b", b"1"))[:2]) + b"\r\n" + b"".join(chunks("b", b"2")), FORM, 400),
    ],
)
def test_forms_that_are_none_are_refused(running, body, headers, status):
    answer = running.client.post("/api/jobs", content=body, headers=headers)
    assert answer.status_code == status and set(answer.json()) == {"error"}
    assert files_of(running) == []


HOSTILE = {
    "../../etc/passwd": "passwd",
    "..\\..\\windows\\a.exe": "a.exe",
    "/": "unnamed",
    "": "unnamed",
    "a\u202egnp.exe": r"a\u202egnp.exe",
    "<img src=x onerror=alert(1)>.png": "<img src=x onerror=alert(1)>.png",
    "a" * 500: "a" * 200,
    "a\nb\0c": r"a\nb\x00c",
}


def test_names_are_text_without_folders_on_one_line():
    assert {name: clean_name(name) for name in HOSTILE} == HOSTILE


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_hostile_names_are_shown_as_text_everywhere(waiting, media):
    name = "<img src=x onerror=alert(1)>'\"&{{7*7}}.png"
    content = media["picture"].read_bytes()
    escaped = name.replace('"', "%22")
    answer = waiting.client.post("/api/jobs", content=chunks("b", content, escaped), headers=FORM)
    id = answer.json()["id"]
    assert answer.json()["name"] == escaped
    for path in ("/", f"/jobs/{id}"):
        page = waiting.client.get(path).text
        tags = Tags()
        tags.feed(page)
        assert not [tag for tag, _ in tags.found if tag == "img"]
        assert not [name for _, found in tags.found for name in found if name.startswith("on")]
        assert "{{7*7}}" in page
    assert files_of(waiting) == [f"{id}.jpg"]


def test_a_hostile_name_in_the_report(running, media):
    id = running.send(media["picture"], name="--x$(touch y)<b>.png").json()["id"]
    job = running.wait(id, "done")
    report = running.client.get(f"/jobs/{id}/report").text
    assert job["result"]["file"] == "--x$(touch y)<b>.png"
    assert "<b>.png" not in report and "./--x$(touch y)&lt;b&gt;.png&#39;" in report


def test_a_verdict_without_a_report_is_kept(running, media, monkeypatch):
    def late(*_):
        raise UserError("The inspection took longer than it may.")

    monkeypatch.setattr("dfgame.serve.worker.report_page", late)
    id = running.send(media["picture"]).json()["id"]
    assert running.wait(id, "done")["result"]["verdict"]
    page = running.client.get(f"/jobs/{id}").text
    assert "There is no report: The inspection took longer than it may." in page and "Open the report" not in page
    assert running.client.get(f"/api/jobs/{id}/report").status_code == 404


def test_a_full_queue_refuses_and_says_when_to_come_again(waiting, media):
    first, second = (waiting.send(media["picture"]).json() for _ in range(2))
    assert (first["place"], second["place"]) == (1, 2)
    answer = waiting.send(media["picture"])
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert waiting.client.get("/api/health").json()["queued"] == 2
    assert waiting.client.delete(f"/api/jobs/{first['id']}").status_code == 204
    assert waiting.client.get(f"/api/jobs/{second['id']}").json()["place"] == 1
    assert waiting.send(media["picture"]).status_code == 202
    assert len(files_of(waiting)) == 2


def test_a_cancelled_job_keeps_its_row_only(waiting, media):
    id = waiting.send(media["picture"]).json()["id"]
    assert waiting.client.get(f"/api/jobs/{id}/report").status_code == 409
    assert waiting.client.post(f"/api/jobs/{id}/cancel").json()["status"] == "cancelled"
    assert waiting.client.post(f"/api/jobs/{id}/cancel").status_code == 409
    assert waiting.client.get(f"/api/jobs/{id}/report").status_code == 404
    assert files_of(waiting) == []


def test_pages_of_results_are_newest_first(waiting, media):
    ids = [waiting.send(media["picture"], name=f"{number}.png").json()["id"] for number in range(2)]
    page = waiting.client.get("/api/jobs", params={"first": 0, "most": 1}).json()
    assert (page["total"], [job["id"] for job in page["jobs"]]) == (2, [ids[1]])
    page = waiting.client.get("/api/jobs", params={"first": 1, "most": 1}).json()
    assert [job["id"] for job in page["jobs"]] == [ids[0]]
    refused = waiting.client.get("/api/jobs", params={"most": 0})
    assert refused.status_code == 422 and refused.json()["error"].startswith("most: ")


def test_the_plain_form_leads_to_the_job_s_page_and_deletes(waiting, media):
    answer = waiting.client.post("/", files={"file": ("a.png", media["picture"].read_bytes())})
    assert answer.status_code == 303
    page = waiting.client.get(answer.headers["location"]).text
    assert re.search(r'<noscript><meta http-equiv="refresh"', page) and "next in the queue" in page
    assert waiting.client.post(f"{answer.headers['location']}/delete").headers["location"] == "/"
    page = waiting.client.get("/").text
    assert "None yet." in page and "result and report stay for 7 days, or until you delete them." in page
    wrong = waiting.client.post("/", files={"file": ("a.png", b"none")})
    assert wrong.status_code == 415 and wrong.headers["content-type"].startswith("text/html")


def test_a_restart_goes_on_with_what_waits_and_clears_what_is_nobody_s(detector, media, tmp_path, monkeypatch):
    folder = tmp_path / "served"
    with monkeypatch.context() as patch:
        patch.setattr("dfgame.serve.worker.Worker._work", lambda _: None)
        with serving(folder, detector) as server:
            queued, gone, running = (server.send(media["picture"]).json()["id"] for _ in range(3))
            (folder / "files" / f"{gone}.jpg").unlink()
    with Store(folder / "jobs.sqlite") as store:
        order = [store.start_next() for _ in range(1)]
        assert order[0] is not None and order[0].id == queued and store.count("running") == 1
    (folder / "files" / "0123.part").write_bytes(b"an upload that broke off")
    with serving(folder, detector, keep=True) as server:
        assert server.wait(queued, "done")["result"]["verdict"]
        assert "not there" in server.wait(gone, "failed")["problem"]
        server.wait(running, "done")
        assert files_of(server) == sorted(f"{id}.jpg" for id in (queued, running))
    with serving(folder, detector) as server:  # which keeps none
        assert files_of(server) == []


def test_a_running_job_is_put_back_when_the_server_ends(detector, media, tmp_path, monkeypatch):
    begun, folder = Event(), tmp_path / "served"

    def endless(files, _detector, _config, shown, watch):
        while True:
            watch(0.5)
            begun.set()
            begun.wait(0.01)

    with monkeypatch.context() as patch:
        patch.setattr("dfgame.serve.worker.inspect_files", endless)
        with serving(folder, detector) as server:
            id = server.send(media["picture"]).json()["id"]
            assert begun.wait(30)
            job = server.client.get(f"/api/jobs/{id}").json()
            assert (job["status"], job["place"]) == ("running", 0) and job["progress"] == pytest.approx(0.45)
    with Store(folder / "jobs.sqlite") as store:
        job = store.get(id)
        assert job is not None and job.status == "queued" and (folder / "files" / f"{id}.jpg").is_file()


def test_a_running_job_can_be_deleted_and_takes_too_long(detector, media, tmp_path, monkeypatch):
    def endless(files, _detector, _config, shown, watch):
        while True:
            watch(0.5)
            time.sleep(0.01)

    monkeypatch.setattr("dfgame.serve.worker.inspect_files", endless)
    with serving(tmp_path / "served", detector, timeout=3) as server:
        id = server.send(media["picture"]).json()["id"]
        server.wait(id, "running")
        assert server.client.delete(f"/api/jobs/{id}").status_code == 204
        late = server.send(media["picture"]).json()["id"]
        assert "longer than the 3 seconds" in server.wait(late, "failed")["problem"]
        assert files_of(server) == []


def test_what_has_expired_is_deleted(running, media, monkeypatch):
    id = running.send(media["picture"]).json()["id"]
    ended = running.wait(id, "done")["ended"]
    assert ended is not None
    running.service.sweep()
    assert running.client.get(f"/api/jobs/{id}").status_code == 200
    now = time.time()
    monkeypatch.setattr("dfgame.serve.service.time.time", lambda: now + 169 * 3600)
    running.service.sweep()
    monkeypatch.undo()
    assert running.client.get(f"/api/jobs/{id}").status_code == 404
    assert not running.service.report_of(id).exists()


def test_what_fails_while_expired_is_deleted_ends_nothing(detector, tmp_path, monkeypatch):
    """Nor does a worker that fails to stop keep the database open."""
    swept, stop = [], Worker.stop
    monkeypatch.setattr("dfgame.serve.app.SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(Worker, "stop", lambda self: stop(self) or 1 / 0)
    with serving(tmp_path / "served", detector) as server:
        monkeypatch.setattr(server.service, "sweep", lambda: swept.append(1) or 1 / 0)
        until(lambda: len(swept) > 2)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        server.service.store.count()


def test_a_report_for_which_there_is_no_room_waits_until_there_is(detector, media, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "the disk is full", "report.html")

    monkeypatch.setattr("dfgame.serve.worker._PAUSE", 0.2)
    with serving(tmp_path / "served", detector) as server:
        with monkeypatch.context() as patch:
            patch.setattr("dfgame.serve.worker.write_text", full)
            id = server.send(media["picture"]).json()["id"]
            until(lambda: server.client.get("/api/health").status_code == 503)
        assert server.wait(id, "done")["result"]["verdict"]


@pytest.mark.parametrize("failing", [("start_next",), ("finish", "fail")])
def test_a_full_disk_stops_the_worker_for_a_while_only(detector, media, tmp_path, monkeypatch, failing):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("dfgame.serve.worker._PAUSE", 0.2)
    with serving(tmp_path / "served", detector) as server:
        assert server.client.get("/api/health").json()["works"] is True
        with monkeypatch.context() as patch:
            for name in failing:
                patch.setattr(server.service.store, name, full)
            id = server.send(media["picture"]).json()["id"]
            until(lambda: server.client.get("/api/health").status_code == 503)
            assert server.client.get("/api/health").json()["works"] is False
        server.wait(id, "done")
        until(lambda: server.client.get("/api/health").status_code == 200)


def until(condition):
    late = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < late
        time.sleep(0.02)


def test_a_queued_job_has_a_place_though_it_is_begun_meanwhile(waiting, media, monkeypatch):
    monkeypatch.setattr(waiting.service.store, "place", lambda _: 0)
    sent = waiting.send(media["picture"]).json()
    assert (sent["status"], sent["place"]) == ("queued", 1)


def test_progress_is_written_by_the_percent(tmp_path):
    with Store(tmp_path / "jobs.sqlite") as store:
        store.add("a", "a.png", 1)
        assert not store.advance("a", 0.5) and store.start_next() is not None
        before = store._connection.total_changes
        assert all(store.advance("a", 0.9 * step / 1000) for step in range(1001))
        assert store._connection.total_changes - before <= 90
        job = store.get("a")
        assert job is not None and job.progress == 0.9
        assert store.cancel("a") and not store.advance("a", 0.9)


@pytest.mark.skipif(os.name != "posix", reason="no modes of files")
def test_only_its_owner_can_read_what_is_kept_in_a_folder_that_was_there(detector, media, tmp_path, monkeypatch):
    monkeypatch.setattr("dfgame.serve.worker.Worker._work", lambda _: None)
    (tmp_path / "files").mkdir(mode=0o755)
    (tmp_path / "jobs.sqlite").touch(mode=0o644)
    with serving(tmp_path, detector) as server:
        server.send(media["picture"])
        there = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()}
    assert {"files", "reports", "jobs.sqlite", "jobs.sqlite-wal"} <= set(there)
    assert set(there.values()) == {0}


def test_a_broken_picture_fails_with_a_sentence_that_names_no_place(running, media, tmp_path):
    content = media["picture"].read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 3])
    answer = running.send(tmp_path / "cut.png", name="cut.png")
    if answer.status_code == 202:
        job = running.wait(answer.json()["id"], "failed")
        assert job["problem"] and "/" not in job["problem"] and job["id"] not in job["problem"]
    else:
        assert answer.status_code == 415


@pytest.mark.parametrize(
    ("function", "sentence"), [(os._exit, "breaks the programs"), (time.sleep, "within 30 seconds")]
)
def test_a_file_that_kills_or_holds_its_reader_is_refused_and_the_next_is_taken(
    running, media, monkeypatch, function, sentence
):
    """The reader's process really ends, or is ended after a second."""
    probe = running.service.probe
    monkeypatch.setattr(probe, "look", lambda _: probe._schedule(function, (40,), 1.0))
    answer = running.send(media["picture"])
    assert answer.status_code == 422 and sentence in answer.json()["error"]
    assert files_of(running) == []
    monkeypatch.undo()
    running.wait(running.send(media["picture"]).json()["id"], "done")
