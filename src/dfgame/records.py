"""The values that are handed from room to room, and the words they are labelled with."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Label = Literal["real", "fake"]
Split = Literal["train", "val", "test"]
Kind = Literal["picture", "video"]
Verdict = Literal["fake", "real", "inconclusive", "no face"]

LABELS: tuple[Label, ...] = ("real", "fake")
"""Class names; the index of a name is its class number: real 0, fake 1."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
"""The four manipulation methods of FaceForensics++, in the order of its paper."""
ORIGINAL = "original"
"""The `method` of a real video."""
COMPRESSIONS = ("raw", "c23", "c40")
FORGED_LIVE = "live forgeries"
"""What a detector was trained on whose fakes were forged while it trained, in the place of methods."""
UNKNOWN = "unknown"
"""The `method` of fakes, or the `compression`, where the data set does not say."""
CRF = {"raw": 0, "c23": 23, "c40": 40}
"""H.264 constant rate factor of each compression; raw is lossless."""


class UserError(Exception):
    """Something the user can mend: `problem` says what is wrong, `remedy` what to do. One line each."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class SettingError(ValueError):
    """A setting, or two together, that cannot be used; the message names the flag to change."""


@dataclass(frozen=True, slots=True)
class Video:
    """One labelled video of a data set, or a picture, or a folder of faces that are cut out already.

    All paths are POSIX paths relative to the data set's root. `dataset` is the published name of the data set that
    it belongs to. `identity` is the person on whose body the face is seen (the target); `source` is the person whose
    face or expression was put there, None for a real video. `original` is the real video that a fake was made from,
    whether or not it is there. `mask` is a video, bright where the face was altered: a fake's own, or that of a fake
    made from this real video. `crops` names the pictures of a folder that count, where not all do. A video's name in
    the sense of every table is `name`, never its stem alone.
    """

    path: str
    label: Label
    method: str
    compression: str
    identity: str
    source: str | None = None
    split: Split | None = None
    mask: str | None = None
    original: str | None = None
    dataset: str = ""
    crops: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in every table: unique over data sets."""
        return f"{self.dataset}/{self.path}"


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face, in pixels of the frame it was found in.

    `box` is (left, top, right, bottom); `points` are left eye, right eye, nose, left and right mouth corner
    as seen in the image, each (x, y); `score` is the detector's confidence in [0, 1].
    """

    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...]
    score: float


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be used, and why; kept so that every input is accounted for."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class CropRule:
    """How faces are cut out: as `extract` does with these settings, whose names they have."""

    margin: float
    alignment: str
    size: int
    min_score: float


@dataclass(frozen=True, slots=True)
class Model:
    """Which trained detector said something: its name, its version, the SHA-256 of its file."""

    name: str
    version: str
    sha256: str


COVERAGE = 0.95
"""Share of cases in which an interval holds the truth."""
Interval = tuple[float, float]
"""The ends of an interval that holds the truth in COVERAGE of cases."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a file is, as its bytes say; None where they do not, or where it makes no sense for a picture.

    `container` and `codec` are FFmpeg's or Pillow's names; `duration` in seconds, `bit_rate` in bits a second,
    `rotation` in degrees, of the file's own word; one of the `video_streams` is looked at. `tags` are the file's own
    metadata, as text nobody has checked; `provenance` is what a C2PA manifest says, and whether its signature holds,
    None where there is none.
    """

    size: int
    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    frames: int | None = None
    duration: float | None = None
    frame_rate: float | None = None
    bit_rate: int | None = None
    rotation: int = 0
    interlaced: bool = False
    audio: bool | None = None
    video_streams: int | None = None
    tags: tuple[tuple[str, str], ...] = ()
    provenance: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """What the detector got wrong on validation faces under like conditions, and in how many videos of either kind.

    `faces` says which, in words: "48 to 80 pixels wide, little detail". The shares that were called the other are None
    where they are not known, as for a threshold that somebody chose.
    """

    faces: str
    real: int
    real_called_fake: float | None
    fake: int
    fake_called_real: float | None
    auc: float


@dataclass(frozen=True, slots=True)
class FaceScore:
    """A face in a frame at `time` seconds: its calibrated probability of fake, its box in pixels of the frame.

    `frame` is the frame's number from 0. `detail` is how much fine structure its crop holds (see `faces/quality.py`).
    `counts` tells whether the face is judged by this frame, too, or is turned to a side in it.
    """

    time: float
    p_fake: float
    box: tuple[float, ...]
    frame: int = 0
    detail: float = 0.0
    counts: bool = True


@dataclass(frozen=True, slots=True)
class TrackScore:
    """One face followed through a shot: the calibrated mean of the frames that count, from when to when it was seen.

    `reasons` are sentences: why it is inconclusive, or what to be wary of. `width` is the median width of its boxes in
    pixels, in the frames that count. `rates` are those of validation faces like it, None where the box does not say,
    or where it is turned to a side. `fake_from` and `real_up_to` are the thresholds for faces like it.
    """

    id: int
    p_fake: float
    first_time: float
    last_time: float
    frames: tuple[FaceScore, ...]
    verdict: Verdict = "inconclusive"
    interval: Interval | None = None
    reasons: tuple[str, ...] = ()
    width: float = 0.0
    rates: ErrorRates | None = None
    fake_from: float = 1.0
    real_up_to: float = 0.0

    @property
    def judged_by(self) -> tuple[FaceScore, ...]:
        """The frames that count."""
        return tuple(frame for frame in self.frames if frame.counts)


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What is said of a picture or a video; `p_fake` is None without a face.

    `error` says why the file could not be read to its end; what could be read has its verdict all the same. `frames`
    is how many frames were looked at. `settings` are those that the verdict depends on.
    """

    file: str
    sha256: str
    kind: Kind
    verdict: Verdict
    p_fake: float | None
    tracks: tuple[TrackScore, ...]
    model: Model
    error: str | None = None
    interval: Interval | None = None
    reasons: tuple[str, ...] = ()
    frames: int = 0
    facts: MediaFacts | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probe:
    """A frame's score after something was done to its crop: `kind` blur, adversary, h264 or scale, at a strength.

    The strength is the blur's sigma in pixels of the crop (adversary: its greatest; it blurs where that speaks most
    against the detector's answer), the CRF, or the share of the side that is left.
    """

    kind: Literal["blur", "adversary", "h264", "scale"]
    strength: float
    p_fake: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a frame's score rests on. Pictures are PNG or JPEG files of the crop's size.

    `amplified` shows the crop's fine structure enlarged, `heat` the crop with where the detector looked.
    `hot_change` and `random_change` are how much the log-odds of the raw score move when the hottest region, and when
    a region of that size elsewhere (the mean of several), is smoothed away. `turning_blur` is the smallest sigma, in
    pixels of the crop, whose blur changes the verdict on this frame, None where none that was tried does. Where only
    the heat map was made, `amplified` and `probes` are empty.
    """

    track: int
    frame: int
    time: float
    p_fake: float
    crop: bytes
    amplified: bytes
    heat: bytes
    hot_change: float
    random_change: float
    probes: tuple[Probe, ...]
    turning_blur: float | None


def face_name(track: TrackScore | int) -> str:
    """What people are told of a track, or of the one with this id: `face 1` is the first, whose id is 0."""
    return f"face {(track if isinstance(track, int) else track.id) + 1}"


def verdict_json(said: FileVerdict | Failure) -> dict[str, Any]:
    """A file's verdict, or why there is none, as plain JSON values; `error` is there only if something is wrong."""
    if isinstance(said, Failure):
        return {"file": said.path, "verdict": None, "error": said.reason}
    values = asdict(said)
    return values if said.error else {key: value for key, value in values.items() if key != "error"}
