"""A report on the terminal."""

from collections import Counter

from rich.table import Table
from rich.text import Text

from dfgame.doctor import Report
from dfgame.doctor.files import Count
from dfgame.doctor.findings import KINDS, SEVERITIES, Finding
from dfgame.jobs import stdout
from dfgame.records import SPLITS

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
_MEDIA = {
    "video": ("video", "videos"),
    "picture": ("picture", "pictures"),
    "pictures": ("folder of crops", "folders of crops"),
    "mask": ("mask", "masks"),
}
_INDENT = " " * 17
_KIND = max(map(len, KINDS))


def print_report(report: Report, shown: int) -> None:
    """Print what the data set is, its counts, and each finding with its first paths and what to do."""
    data, probes = report.data, report.probes
    size = sum(seen.length for seen in probes.values())
    _line(f"{data.root}: {' and '.join(data.names)} (layout {data.layout})")
    _line(", ".join([*_numbers(report), _size(size)]))
    for note in data.notes:
        _line(f"note: {note}")
    stdout.print(_counts(report))
    for finding in report.findings:
        _finding(finding, shown)
    numbers = {severity: sum(one.severity == severity for one in report.findings) for severity in SEVERITIES}
    told = ", ".join(f"{n} {word}{'s' * (n != 1)}" for word, n in numbers.items() if n) or "nothing is wrong"
    how = "every frame" if report.config.deep else "headers and key frames; --deep decodes every frame"
    _line(f"{told} ({how}; {report.seconds:.0f} s)")


def _numbers(report: Report) -> list[str]:
    """How many there are of each kind of file."""
    videos = {video.path for video in report.data.videos}
    numbers = Counter(seen.medium if path in videos else "mask" for path, seen in report.probes.items())
    return [
        f"{numbers[medium]:,} {words[numbers[medium] != 1]}" for medium, words in _MEDIA.items() if numbers[medium]
    ]


def _size(length: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if length < 1000:
            return f"{length:.3g} {unit}"
        length /= 1000
    return f"{length:,.1f} GB"


def _counts(report: Report) -> Table:
    several = len(report.data.names) > 1
    unsplit = any(one.unsplit for one in report.counts)
    table = Table(*(["data set"] if several else []), "method", "quality")
    for name in (*SPLITS, *(["no split"] if unsplit else []), "all"):
        table.add_column(name, justify="right")
    for one in report.counts:
        cells = [_cell(one, split) for split in SPLITS]
        cells += [f"{one.unsplit:,}" if one.unsplit else ""] if unsplit else []
        table.add_row(*([one.dataset] if several else []), one.method, one.compression, *cells, _cell(one, None))
    return table


def _cell(one: Count, split: str | None) -> str:
    there = one.there[split]
    if split in one.official:
        return f"{there:,} of {one.official[split]:,}"
    return f"{there:,}" if there else ""


def _finding(finding: Finding, shown: int) -> None:
    head = Text(f"{finding.severity:<9}", style=_STYLES[finding.severity])
    head.append(f"{len(finding.files):>6,}  {finding.kind:<{_KIND}}  {finding.what}", style="default")
    stdout.print(head, soft_wrap=True)
    is_note = finding.severity == "note"
    paths = list(finding.files.items())[: min(shown, 1) if is_note else shown]
    for path, detail in paths:
        _line(f"{_INDENT}{path}  ({detail})" if detail else f"{_INDENT}{path}")
    if paths and not is_note and len(finding.files) > shown:
        _line(f"{_INDENT}and {len(finding.files) - shown:,} more")
    if finding.remedy:
        _line(f"{_INDENT}-> {finding.remedy}")


def _line(text: str) -> None:
    stdout.print(text, soft_wrap=True)
