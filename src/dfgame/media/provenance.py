"""What a file's C2PA manifest says of where it comes from; nothing is fetched from anywhere."""

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from dfgame.media.guard import open_regular

_SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
_LOOKED_THROUGH = 8 << 20
_LONGEST = 200
_MOST_ACTIONS = 20


def provenance_of(path: Path) -> dict[str, Any] | None:
    """What a C2PA manifest in a file says; None where there is none in its first or last 8 MB.

    `present` is true. `valid` is whether signature and hashes hold, None if that could not be told; `trusted` whether
    the signer is on a list of the validator, too. `claim_generator`, `signed_by`, `signed_at`, `title` and `actions`
    (names of what was done) are the manifest's words, each cut to a line of 200 characters, None where it has none.
    `problems` are the validator's codes of what does not hold. `note` says why the manifest was not read.

    Raises:
        MediaError: the file cannot be opened.
    """
    with open_regular(path) as file:
        if not _has_manifest(file):
            return None
        file.seek(0)
        try:
            return _read(file)
        except ImportError:
            return _unread("a C2PA manifest is there; the extra `provenance` installs what reads it")
        except Exception as error:  # the library has dozens of errors for damaged manifests
            return _unread(f"a C2PA manifest may be there, and cannot be read ({_line(str(error))})")


def _has_manifest(file: BinaryIO) -> bool:
    """Whether the mark of a JUMBF box of C2PA is near one of the file's ends."""
    start = file.read(_LOOKED_THROUGH)
    end = file.seek(0, 2)
    file.seek(max(end - _LOOKED_THROUGH, 0))
    return any(b"jumb" in part and b"c2pa" in part for part in (start, file.read(_LOOKED_THROUGH)))


def _unread(note: str) -> dict[str, Any]:
    return {"present": True, "valid": None, "note": note}


@cache
def _context() -> Any:
    from c2pa import Context

    return Context.from_dict(_SETTINGS)


def _read(file: BinaryIO) -> dict[str, Any]:
    from c2pa import Reader

    with Reader(None, file, context=_context()) as reader:
        store = json.loads(reader.json())
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    signature = manifest.get("signature_info") or {}
    state = store.get("validation_state")
    return {
        "present": True,
        "valid": None if state is None else state in ("Valid", "Trusted"),
        "trusted": state == "Trusted",
        "claim_generator": _line(_generator(manifest)),
        "signed_by": _line(signature.get("issuer") or signature.get("common_name")),
        "signed_at": _line(signature.get("time")),
        "title": _line(manifest.get("title")),
        "actions": [_line(name) for name in _actions(manifest)][:_MOST_ACTIONS],
        "problems": [_line(one.get("code")) for one in store.get("validation_status") or []][:_MOST_ACTIONS],
    }


def _generator(manifest: dict[str, Any]) -> str | None:
    with suppress(LookupError, TypeError):
        one = manifest["claim_generator_info"][0]
        return " ".join(str(one[key]) for key in ("name", "version") if key in one)
    return manifest.get("claim_generator")


def _actions(manifest: dict[str, Any]) -> list[str]:
    """The names of the manifest's actions, and what kind of source each says the picture is from."""
    done = [one for one in manifest.get("assertions", []) if str(one.get("label", "")).startswith("c2pa.actions")]
    actions = [action for one in done for action in one.get("data", {}).get("actions", [])]
    sources = [str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1] for action in actions]
    return [
        f"{action.get('action')} ({source})" if source else str(action.get("action"))
        for action, source in zip(actions, sources, strict=True)
    ]


def _line(value: object) -> str | None:
    if value is None:
        return None
    return "".join(char for char in " ".join(str(value).split()) if char.isprintable())[:_LONGEST]
