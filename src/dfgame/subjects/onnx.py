"""An ONNX file over stored face crops, without torch: one of `dfgame export`, or anybody's that takes NCHW float."""

import contextlib
import hashlib
import importlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from dfgame.config import OnnxConfig
from dfgame.files import sha256
from dfgame.jobs import progress_bar
from dfgame.media import RgbImage
from dfgame.records import UserError
from dfgame.stored import read_stored, resized

METADATA_KEY = "dfgame"
"""Under this key a file of `dfgame export` says, as JSON, what it is."""
FORMATS = (1,)
RAW = "raw"
"""The output of such a file that is not calibrated yet."""
_UINT8, _FLOAT = "tensor(uint8)", "tensor(float)"

_LOCATION = re.compile(rb"\n\x08location\x12([\x01-\x7f])", re.DOTALL)
"""How a tensor's entry begins that names the file in which its values lie (`external_data` of onnx.proto)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OnnxDetector:
    """An ONNX file, ready to score: `facts` is what one of ours says of itself, None for others.

    `side` is that of the images that it takes, `batch` how many at a time; 0 is any number.
    """

    path: Path
    session: Any
    facts: dict[str, Any] | None
    side: int
    batch: int

    def score(self, paths: Sequence[Path], config: OnnxConfig, batch_size: int, workers: int) -> Floats:
        """The score of each crop: raw for ours, the probability of fake for others, in the order of `paths`.

        Raises:
            UserError: a crop cannot be read or is not as the file takes it, or the output cannot be understood.
        """
        size = self.batch or batch_size
        found: list[Floats] = [np.empty(0)]
        batches = _batches(paths, lambda path: self._input(read_stored(path), str(path), config), size, workers)
        with contextlib.closing(progress_bar(batches, -(-len(paths) // size), "scoring")) as bar:
            found += [self._scores(images, config) for images in bar]
        return np.concatenate(found)

    def score_images(self, crops: NDArray[np.uint8], config: OnnxConfig) -> Floats:
        """The score of each crop of (B, side, side, 3), RGB, as `score` gives it of stored ones.

        Raises:
            UserError: as of `score`.
        """
        images = [self._input(crop, "a crop to test on", config) for crop in crops]
        size = self.batch or len(images)
        parts = [np.stack(images[start : start + size]) for start in range(0, len(images), size)]
        return np.concatenate([np.empty(0), *(self._scores(part, config) for part in parts)])

    def try_out(self, config: OnnxConfig) -> None:
        """Refuse what `score` would, before anything is scored: an output that is not understood, of a black image."""
        blank = np.zeros((self.batch or 1, 3, self.side, self.side), np.float32)
        self._classes(self._run(blank), config)

    def _scores(self, images: NDArray[Any], config: OnnxConfig) -> Floats:
        """Of at most `batch` images; a smaller number is filled up with the last one."""
        filled = np.concatenate([images, np.repeat(images[-1:], max(self.batch - len(images), 0), axis=0)])
        output = self._run(filled)[: len(images)]
        return output.astype(np.float64) if self.facts else self._probabilities(output, config)

    def _run(self, images: NDArray[Any]) -> NDArray[Any]:
        """The output, as it is, with a number or a row of numbers for each image."""
        outputs = [RAW] if self.facts else [self.session.get_outputs()[0].name]
        name = self.session.get_inputs()[0].name
        try:
            found = np.asarray(self.session.run(outputs, {name: images})[0])
        except Exception as error:  # onnxruntime has no exception of its own to name
            reason = str(error).splitlines()[0]
            raise UserError(f"{self.path}: cannot score a batch ({reason})", "see --onnx.size") from None
        sides = [side for side in found.shape[1:] if side != 1]
        if found.shape[:1] != images.shape[:1] or len(sides) > 1 or not found.size:
            raise UserError(
                f"{self.path}: of {len(images)} images its output has the shape {found.shape}",
                "understood are (N,), (N, 1) and (N, classes): pool patches and frames inside the file",
            )
        return found.reshape(len(images), *sides)

    def _input(self, crop: RgbImage, name: str, config: OnnxConfig) -> NDArray[Any]:
        """A crop as the file takes it: ours brings it to the detector's side itself."""
        if self.facts:
            if crop.shape[:2] != (self.side, self.side):
                height, width = crop.shape[:2]
                raise UserError(
                    f"{self.path}: takes crops of {self.side} x {self.side}, {name} has {width} x {height}",
                    f"extract with --size {self.side}",
                )
            return crop
        image = resized(crop, self.side)
        colours = image if config.channels == "rgb" else image[:, :, ::-1]
        scaled = (colours / config.scale - np.array(config.mean)) / np.array(config.std)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)

    def _probabilities(self, output: NDArray[Any], config: OnnxConfig) -> Floats:
        """The probability of fake of each image, as --onnx.output says."""
        values, number = self._classes(output, config)
        found = values[:, number] if config.real is None else 1 - values[:, number]
        if config.output == "probability" and not ((found >= 0) & (found <= 1)).all():
            raise UserError(f"{self.path}: its output is no probability", "--onnx.output logit, or logits")
        return found

    def _classes(self, output: NDArray[Any], config: OnnxConfig) -> tuple[Floats, int]:
        """The probabilities (N, classes), and the number of the class that is asked for."""
        values = output.astype(np.float64).reshape(len(output), -1)
        columns = values.shape[1]
        if config.output == "logits":
            if columns < 2:
                raise UserError(f"{self.path}: one number an image", "--onnx.output logit, or probability")
            values = softmax(values, axis=1)
        elif config.output == "logit":
            if columns > 1:
                raise UserError(f"{self.path}: {columns} numbers an image", "--onnx.output logits, or probability")
            values = expit(values)
        number = config.fake if config.real is None else config.real
        if number is None and columns > 2:
            raise UserError(
                f"{self.path}: has {columns} classes, and which of them are fake is not known",
                "say so: --onnx.real with the number of real, all others being fake; or --onnx.fake",
            )
        number = columns - 1 if number is None else number
        if number >= columns:
            raise UserError(
                f"{self.path}: has {columns} classes, counted from 0, none is number {number}",
                "see --onnx.fake and --onnx.real",
            )
        return values, number


def onnx_sha256(path: Path) -> str:
    """The SHA-256 of an ONNX file; where weights lie in other files, that of the hashes of all of them."""
    content = path.read_bytes()
    named = {content[at.end() : at.end() + at[1][0]] for at in _LOCATION.finditer(content)}
    others = [path.parent / name.decode(errors="replace") for name in sorted(named)]
    hashes = [sha256(file) for file in (path, *others) if file.is_file()]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def load_onnx(path: Path, config: OnnxConfig, device: str = "auto") -> OnnxDetector:
    """Open an ONNX file and find out how it is fed.

    Raises:
        UserError: it cannot be read, the package onnxruntime is missing, or how it is fed cannot be understood.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", "`dfgame export` makes an ONNX file")
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        raise UserError(
            "to score by ONNX, the package onnxruntime is missing", "pip install '.[onnx]' in the clone"
        ) from None
    providers = [name for name in runtime.get_available_providers() if _fits(name, device)]
    try:
        session = runtime.InferenceSession(str(path), providers=providers)
    except Exception as error:  # onnxruntime has no exception of its own to name
        raise UserError(f"{path}: not an ONNX file, or damaged ({str(error).splitlines()[0]})") from None
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise UserError(
            f"{path}: takes {len(inputs)} inputs", "an ONNX file with one input, the images, is understood"
        )
    said = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    shape, batch = inputs[0].shape, inputs[0].shape[0] if inputs[0].shape else None
    batch = batch if isinstance(batch, int) else 0
    if said is not None and inputs[0].type == _UINT8:
        facts = _own_facts(path, said)
        return OnnxDetector(path, session, facts, facts["crop"]["size"], batch)
    if inputs[0].type != _FLOAT or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
        raise UserError(
            f"{path}: takes {inputs[0].type} of shape {shape}",
            "understood are files of `dfgame export`, and those that take tensor(float) of (N, 3, height, width)",
        )
    if not config.output:
        raise UserError(
            f"{path}: what its output means is not known", "say so: --onnx.output probability, logit or logits"
        )
    detector = OnnxDetector(path, session, None, _side(path, shape[2:], config.size), batch)
    detector.try_out(config)
    return detector


def _fits(provider: str, device: str) -> bool:
    cpu = provider == "CPUExecutionProvider"
    return cpu or (device in ("auto", "cuda") and provider == "CUDAExecutionProvider")


def _own_facts(path: Path, said: str) -> dict[str, Any]:
    try:
        facts = json.loads(said)
        if facts["format"] not in FORMATS:
            raise ValueError("it was written by another version")
        calibration = facts["calibration"]
        return facts | {
            "calibration": {name: float(calibration[name]) for name in ("slope", "intercept")},
            "crop": facts["crop"] | {"size": int(facts["crop"]["size"])},
        }
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: what it says of itself cannot be understood ({error})", "export it again") from None


def _side(path: Path, sides: Sequence[Any], asked: int) -> int:
    """The side of the square images that it takes."""
    fixed = {side for side in sides if isinstance(side, int)}
    if len(fixed) > 1:
        raise UserError(f"{path}: takes images of {sides[1]} x {sides[0]}", "square ones are understood")
    if asked and fixed and asked not in fixed:
        raise UserError(f"{path}: takes images of {min(fixed)} pixels, not of --onnx.size {asked}", "leave it out")
    if not asked and not fixed:
        raise UserError(f"{path}: does not say the size of its images", "say so: --onnx.size")
    return asked or min(fixed)


def _batches(
    paths: Sequence[Path], load: Callable[[Path], NDArray[Any]], size: int, workers: int
) -> Iterator[NDArray[Any]]:
    """The loaded crops, `size` at a time, read by so many threads."""
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for start in range(0, len(paths), size):
            yield np.stack(list(pool.map(load, paths[start : start + size])))
