"""Whatever is stored comes back the same."""

import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specimens import RUN_RESULT, SPECIMENS

from gearsy.base import bets, records, results
from gearsy.base.bets import Finding, Prediction, Rate
from gearsy.base.errors import LabBroken
from gearsy.base.records import STATES, Failure, Reply, Response, Scored, Usage
from gearsy.base.results import RunResult
from gearsy.store import decode, encode

TEXT = st.text(st.characters(), max_size=40)  # every code point, lone surrogates too
USAGE = st.builds(Usage, prompt_tokens=st.integers(0, 2**40), completion_tokens=st.integers(0, 2**40))
SECONDS = st.floats(min_value=0, allow_nan=False)
SUMS = st.lists(st.tuples(st.floats(max_value=0, allow_nan=False), st.integers(0, 4096)), max_size=5)
REPLIES = st.one_of(
    st.builds(Response, text=TEXT, state=st.sampled_from(STATES), usage=USAGE, latency_s=SECONDS),
    st.builds(
        lambda sums, usage, latency_s: Scored(
            logprobs=tuple(value for value, _ in sums),
            n_tokens=tuple(n for _, n in sums),
            usage=usage,
            latency_s=latency_s,
        ),
        SUMS,
        USAGE,
        SECONDS,
    ),
    st.builds(Failure, reason=TEXT, detail=TEXT),
)


def parts(record: object) -> set[type]:
    """The types of every record inside `record`, its own too."""
    if isinstance(record, tuple):
        return set().union(*map(parts, record))
    if not dataclasses.is_dataclass(record):
        return set()
    return {type(record)}.union(*(parts(getattr(record, field.name)) for field in dataclasses.fields(record)))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(reply=REPLIES)
def test_every_reply_comes_back_the_same(reply: Reply) -> None:
    back = decode(encode(reply), Response, Scored, Failure)
    assert type(back) is type(reply)
    assert repr(back) == repr(reply)  # repr, because -0.0 == 0.0 and 1 == 1.0


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda record: type(record).__name__)
def test_every_record_comes_back_the_same(specimen: object) -> None:
    back = decode(encode(specimen), type(specimen))
    assert back == specimen
    assert repr(back) == repr(specimen)


def test_the_specimens_leave_out_no_record_of_base() -> None:
    known = {
        kind
        for module in (records, bets, results)
        for kind in vars(module).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    }
    assert len(known) >= 30
    assert known - parts(SPECIMENS) == set()


def test_a_tuple_of_records_comes_back() -> None:
    findings = tuple(record for record in SPECIMENS if isinstance(record, Finding))
    assert len(findings) == 1
    assert decode(encode(findings), tuple[Finding, ...]) == findings


def test_not_a_number_comes_back_as_such() -> None:
    assert math.isnan(decode(encode(Response(text="", latency_s=math.nan)), Response).latency_s)


def test_what_is_stored_is_valid_json_that_names_its_records() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    stored = json.loads(encode(RUN_RESULT), parse_constant=refuse)
    assert stored["record"] == "RunResult"
    assert stored["bets"][0]["latent"] == {"record": "Rate", "mean": 0.95, "sd": 0.05}
    assert stored["theories"][0]["log_e"] == "-inf"


def test_a_field_with_a_default_may_be_missing_so_that_older_labs_can_be_read() -> None:
    assert decode(b'{"record":"Response","text":"yes"}', Response) == Response(text="yes")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "what is stored as Response cannot be read: Expecting property name"),
        (b"3", "found 3 where a Response was wanted"),
        (b'{"text":"yes"}', "where a Response was wanted"),
        (b'{"record":"Scored","logprobs":[],"n_tokens":[]}', "where a Response was wanted"),
        (b'{"record":"Response"}', "Response lacks text"),
        (b'{"record":"Response","text":3}', r"Response\.text: found 3 where a str was wanted"),
        (b'{"record":"Response","text":"","mood":1}', "Response has no 'mood'"),
        (b'{"record":"Response","text":"","state":"fine"}', r"Response\.state: found 'fine' where one of \('ok', "),
        (b'{"record":"Response","text":"","latency_s":"1.5"}', r"latency_s: found '1\.5' where a float was wanted"),
        (b'{"record":"Response","text":"","latency_s":true}', "latency_s: found True where a float was wanted"),
        (
            b'{"record":"Response","text":"","usage":{"record":"Usage","prompt_tokens":1.5}}',
            r"Response\.usage: Usage\.prompt_tokens: found 1\.5 where a int was wanted",
        ),
    ],
)
def test_what_is_not_the_wanted_record_is_refused_with_its_place(data: bytes, why: str) -> None:
    with pytest.raises(LabBroken, match=why) as caught:
        decode(data, Response)
    assert "Restore the lab from a copy" in str(caught.value)


def test_a_value_that_the_record_refuses_is_refused_here_too() -> None:
    with pytest.raises(LabBroken, match=r"stored as Rate cannot be read: Rate\(mean=2\): a rate lies in \[0, 1\]"):
        decode(b'{"record":"Rate","mean":2,"sd":0.1}', Rate)


def test_a_union_says_what_it_could_have_been() -> None:
    data = encode(Prediction(theory="t", condition="c", latent=Rate(mean=0.5, sd=0.1)))
    with pytest.raises(LabBroken, match="Prediction.latent: found .* where Rate or Abstain was wanted"):
        decode(data.replace(b'"Rate"', b'"Draws"'), Prediction)


def test_lists_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(LabBroken, match="Condition.levels: found .* where a list of 2 was wanted"):
        decode(b'{"record":"Condition","levels":[["asked"]]}', records.Condition)
    with pytest.raises(LabBroken, match="RunResult.limits: found 'none' where a list was wanted"):
        decode(encode(RUN_RESULT).replace(b'["One model family."]', b'"none"'), RunResult)


def test_a_type_that_json_cannot_tell_apart_is_a_defect_found_at_once() -> None:
    with pytest.raises(NotImplementedError, match="cannot read a <class 'bytes'>"):
        decode(b"{}", bytes)
    with pytest.raises(NotImplementedError, match="apart in JSON"):
        decode(b"{}", str, float)
