"""An analyst's report: one HTML file without script, the same bytes for the same data, that carries its data.

What it holds is in templates/inspection.html.j2, from the verdict in words down to the command that makes it again.
All text out of the file that was inspected is hostile: `plain` shows what is invisible in it, the template escapes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from dfgame.records import COVERAGE, Evidence, FileVerdict, Verdict, face_name, verdict_json
from dfgame.report import detector_words, evidence_words, inspection_words, media_words, stability, timeline
from dfgame.report.environment import environment_of
from dfgame.report.inspection_data import FORMAT, UNSEALED, data_text, picture_hash, picture_uri, sealed, text_hash
from dfgame.report.language import counted
from dfgame.report.people import moment_name, people_of
from dfgame.report.plain import plain

MOST_SHOWN = 300
"""Characters of a tag, or of a value of its provenance, that are shown; all of them are in the data."""
_ORDER: tuple[Verdict, ...] = ("fake", "inconclusive", "real", "no face")
_PICTURES = ("crop", "amplified", "heat")


@dataclass(frozen=True, slots=True)
class InspectionContext:
    """What a verdict depends on beside the file.

    `detector` holds plain JSON values: `name`, `version`, `sha256`, `thresholds` (`fake`, `real`), `calibration` and
    `made`, as a box's facts do, and whether thresholds are `stricter` for some faces. `versions` are those of Python
    and packages. `command` makes the report again.
    """

    detector: Mapping[str, Any]
    versions: Mapping[str, str]
    command: str


def render_inspection(
    said: FileVerdict,
    evidence: Sequence[Evidence],
    thumbnails: Mapping[tuple[int, int], bytes],
    about: InspectionContext,
) -> str:
    """The report on a file as HTML, the same for the same values whatever the order of evidence and thumbnails.

    Args:
        said: the verdict.
        evidence: of the frames that weigh most, of any face; may be empty.
        thumbnails: small PNG or JPEG files of faces, by (track id, frame number); may be empty.
        about: the detector, versions, and the command.

    Raises:
        ValueError: evidence or a thumbnail is of a face or frame that the verdict does not hold, a picture is neither
            PNG nor JPEG, or a number is not finite.
    """
    people = people_of(said, evidence, thumbnails)
    moments = [moment for person in people for moment in person.moments]
    pictures = dict(named for moment in moments for named in moment.pictures())
    hashes = {name: picture_hash(picture) for name, picture in pictures.items()}
    data = data_text(_values(said, evidence, hashes, about))
    length = timeline.length_of(said)
    environment = _environment()
    environment.globals["picture"] = lambda name, alt: _picture(name, pictures[name], alt)
    page = environment.get_template("inspection.html.j2").render(
        said=said,
        about=about,
        people=people,
        by_suspicion=sorted(people, key=lambda person: _ORDER.index(person.track.verdict)),
        ticks=timeline.ticks(length),
        explained=bool(evidence),
        merged=any(len(person.lane.marks) < len(person.track.frames) for person in people),
        hashes=hashes,
        data=data,
        data_hash=text_hash(data),
        unsealed=UNSEALED,
    )
    return sealed(page)


def _values(
    said: FileVerdict, evidence: Sequence[Evidence], hashes: Mapping[str, str], about: InspectionContext
) -> dict[str, Any]:
    """All that a page was made from, the pictures by their hashes, as plain JSON values."""
    by_place = sorted(evidence, key=lambda item: (item.track, item.frame))
    numbers = [{key: value for key, value in asdict(item).items() if key not in _PICTURES} for item in by_place]
    return {
        "format": FORMAT,
        "verdict": verdict_json(said),
        "evidence": numbers,
        "pictures": dict(hashes),
        "detector": dict(about.detector),
        "versions": dict(about.versions),
        "command": about.command,
    }


def _environment() -> Environment:
    environment = environment_of("dfgame.report", finalize=_seen)
    environment.globals |= {
        "coverage": f"{COVERAGE:.0%}",
        "most_shown": MOST_SHOWN,
        "rare": inspection_words.RARE,
        "rarer": inspection_words.rarer,
        "face_name": face_name,
        "moment_name": moment_name,
        "words": inspection_words,
        "evidence_words": evidence_words,
        "media": media_words,
        "detector_words": detector_words,
        "timeline": timeline,
        "stability": stability,
    }
    environment.filters |= {"counted": counted, "plain": plain, "lines": _lines}
    return environment


def _seen(value: Any) -> Any:
    """What the template prints of a value: of text, whatever it is, all that is invisible as escapes."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _lines(text: str) -> Markup:
    """Text whose line ends are meant."""
    return Markup("\n").join(Markup("{}").format(plain(line)) for line in text.split("\n"))


def _picture(name: str, picture: bytes, alt: str) -> Markup:
    """An embedded picture, as `read_report` looks for it."""
    return Markup('<img id="{}" src="{}" alt="{}">').format(name, picture_uri(picture), plain(alt))
