"""What became of every input: scored, no face, too small, not sampled, unreadable, failed, not scored."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from dfgame.card import failures_of
from dfgame.outcomes import Account, Unit
from dfgame.rows import AskedRows
from dfgame.subjects import Predicted, ScoredHere, Subject, unreadable

NO_FACE, UNREADABLE = "no face", "unreadable"
"""Why extraction made no crop of a video, as manifests say it."""


def accounts_of(name: str, subject: Subject, asked: AskedRows, said: Predicted) -> list[Account]:
    """What became of the crops, unless whole videos were scored, and of the videos; `said` is of all asked rows.

    The crops are all those in the manifests that the tests choose from; videos also those that extraction failed on.
    A video is unreadable where extraction could not read it, or none of its crops that were asked for can be read.
    """
    broken = np.zeros(asked.table.num_rows, bool)
    if isinstance(subject, ScoredHere):
        broken = unreadable(asked.table, ~said.scored, asked.sources)
    videos = _videos(name, subject, asked, said, broken)
    if subject.unit == "video":
        return [videos]
    scored, rows = int(said.scored.sum()), asked.table.num_rows
    crops = Account(
        name,
        "crop",
        inputs=rows + asked.small.num_rows + asked.not_sampled,
        scored=scored,
        no_face=0,
        too_small=asked.small.num_rows,
        unreadable=int(broken.sum()),
        failed=0,
        not_scored=rows - scored - int(broken.sum()),
        unknown_paths=subject.unknown_paths,
        not_sampled=asked.not_sampled,
    )
    return [crops, videos]


def _videos(name: str, subject: Subject, asked: AskedRows, said: Predicted, broken: NDArray[np.bool_]) -> Account:
    of_row = np.array(asked.table["video"].to_pylist(), np.str_)
    there, scored = set(of_row.tolist()), set(of_row[said.scored].tolist())
    lost = there - set(of_row[~broken].tolist())
    small = set(asked.small["video"].to_pylist()) - there
    failures = failures_of(asked)
    reasons: Counter[str] = Counter()
    for failure in failures or ():
        reasons[failure.get("reason", "")] += failure["videos"]
    no_face, not_read = reasons[NO_FACE], reasons[UNREADABLE]
    failed = reasons.total() - no_face - not_read
    unit: Unit = "video"
    return Account(
        name,
        unit,
        len(there) + len(small) + reasons.total(),
        len(scored),
        no_face,
        len(small),
        not_read + len(lost),
        failed,
        len(there) - len(scored) - len(lost),
        subject.unknown_paths if subject.unit == "video" else 0,
        failures is not None,
    )
