"""dfgame export."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import ExportConfig
from dfgame.records import UserError


def export(*places: Path, settings: Annotated[ExportConfig, Parameter(name="*")] = ExportConfig()) -> int:
    """Write a detector as one ONNX file with its preprocessing, which needs neither dfgame nor PyTorch to run.

    It takes RGB crops, uint8 (N, size, size, 3), cut out as its metadata says, and gives `raw`, the raw score of each,
    and `p_fake`, the calibrated one. It is compared with PyTorch before it gets its name, and is not written where a
    score differs by more than 0.0001. docs/export.md says how to use it, docs/onnx_example.py does so. Needs the extra
    `onnx`: pip install '.[onnx]' in the clone.

    For example:

        dfgame export detector.onnx

        dfgame export my-detector.safetensors my-detector.onnx --licence CC-BY-4.0

    Parameters
    ----------
    places: Path
        The detector's file, as `dfgame calibrate` writes it, then OUT, the file to write. OUT alone: the detector is
        the one inside the package.
    settings: ExportConfig
        All settings.
    """
    from dfgame.export import export_box

    if len(places) not in (1, 2):
        raise UserError("export takes a detector's file and OUT, or OUT alone", "dfgame export [DETECTOR] OUT.onnx")
    *boxes, out = places
    difference = export_box(boxes[0] if boxes else None, out, settings)
    print(f"{out}: scores as PyTorch does; the largest difference is {difference:.1e}")
    return 0
