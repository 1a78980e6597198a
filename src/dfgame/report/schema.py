"""results.json: an object of these fields, and its JSON Schema, which follows from them.

python -m dfgame.report.schema > docs/results.schema.json
"""

import json
import sys
from dataclasses import asdict, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dfgame import __version__
from dfgame.outcomes import Account, Confusion, Gap, Group, LeftOut, Pair
from dfgame.summary import Evaluation, Result

SCHEMA_VERSION = 1
"""Grows when a field is renamed, removed, or means something else; new fields do not change it."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


@dataclass(frozen=True, slots=True)
class Results:
    """All numbers of an evaluation by `dfgame evaluate`."""

    schema_version: int
    dfgame: str
    datasets: list[str]
    split: str
    protocol: str | None
    results: list[Result]
    pairs: list[Pair]
    groups: list[Group]
    gaps: list[Gap]
    confusions: list[Confusion]
    accounting: list[Account]
    left_out: list[LeftOut]


def results_of(evaluation: Evaluation) -> dict[str, Any]:
    """What results.json holds, as plain JSON values."""
    settings = evaluation.settings
    return asdict(
        Results(
            SCHEMA_VERSION,
            __version__,
            settings["datasets"],
            settings["split"],
            settings["protocol"],
            evaluation.results,
            evaluation.pairs,
            evaluation.groups,
            evaluation.gaps,
            evaluation.confusions,
            evaluation.accounting,
            [
                LeftOut(*(cell[key] for key in ("run", "method", "compression", "reason")))
                for cell in settings["undefined"]
            ],
        )
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of results.json."""
    definitions: dict[str, Any] = {}
    of_results = _object(Results, definitions)
    return {"$schema": DIALECT, "title": "results.json"} | of_results | {"$defs": dict(sorted(definitions.items()))}


def _object(kind: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A dataclass as the schema of an object: all of its fields are always there, others may come."""
    hints = get_type_hints(kind)
    properties = {item.name: _type(hints[item.name], definitions) for item in fields(kind)}
    properties = {
        name: {"const": SCHEMA_VERSION} if name == "schema_version" else value for name, value in properties.items()
    }
    words = " ".join((kind.__doc__ or "").split())
    return {"description": words, "type": "object", "properties": properties, "required": list(properties)}


def _type(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, UnionType):
        return {"anyOf": [_type(one, definitions) for one in inner]}
    if origin is list or (origin is tuple and inner[-1] is Ellipsis):
        return {"type": "array", "items": _type(inner[0], definitions)}
    if origin is tuple:
        items = [_type(one, definitions) for one in inner]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    raise TypeError(f"{hint} has no place in results.json")


def main() -> None:
    """Print the schema."""
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")


if __name__ == "__main__":
    main()
