"""What is said of a picture or a video, in sentences that a page and a terminal share.

They hold text out of files (its name, why it broke off) with everything invisible in it shown as an escape.
"""

import math
from collections.abc import Sequence
from pathlib import PurePath

from dfgame.records import COVERAGE, ErrorRates, FileVerdict, Interval, Kind, TrackScore, Verdict, face_name
from dfgame.report.language import counted, listed
from dfgame.report.plain import plain

VERDICT_WORDS: dict[Verdict, str] = {
    "fake": "likely forged",
    "real": "no sign of forgery",
    "inconclusive": "inconclusive",
    "no face": "no face",
}
NO_SIGN = "No sign of forgery was found; that is no proof that it is real."
RARE = 0.01
"""Where forgeries are as rare as this, what a score means is told, too."""
_MOST_NAMED = 3
"""Of more forged faces than this the headline names only the most suspicious."""
_SHARES = (
    (0.05, "1 in 20"),
    (0.1, "1 in 10"),
    (1 / 6, "1 in 6"),
    (0.2, "1 in 5"),
    (0.25, "1 in 4"),
    (1 / 3, "1 in 3"),
    (0.4, "2 in 5"),
    (0.5, "1 in 2"),
    (0.6, "3 in 5"),
    (2 / 3, "2 in 3"),
    (0.75, "3 in 4"),
    (0.8, "4 in 5"),
    (5 / 6, "5 in 6"),
    (0.9, "9 in 10"),
    (0.95, "19 in 20"),
)
WHOLE_VIDEOS = "that was measured on whole videos; of few frames the detector errs more often"
_SHORT = 10.0
"""Seconds before which times are told in hundredths."""
_EXTREME = 0.025
_FEW_VIDEOS, _FEW_FRAMES = 20, 8


def clock(seconds: float, tenths: bool = False) -> str:
    """A time in a film: `0:04`, `1:02:03`, with tenths `0:04.2`; cut off, not rounded, as players show it."""
    left = max(math.floor(seconds * 10 + 1e-6), 0)
    hours, minutes, whole = left // 36_000, left // 600 % 60, left // 10 % 60
    said = f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
    return f"{said}.{left % 10}" if tenths else said


def percent(share: float) -> str:
    """A share in [0, 1] as a whole percentage; never 0% or 100%, which no evidence of this kind bears."""
    if share < 0.01:
        return "under 1%"
    return "over 99%" if share > 0.99 else f"{100 * share:.0f}%"


def about(share: float) -> str:
    """A share in [0, 1] as people say it: `about 3 in 4`."""
    if share < _EXTREME:
        return "fewer than 1 in 40"
    if share > 1 - _EXTREME:
        return "more than 39 in 40"
    return f"about {min(_SHARES, key=lambda known: abs(known[0] - share))[1]}"


def span_words(track: TrackScore) -> str:
    """From when to when a face is seen: `between 0:04 and 0:11`, or `at 0:14`; `between 0.00 and 0.44 s` early on."""
    if track.last_time < _SHORT:
        first, last = (f"{seconds:.2f}" for seconds in (track.first_time, track.last_time))
        return f"at {first} s" if first == last else f"between {first} and {last} s"
    first, last = clock(track.first_time), clock(track.last_time)
    return f"at {first}" if first == last else f"between {first} and {last}"


def length_words(seconds: float) -> str:
    """The length of a film: `1:23`, or `0.48 s` of a short one."""
    return f"{seconds:.2f} s" if seconds < _SHORT else clock(seconds)


def verdict_sentence(said: FileVerdict) -> str:
    """The verdict on a file in one sentence: who is likely forged and when, or why nothing can be said."""
    if said.verdict == "no face":
        return "No face was found, so nothing can be said: only faces are judged."
    if said.verdict == "real":
        return _real_sentence(said.tracks)
    if said.verdict == "inconclusive":
        return f"Nothing can be concluded{_clause(said.reasons[0])}."
    forged = [track for track in said.tracks if track.verdict == "fake"]
    if len(said.tracks) == 1:
        where = "in this picture" if said.kind == "picture" else f"seen {span_words(forged[0])}"
        return f"The face {where} is likely forged."
    return _forged_sentence(forged, len(said.tracks), said.kind)


def _real_sentence(tracks: Sequence[TrackScore]) -> str:
    """That there is no sign of forgery, and of the face that more frames could most likely turn, that they could."""
    real = [(track.interval, track) for track in tracks if track.verdict == "real" and track.interval]
    doubtful = [(interval, track) for interval, track in real if interval[1] >= track.fake_from]
    if not doubtful:
        return NO_SIGN
    interval, track = max(doubtful, key=lambda one: one[0][1])
    return (
        f"{_frames_of(track, len(tracks))} show no sign of forgery, but they are too few or too unlike to rule one "
        f"out: {_anywhere(interval)}."
    )


def _frames_of(track: TrackScore, people: int) -> str:
    frames = counted(len(track.judged_by), "frame")
    return f"These {frames}" if people == 1 else f"The {frames} of {face_name(track)}"


def _anywhere(interval: Interval) -> str:
    return f"more frames could put the score anywhere from {percent(interval[0])} to {percent(interval[1])}"


def _forged_sentence(forged: Sequence[TrackScore], people: int, kind: Kind) -> str:
    if len(forged) == 1:
        where = " in this picture" if kind == "picture" else f", seen {span_words(forged[0])},"
        return f"{face_name(forged[0]).capitalize()}{where} is likely forged."
    if len(forged) <= _MOST_NAMED:
        named = [face_name(track) + ("" if kind == "picture" else f" ({span_words(track)})") for track in forged]
        return f"{listed(named).capitalize()} are likely forged."
    worst = max(forged, key=lambda track: track.p_fake)
    where = "" if kind == "picture" else f", {span_words(worst)}"
    return f"{len(forged)} of {people} faces are likely forged, most clearly {face_name(worst)}{where}."


def _clause(reason: str) -> str:
    """A reason as the end of a sentence: no capital letter where that is one, no full stop."""
    reason = plain(reason).strip().rstrip(".")
    is_word = reason[1:2].islower() or reason[1:2] == " "
    reason = reason[:1].lower() + reason[1:] if is_word else reason
    return f" about the face: {reason}" if reason.startswith(("it ", "its ")) else f": {reason}"


def caveats(said: FileVerdict) -> list[str]:
    """What must be known beside the verdict, in sentences.

    That the file broke off, the reasons that the verdict's sentence does not give, of which forged faces more frames
    could change the verdict, and which faces are not covered by it.
    """
    notes = [sentence(reason) for reason in said.reasons[said.verdict == "inconclusive" :]]
    notes += [
        f"{_frames_of(track, len(said.tracks))} are too few or too unlike to be sure that it is forged: "
        f"{_anywhere(track.interval)}."
        for track in said.tracks
        if track.verdict == "fake" and track.interval and track.interval[0] < track.fake_from
    ]
    if said.facts and (said.facts.video_streams or 1) > 1:
        notes.insert(0, f"Only one of the file's {said.facts.video_streams} video streams was looked at.")
    if said.error:
        notes.insert(0, f"Only a part of the file could be read, and the verdict is on that: {plain(said.error)}.")
    open_ones = [face_name(track) for track in said.tracks if track.verdict == "inconclusive"]
    if said.verdict in ("real", "fake") and open_ones:
        many = len(open_ones) > _MOST_NAMED
        who = f"{len(open_ones)} of {len(said.tracks)} faces" if many else listed(open_ones)
        notes.append(f"Nothing can be concluded about {who}.")
    return notes


def sentence(text: str) -> str:
    """Words out of a record as a sentence: with a capital letter and a full stop."""
    shown = plain(text).strip()
    ended = shown if shown.endswith((".", "!", "?", ")")) else f"{shown}."
    return ended[:1].upper() + ended[1:]


def probability_words(p_fake: float, interval: Interval | None) -> str:
    """`83%, about 4 in 5 (95% interval 61% to 93%)`."""
    ends = f"{COVERAGE:.0%} interval {percent(interval[0])} to {percent(interval[1])}" if interval else "no interval"
    return f"{percent(p_fake)}, {about(p_fake)} ({ends})"


def rarer(p_fake: float, rare: float = RARE) -> float:
    """What a probability for media half of which are forged is where only a share `rare` of them is."""
    if p_fake >= 1:
        return 1.0
    odds = p_fake / (1 - p_fake) * rare / (1 - rare)
    return odds / (1 + odds)


def meaning(p_fake: float) -> str:
    """What a calibrated probability says where half of all videos are forged, and where few are."""
    few = round(1 / RARE)
    return (
        f"If half of all videos were forged, {percent(p_fake)} of those with such a score would be; if one in {few} "
        f"were, {percent(rarer(p_fake))}."
    )


def file_score_sentence(said: FileVerdict) -> str:
    """The score of a whole file, and what it was taken from.

    Raises:
        ValueError: it has none.
    """
    if said.p_fake is None:
        raise ValueError(f"no score without a face: {said.file!r}")
    alone = any(track.p_fake == said.p_fake for track in said.tracks)
    of = "that of its most suspicious face" if alone else "from the frames of its faces together"
    return f"Estimate for the file, {of}: {probability_words(said.p_fake, said.interval)}."


def rests_on(track: TrackScore, kind: Kind) -> str:
    """What a face's score was taken from."""
    wide = f"; the face is about {track.width:.0f} pixels wide" if track.width else ""
    return f"From {'this picture' if kind == 'picture' else counted(len(track.judged_by), 'frame')}{wide}."


def limits_words(track: TrackScore) -> str:
    """From when on faces like one are called what."""
    return (
        f"A face like this counts as likely forged from {percent(track.fake_from)}, and shows no sign of forgery up "
        f"to {percent(track.real_up_to)}."
    )


def name_of(file: str) -> str:
    """A file's name without its folders."""
    return plain(PurePath(file).name or file)


def track_sentence(track: TrackScore, kind: Kind) -> str:
    """One face in one line: who, when or where, what is said of it, how likely, and on how many frames that rests."""
    left, top, right, bottom = track.frames[0].box
    place = f"at {left:.0f}, {top:.0f} to {right:.0f}, {bottom:.0f}" if kind == "picture" else span_words(track)
    who = f"{face_name(track).capitalize()}, {place}"
    score = probability_words(track.p_fake, track.interval)
    frames = "" if kind == "picture" else f", from {counted(len(track.judged_by), 'frame')}"
    return f"{who}: {VERDICT_WORDS[track.verdict]}, {score}{frames}."


def summary_lines(said: FileVerdict) -> list[str]:
    """All that a terminal says of a file: its name, the verdict, what to know beside it, then a line a face.

    What is to be known of a face, why it is inconclusive and how often the detector errs on its like, comes last, once
    for all faces of which it holds.
    """
    verdict, faces = verdict_sentence(said), [track_sentence(track, said.kind) for track in said.tracks]
    of_faces: dict[str, list[TrackScore]] = {}
    for track in said.tracks:
        rates = [_short_rates(track.rates, few=is_few(track, said.kind))] if track.rates else []
        for words in (*track.reasons, *rates):
            of_faces.setdefault(words, []).append(track)
    known = [_of_those(words, tracks, len(said.tracks)) for words, tracks in of_faces.items()]
    if said.verdict == "inconclusive":  # whose sentence gives the first reason
        known = [words for words in known if words != sentence(said.reasons[0])]
    notes = [note for note in caveats(said) if not any(note.endswith(sentence(words)[1:]) for words in of_faces)]
    return [f"{plain(said.file)}: {verdict}", *(f"    {line}" for line in (*notes, *faces, *known))]


def _of_those(words: str, tracks: Sequence[TrackScore], people: int) -> str:
    """Words on some of a file's faces as a sentence that names them where there are others, or many."""
    if people == 1:
        return sentence(words)
    many = len(tracks) > _MOST_NAMED
    who = f"{len(tracks)} of {people} faces" if many else listed([face_name(track) for track in tracks])
    return sentence(f"{who}: {words}")


def is_few(track: TrackScore, kind: Kind) -> bool:
    """Whether a verdict rests on fewer frames than error rates that were measured on videos hold for."""
    return kind == "picture" or len(track.judged_by) < _FEW_FRAMES


def _short_rates(rates: ErrorRates, few: bool) -> str:
    if rates.real_called_fake is None or rates.fake_called_real is None:
        return "how often the detector errs on such faces by the given threshold is not known"
    called_fake, called_real = round(rates.real_called_fake * rates.real), round(rates.fake_called_real * rates.fake)
    return (
        f"of {counted(rates.real, 'real validation video')} of such faces the detector called {called_fake:,} forged, "
        f"of {rates.fake:,} forged ones {called_real:,} real{f'; {WHOLE_VIDEOS}' if few else ''}"
    )


def rates_words(rates: ErrorRates | None, few: bool = False) -> list[str]:
    """How often the detector erred on validation faces like this one, in sentences.

    Args:
        rates: None where nobody knows.
        few: whether fewer frames of this one were looked at than of those.
    """
    if rates is None:
        return ["How often the detector errs on faces like this one is not known."]
    if rates.real_called_fake is None or rates.fake_called_real is None:
        errors = (
            f"How often it errs on faces like this one ({plain(rates.faces)}) by the given threshold is not known."
        )
    else:
        errors = (
            f"Among validation faces like this one ({plain(rates.faces)}), by the detector's own thresholds, "
            f"{_errors(rates.real_called_fake, rates.real, 'real', 'forged')}, and "
            f"{_errors(rates.fake_called_real, rates.fake, 'forged', 'real')}."
        )
    said = [
        errors,
        f"Shown a forged and a real one of these, the detector gave the forged one the higher score in "
        f"{percent(rates.auc)} of cases (half would be a coin).",
    ]
    if few:
        said.append(sentence(WHOLE_VIDEOS))
    if min(rates.real, rates.fake) < _FEW_VIDEOS:
        said.append("These are few videos: the rates are rough.")
    return said


def _errors(rate: float, videos: int, kind: str, called: str) -> str:
    """`3 of 34 real videos were called forged (9%)`; that there was none of them promises nothing."""
    of, wrong = counted(videos, f"{kind} video"), round(rate * videos)
    if videos and not wrong:
        return f"none of {of} was called {called} (which is no proof that it does not happen)"
    return f"{wrong:,} of {of} {'was' if wrong == 1 else 'were'} called {called} ({percent(rate)})"
