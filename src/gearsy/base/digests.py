"""One canonical form for everything that is hashed: RFC 8785 JSON, then SHA-256 under a domain.

Keys are always the full 64 hexadecimal digits; a shortened digest is for people to read, never a key.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rfc8785


def plain(value: Any) -> Any:
    """`value` as JSON types: records become objects that carry their type's name, tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"record": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"cannot digest a {type(value).__name__}; give records, mappings, sequences or JSON values.")


def canonical(value: Any) -> bytes:
    """RFC 8785 canonical JSON of `value`; NaN and infinities raise.

    >>> canonical({"b": 1.0, "a": (1, None)})
    b'{"a":[1,null],"b":1}'
    """
    return rfc8785.dumps(plain(value))


def digest(domain: str, value: Any) -> str:
    """SHA-256 of `value` in canonical form; `domain` keeps equal values of different kinds apart.

    >>> digest("trial", [1]) == digest("prompt", [1])
    False
    """
    return hashlib.sha256(b"gearsy:" + domain.encode() + b"\x00" + canonical(value)).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
