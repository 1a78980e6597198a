"""A CSV file that says more of people, or of videos, as their skin tone or age: joined to rows, for --by."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dfgame.records import UserError

_REMEDY = "its first line names the columns: identity (or video), further ones, and dataset where there are several"
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attributes:
    """The values of `columns` by what `keys`, columns of a manifest, hold."""

    path: Path
    keys: Key
    columns: tuple[str, ...]
    values: dict[Key, dict[str, str]]

    def joined(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        """The rows with these columns, null where the file says nothing.

        Raises:
            UserError: it says nothing of any row, or goes by identity alone where there are several data sets.
        """
        datasets = table["dataset"].unique().to_pylist()
        if self.keys == ("identity",) and len(datasets) > 1:
            raise UserError(f"{self.path}: has no column dataset, and there are {len(datasets)} data sets", _REMEDY)
        found = self._keys_of(table)
        if not set(found) & self.values.keys():
            raise UserError(f"{self.path}: no {self.keys[-1]} in it is in a manifest", _REMEDY)
        for column in columns:
            said = [self.values.get(key, {}).get(column) or None for key in found]
            table = table.append_column(column, pa.array(said, pa.string()))
        return table

    def lacking(self, table: pa.Table) -> str:
        """Of how many of the table's people, or videos, the file says nothing, in words; empty if of none."""
        there = set(self._keys_of(table))
        unknown = len(there - self.values.keys())
        return f"{self.path}: says nothing of {unknown} of {len(there)} ({self.keys[-1]})" if unknown else ""

    def _keys_of(self, table: pa.Table) -> list[Key]:
        return list(zip(*(table[name].to_pylist() for name in self.keys), strict=True))


def read_attributes(path: Path) -> Attributes:
    """Read the file; it goes by `video` if it has that column, else by `identity`, in a `dataset` if it has that one.

    Raises:
        UserError: it cannot be read, has neither, or says twice of somebody.
    """
    values: dict[Key, dict[str, str]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            header = list(reader.fieldnames or ())
            of = next((name for name in ("video", "identity") if name in header), None)
            if of is None:
                raise UserError(f"{path}: has neither a column identity nor a column video", _REMEDY)
            keys = ("dataset", of) if "dataset" in header else (of,)
            for line in reader:
                key = tuple(line[name] for name in keys)
                if key in values:
                    raise UserError(f"{path}: line {reader.line_num}: {' '.join(key)} is there twice", "leave one")
                values[key] = line
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error})", _REMEDY) from None
    return Attributes(path, keys, tuple(header), values)
