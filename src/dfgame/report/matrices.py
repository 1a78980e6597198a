"""The files of an evaluation's matrices: each as a picture, and as tables that can go into a paper."""

from pathlib import Path

from dfgame.files import write_text
from dfgame.report.cross import cross_matrices
from dfgame.report.figures import cross_figure, standalone
from dfgame.report.paper_tables import latex_table, markdown_table
from dfgame.summary import Evaluation

FOLDER = "matrices"


def write_matrices(out: Path, evaluation: Evaluation) -> None:
    """Write each matrix to OUT/matrices as NAME.svg, NAME.tex (for booktabs) and NAME.md, in place of earlier ones."""
    for pattern in ("forgeries-*", "qualities.*"):
        for earlier in (out / FOLDER).glob(pattern):
            earlier.unlink()
    for matrix in cross_matrices(evaluation):
        stem = str(out / FOLDER / matrix.name)
        write_text(Path(f"{stem}.svg"), standalone(cross_figure(matrix)))
        write_text(Path(f"{stem}.tex"), latex_table(matrix))
        write_text(Path(f"{stem}.md"), markdown_table(matrix))
