"""Records to JSON and back, exactly: every float bit for bit, every record under its own name.

A record is an object whose `record` member names its type, as in `gearsy.base.digests.plain`; so a union of
records needs no guessing. JSON has no infinities, and a log-probability can be one: those are the strings
"inf", "-inf" and "nan" where a float is wanted. (msgspec 0.22 writes them as null, refuses a union of two
dataclasses, and refuses a lone surrogate in a text; hence the standard library's json and the readers below.)
"""

import json
import math
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from gearsy.base.digests import plain
from gearsy.base.errors import GearsyError, LabBroken

T = TypeVar("T")
Reader = Callable[[object], object]
NON_FINITE = ("inf", "-inf", "nan")


class _Unreadable(ValueError):
    """What was stored is not what is wanted here; `decode` turns it into a `LabBroken`."""


def encode(value: object) -> bytes:
    """`value` (a record, or a tuple of them) as ASCII JSON.

    >>> from gearsy.base.records import Failure
    >>> encode(Failure(reason="timeout"))
    b'{"record":"Failure","reason":"timeout","detail":""}'
    """
    # ASCII, because a model's text can hold a lone surrogate, which UTF-8 refuses and a \\u escape keeps.
    return json.dumps(_finite(plain(value)), separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def decode(data: bytes, *kinds: type[T]) -> T:
    """The record that `encode` made `data` from: one of `kinds`, each a record or a tuple of records.

    >>> from gearsy.base.records import Failure, Response
    >>> decode(encode(Response(text="a pretty song")), Response, Failure).text
    'a pretty song'
    """
    read = _union(kinds)
    try:
        return cast("T", read(json.loads(data)))
    except (ValueError, TypeError, RecursionError, GearsyError) as error:
        wanted = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
        raise LabBroken(
            f"what is stored as {wanted} cannot be read: {error} Restore the lab from a copy, or run again in a new one."
        ) from error


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value


@cache
def _reader(kind: object) -> Reader:
    """The function that turns JSON into a `kind`; made once for each type."""
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return _record_reader(kind)
    if origin in (Union, UnionType):
        return _union(args)
    if origin is Literal:
        return _literal_reader(args)
    if origin is tuple:
        return _list_reader(args[0]) if args[1:] == (...,) else _tuple_reader(args)
    if kind in _ATOMS:
        return _ATOMS[kind]
    raise NotImplementedError(f"the store cannot read a {kind}; give records of records, tuples, text and numbers.")


def _record_reader(kind: type) -> Reader:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}

    def read(value: object) -> object:
        if not isinstance(value, dict) or value.get("record") != kind.__name__:
            raise _Unreadable(f"found {_shown(value)} where a {kind.__name__} was wanted.")
        given = {}
        for name, item in value.items():
            if name == "record":
                continue
            if name not in readers:
                raise _Unreadable(f"{kind.__name__} has no {name!r}.")
            try:
                given[name] = readers[name](item)
            except _Unreadable as error:
                raise _Unreadable(f"{kind.__name__}.{name}: {error}") from error
        if missing := required - given.keys():
            raise _Unreadable(f"{kind.__name__} lacks {', '.join(sorted(missing))}.")
        return kind(**given)

    return read


@cache
def _union(kinds: tuple[object, ...]) -> Reader:
    """Reads the one member of the union that the JSON can be: records by name, the rest by JSON type."""
    if len(kinds) == 1:
        return _reader(kinds[0])
    records: dict[str, Reader] = {}
    others: dict[type, Reader] = {}
    for kind in kinds:
        if isinstance(kind, type) and is_dataclass(kind):
            records[kind.__name__] = _reader(kind)
            continue
        for shape in _shapes(kind):
            if shape in others:
                raise NotImplementedError(f"the store cannot tell the members of {kinds} apart in JSON.")
            others[shape] = _reader(kind)
    wanted = " or ".join([*records, *(shape.__name__ for shape in others)])

    def read(value: object) -> object:
        name = value.get("record") if isinstance(value, dict) else None
        reader = records.get(name) if isinstance(name, str) else others.get(type(value))
        if reader is None:
            raise _Unreadable(f"found {_shown(value)} where {wanted} was wanted.")
        return reader(value)

    return read


def _shapes(kind: object) -> tuple[type, ...]:
    """The JSON types that a `kind` other than a record can have."""
    if get_origin(kind) is Literal:
        return tuple({type(choice) for choice in get_args(kind)})
    if get_origin(kind) is tuple:
        return (list,)
    if kind is float:
        return (float, int, str)
    if isinstance(kind, type):
        return (kind,)
    raise NotImplementedError(f"the store cannot read a {kind} among others.")


def _literal_reader(choices: tuple[object, ...]) -> Reader:
    def read(value: object) -> object:
        for choice in choices:
            if type(value) is type(choice) and value == choice:
                return value
        raise _Unreadable(f"found {_shown(value)} where one of {choices} was wanted.")

    return read


def _list_reader(kind: object) -> Reader:
    member = _reader(kind)

    def read(value: object) -> object:
        if type(value) is not list:
            raise _Unreadable(f"found {_shown(value)} where a list was wanted.")
        return tuple([member(item) for item in value])

    return read


def _tuple_reader(kinds: tuple[object, ...]) -> Reader:
    members = [_reader(kind) for kind in kinds]

    def read(value: object) -> object:
        if type(value) is not list or len(value) != len(members):
            raise _Unreadable(f"found {_shown(value)} where a list of {len(members)} was wanted.")
        return tuple([member(item) for member, item in zip(members, value, strict=True)])

    return read


def _atom_reader(kind: type) -> Reader:
    def read(value: object) -> object:
        if type(value) is not kind:
            raise _Unreadable(f"found {_shown(value)} where a {kind.__name__} was wanted.")
        return value

    return read


def _read_float(value: object) -> float:
    if type(value) is float or type(value) is int:  # a whole number stays one, so that it prints as it was given
        return value
    if isinstance(value, str) and value in NON_FINITE:
        return float(value)
    raise _Unreadable(f"found {_shown(value)} where a float was wanted.")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_ATOMS: dict[object, Reader] = {
    float: _read_float,
    **{kind: _atom_reader(kind) for kind in (str, int, bool, NoneType)},
}
