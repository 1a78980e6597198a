"""dfgame robustness."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import RobustnessConfig


def robustness(
    manifest: Path,
    /,
    *detectors: Path,
    data: tuple[Path, ...] = (),
    out: Path = Path("robustness"),
    settings: Annotated[RobustnessConfig, Parameter(name="*")] = RobustnessConfig(),
) -> int:
    """Measure how well DETECTORS hold out as the videos of MANIFEST get worse, and as they are attacked.

    Each video is decoded once and made worse in every way: encoded again by H.264, frames through JPEG, shrunk and
    brought back, blurred, noisy, brighter or darker, the crop beside the face; then its faces are cut out again. The
    two adversaries of the game attack the fakes: a blur that each pixel has its own sigma of, and additive noise. OUT
    gets a curve of the video-level AUC for each, with 95% intervals over people, as a page, figures and tables. An
    interrupted call goes on when called again; videos that cannot be used are in OUT/failures.json.

    For example:

        dfgame robustness crops/manifest.parquet runs/game --data FaceForensics++

        dfgame robustness crops/manifest.parquet runs/plain runs/game --data FaceForensics++ --compressions c23

        dfgame robustness crops/manifest.parquet runs/game --data FaceForensics++ --only crf gradient-blur --people 30

        dfgame robustness crops/manifest.parquet runs/game --only jpeg blur

        dfgame robustness crops/manifest.parquet theirs.onnx --data FaceForensics++ --onnx.output logits

    Parameters
    ----------
    manifest: Path
        The table written by `dfgame extract`.
    detectors: Path
        Folders written by `dfgame train`, folders of such, files written by `dfgame calibrate`, and ONNX files: of
        `dfgame export`, or of other makers (--onnx.output says how they are read). The adversaries need a detector's
        slope, which an ONNX file does not give.
    data: Path
        The folders that `dfgame extract` read. Without them the stored crops are made worse, one by one, and what
        needs videos (crf, shift) is left out.
    out: Path
        Folder for the results.
    settings: RobustnessConfig
        All settings.
    """
    from dfgame.jobs import console, stdout
    from dfgame.report.robustness import half_words, robustness_table, write_robustness
    from dfgame.robustness.measure import FAILURES, measure_robustness

    found = measure_robustness(detectors, manifest, data, out, settings)
    page = write_robustness(out, found)
    stdout.print(robustness_table(found))
    for subject in found.subjects:
        halves = {name: half_words(found, subject, name) for name in found.transformations}
        lost = ", ".join(f"{name} {words}" for name, words in halves.items())
        said = f"{subject} loses half of what it is better than a coin: {lost}"
        alike = next(iter(halves.values()))
        stdout.print(f"{subject}: {alike}" if alike.endswith("untouched") else said, soft_wrap=True)
    for failure in found.failures[:20]:
        console.print(f"failed: {failure.path}: {failure.reason}", soft_wrap=True)
    if found.failures:
        console.print(f"{len(found.failures)} failed; all are in {out / FAILURES}", soft_wrap=True)
    stdout.print(f"{page}: the whole report", soft_wrap=True)
    return 1 if found.failures else 0
