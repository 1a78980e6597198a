"""What a report carries: hostile text stays text, the data come back whole, and what was changed is refused."""

import base64
import html
import json
import re
from dataclasses import asdict, replace

import pytest

from dfgame.records import UserError, verdict_json
from dfgame.report.inspection import InspectionContext, render_inspection
from dfgame.report.inspection_data import UNSEALED, ChangedError, read_report, text_hash
from inspection_examples import ABOUT, CASES, DETECTOR, FACTS, RATES, example, png
from pages import Page

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u202egnp.exe\x1b[2J\x00\udc80\u2066\r\n</pre>"


def test_what_a_file_says_is_only_ever_text(tmp_path):
    said, found, thumbnails = example()
    rates = replace(RATES, faces=EVIL)
    bad = replace(
        said,
        file=f"films/{EVIL}",
        error=EVIL,
        reasons=(EVIL,),
        tracks=tuple(replace(one, reasons=(EVIL,), rates=rates) for one in said.tracks),
        settings={EVIL: EVIL},
        facts=replace(
            FACTS,
            container=EVIL,
            codec=EVIL,
            tags=((EVIL, EVIL), ("comment", EVIL * 500)),
            provenance={"present": True, "valid": True, "signed_by": EVIL, EVIL: [EVIL], "note": EVIL},
        ),
    )
    detector = DETECTOR | {"name": EVIL, "version": EVIL, "sha256": EVIL, "made": {}}
    text = render_inspection(bad, found, thumbnails, InspectionContext(detector, {EVIL: EVIL}, EVIL))
    text.encode()
    parsed = Page(text)
    assert not parsed.all("script")
    assert len(parsed.all("img")) == len(found) * 4 + 1
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert not re.findall("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert r"<script>alert(1)</script>" in parsed.prose and r"\u202egnp.exe\x1b[2J\x00\udc80" in parsed.prose
    assert len(text) < len(render_inspection(*example(), ABOUT)) + 300 * len(EVIL) + 2 * len(json.dumps(EVIL)) * 520
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    assert read_report(path)["verdict"] == json.loads(json.dumps(verdict_json(bad)))


@pytest.mark.parametrize("case", CASES)
def test_the_data_come_back(case, tmp_path):
    said, found, thumbnails = CASES[case]
    path = tmp_path / "report.html"
    path.write_text(render_inspection(said, found, thumbnails, ABOUT), encoding="utf-8")
    data = read_report(path)
    assert data["verdict"] == json.loads(json.dumps(verdict_json(said)))
    assert data["detector"] == DETECTOR and data["versions"] == ABOUT.versions and data["command"] == ABOUT.command
    numbers = [asdict(item) for item in found]
    kept = ("track", "frame", "time", "p_fake", "hot_change", "random_change", "turning_blur", "probes")
    assert data["evidence"] == json.loads(json.dumps([{name: item[name] for name in kept} for item in numbers]))
    assert len(data["pictures"]) == 3 * len(found) + len(thumbnails)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(ChangedError):
        read_report(path)


def reseal(text: str) -> str:
    kept = re.sub(r'(id="page-sha256">)\w{64}', rf"\g<1>{UNSEALED}", text)
    return kept.replace(f'page-sha256">{UNSEALED}', f'page-sha256">{text_hash(kept)}')


def other_picture(text: str) -> str:
    """The first picture with other bytes of the same length."""
    encoded = re.findall(r'base64,([^"]+)"', text)[0]
    changed = bytearray(base64.b64decode(encoded))
    changed[-20] ^= 1
    return text.replace(encoded, base64.b64encode(changed).decode(), 1)


def with_data(text: str, change) -> str:
    """The report with changed data, whose hash is made to match."""
    (old,) = re.findall(r'<pre id="data">([^<]*)</pre>', text)
    new = change(html.unescape(old))
    text = text.replace(old, html.escape(new))
    return re.sub(r'(id="data-sha256">)\w{64}', rf"\g<1>{text_hash(new)}", text)


CHANGES = {
    "its data were changed": lambda text: reseal(text.replace("films/clip.mp4", "films/clap.mp4")),
    "the page was changed": lambda text: text.replace("is likely forged.</h1>", "is real.</h1>"),
    "page was changed: ": lambda text: with_data(text, lambda data: data.replace("clip.mp4", "clap.mp4")),
    "the picture moment-1-25-thumbnail was changed": lambda text: reseal(other_picture(text)),
    "its pictures are not those": lambda text: reseal(re.sub(r"<img [^>]*>", "", text, count=1)),
    "pictures are not those that": lambda text: reseal(text.replace("</main>", '<img src="x" alt="y"></main>')),
    "another version": lambda text: reseal(with_data(text, lambda data: data.replace("inspection 1", "inspection 9"))),
    "are missing, or there twice": lambda text: text.replace('<pre id="data">', "<pre>"),
    "a report of an inspection": lambda text: reseal(with_data(text, lambda data: "[" * 100_000)),
}


@pytest.mark.parametrize("problem", CHANGES)
def test_a_report_that_was_changed_is_refused(problem, tmp_path):
    text = render_inspection(*example(), ABOUT)
    changed = CHANGES[problem](text)
    assert changed != text
    path = tmp_path / "report.html"
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(UserError, match=problem) as caught:
        read_report(path)
    assert str(path) in caught.value.problem and caught.value.remedy
    unreadable = "another version" in problem or problem == "a report of an inspection"
    assert isinstance(caught.value, ChangedError) != unreadable
    path.write_text(reseal(text), encoding="utf-8")
    assert read_report(path), "the test's own seal is as good as the report's"


@pytest.mark.parametrize("content", [b"", b"<!doctype html><p>hello", b"\xff\xfe\x00", png(1)])
def test_other_files_are_no_reports(content, tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a report"):
        read_report(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_report(tmp_path / "missing.html")
    with pytest.raises(UserError, match="cannot be read"):
        read_report(tmp_path)
