"""The chain: whatever is changed in it is found, and named."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gearsy.base.digests import digest
from gearsy.base.errors import BadRecord, LabBroken
from gearsy.store import Entry, Lab, LedgerCheck
from gearsy.store.ledger import GENESIS

BODIES = (
    {"theory": "directed", "rate": 0.95},
    {"theory": "symmetric é", "rates": [0.5, 1.0]},
    {"n": 3, "seal": "melody"},
)


@pytest.fixture
def sealed(lab: Lab) -> Lab:
    for body in BODIES:
        lab.ledger.append("registration", body)
    return lab


def change(lab: Lab, *statements: str) -> LedgerCheck:
    """The check after somebody has changed the file with another program, triggers dropped."""
    with closing(sqlite3.connect(lab.folder / "lab.sqlite", isolation_level=None)) as connection:
        for trigger in ("update", "delete", "replace"):
            connection.execute(f"DROP TRIGGER ledger_no_{trigger}")
        for statement in statements:
            connection.execute(statement)
    return lab.ledger.verify()


def bad(check: LedgerCheck) -> tuple[bool, int | None]:
    return check.ok, check.first_bad


class TestAppending:
    def test_chains_each_entry_to_the_one_before(self, sealed: Lab) -> None:
        entries = sealed.ledger.entries()
        assert [entry.seq for entry in entries] == [1, 2, 3]
        assert [entry.prev for entry in entries] == [GENESIS, entries[0].hash, entries[1].hash]
        assert [entry.body for entry in entries] == list(BODIES)
        assert sealed.ledger.head() == entries[-1].hash
        first = {"seq": 1, "created_at": "2026-01-01T00:00:00.000+00:00", "kind": "registration", "body": BODIES[0]}
        assert entries[0].hash == digest("ledger", {**first, "prev": "0" * 64})

    def test_returns_the_entry_as_it_will_be_read(self, lab: Lab) -> None:
        entry = lab.ledger.append("note", {"levels": ("a", "b"), "whole": 1.0, "none": None})
        assert isinstance(entry, Entry)
        assert entry.body == {"levels": ["a", "b"], "whole": 1, "none": None}
        assert lab.ledger.entries() == [entry]

    def test_entries_of_one_kind_can_be_had(self, sealed: Lab) -> None:
        note = sealed.ledger.append("note", {})
        assert sealed.ledger.entries("note") == [note]
        assert sealed.ledger.entries("deviation") == []

    @pytest.mark.parametrize(
        "body", [{"x": float("nan")}, {"x": float("inf")}, {"x": {1, 2}}, {"x": "\ud800"}, {"n": 2**60}]
    )
    def test_refuses_what_has_no_canonical_form(self, lab: Lab, body: dict[str, object]) -> None:
        with pytest.raises(BadRecord, match="a ledger entry of kind 'note' cannot be written as canonical JSON: "):
            lab.ledger.append("note", body)
        assert lab.ledger.head() == GENESIS

    def test_refuses_an_entry_without_a_kind(self, lab: Lab) -> None:
        with pytest.raises(BadRecord, match="a ledger entry has no kind; give it one word"):
            lab.ledger.append("", {})


class TestVerifying:
    def test_an_empty_ledger_holds(self, lab: Lab) -> None:
        expected = LedgerCheck(ok=True, n_entries=0, head="0" * 64, first_bad=None, why="every entry holds.")
        assert lab.ledger.verify() == expected

    def test_an_untouched_ledger_holds(self, sealed: Lab) -> None:
        check = sealed.ledger.verify()
        assert check == LedgerCheck(
            ok=True, n_entries=3, head=sealed.ledger.head(), first_bad=None, why="every entry holds."
        )

    @pytest.mark.parametrize("column", ["created_at", "kind", "body", "prev", "hash"])
    @pytest.mark.parametrize("seq", [1, 2, 3])
    def test_one_changed_character_in_any_column_is_named(self, sealed: Lab, column: str, seq: int) -> None:
        last = f"char(unicode(substr({column}, -3, 1)) + 1) || substr({column}, -2)"
        check = change(
            sealed,
            f"UPDATE ledger SET {column} = substr({column}, 1, length({column}) - 3) || {last} WHERE seq = {seq}",
        )
        assert bad(check) == (False, seq)
        assert check.n_entries == 3
        assert check.head == (sealed.ledger.entries()[seq - 2].hash if seq > 1 else GENESIS)

    def test_a_changed_number_is_named(self, sealed: Lab) -> None:
        check = change(sealed, "UPDATE ledger SET seq = 9 WHERE seq = 2")
        assert bad(check) == (False, 2)
        assert check.why == "entry 2 is missing: entry 3 stands in its place."

    def test_a_deleted_middle_entry_is_named(self, sealed: Lab) -> None:
        check = change(sealed, "DELETE FROM ledger WHERE seq = 2")
        assert bad(check) == (False, 2)
        assert check.n_entries == 2

    def test_a_deleted_and_renumbered_entry_is_named(self, sealed: Lab) -> None:
        check = change(sealed, "DELETE FROM ledger WHERE seq = 2", "UPDATE ledger SET seq = 2 WHERE seq = 3")
        assert bad(check) == (False, 2)
        assert check.why.startswith("entry 2 does not follow entry 1: its prev is ")

    def test_the_same_json_written_otherwise_is_named(self, sealed: Lab) -> None:
        check = change(sealed, """UPDATE ledger SET body = replace(body, ':', ': ') WHERE seq = 2""")
        assert bad(check) == (False, 2)
        assert check.why == "entry 2 was changed: its body is not in canonical form."

    @pytest.mark.parametrize(
        ("statement", "why"),
        [
            (
                "UPDATE ledger SET body = CAST(body AS BLOB) WHERE seq = 2",
                "entry 2 is damaged: its body is not text.",
            ),
            (
                "UPDATE ledger SET kind = CAST(x'ff' AS TEXT) WHERE seq = 2",
                "entry 2 is damaged: its kind is not text.",
            ),
            ("UPDATE ledger SET body = '{' WHERE seq = 2", "entry 2 is damaged: its body is not JSON (Expecting"),
            (
                "UPDATE ledger SET kind = 'note' WHERE seq = 2",
                "entry 2 was changed: its content does not give its hash ",
            ),
        ],
    )
    def test_each_kind_of_damage_is_said_in_words(self, sealed: Lab, statement: str, why: str) -> None:
        check = change(sealed, statement)
        assert bad(check) == (False, 2)
        assert check.why.startswith(why)

    def test_the_rewritten_end_differs_from_the_published_head(self, sealed: Lab) -> None:
        """What the module says of itself: a chain without its newest entry holds; only the published head tells."""
        published = sealed.ledger.head()
        check = change(sealed, "DELETE FROM ledger WHERE seq = 3")
        assert check.ok
        assert check.head != published


class TestDamagedFile:
    @pytest.fixture
    def closed(self, sealed: Lab) -> Path:
        sealed.close()
        return sealed.folder

    def test_a_flipped_bit_inside_a_body_is_named(self, closed: Path) -> None:
        path = closed / "lab.sqlite"
        content = bytearray(path.read_bytes())
        place = content.index(b"symmetric")
        assert content.count(b"symmetric") == 1
        content[place] ^= 1
        path.write_bytes(content)
        with Lab.open(closed) as lab:
            check = lab.ledger.verify()
        assert bad(check) == (False, 2)
        assert check.n_entries == 3

    def test_no_flipped_bit_of_the_ledgers_page_goes_unseen(self, closed: Path) -> None:
        path = closed / "lab.sqlite"
        with Lab.open(closed) as lab:
            original = lab.ledger.entries()
        with closing(sqlite3.connect(path)) as connection:
            (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ledger'").fetchone()
        content, page = path.read_bytes(), (root - 1) * 4096
        rows = page + int.from_bytes(content[page + 5 : page + 7])  # the file format: rows fill a page from its end
        places = [*range(page, page + 8 + 2 * len(BODIES)), *range(rows, page + 4096)]
        assert len(places) > 600
        clear = 0
        for place, (check, entries) in zip(places, self.flipped(path, content, places), strict=True):
            seen = check is None or not check.ok
            assert seen or entries == original, f"byte {place - page} of the page"
            clear += check is not None and not check.ok
        assert clear > 0.95 * len(places)  # and nearly always with the entry's number

    def flipped(
        self, path: Path, content: bytes, places: list[int]
    ) -> Iterator[tuple[LedgerCheck | None, list[Entry] | None]]:
        """For each byte: the check, and the entries, where the file can be read at all."""
        for place in places:
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(changed)
            check = entries = None
            with Lab.open(path.parent) as lab:
                try:
                    check = lab.ledger.verify()
                    entries = lab.ledger.entries()
                except LabBroken:  # said clearly, which is all that can be done
                    pass
            yield check, entries

    def test_entries_that_cannot_be_read_point_to_verify(self, sealed: Lab) -> None:
        change(sealed, "UPDATE ledger SET body = '{', hash = 'none' WHERE seq = 3")
        with pytest.raises(LabBroken, match="ledger entry 3: its body cannot be read .* Verify the ledger"):
            sealed.ledger.entries()
        with pytest.raises(LabBroken, match="ledger entry 3: its hash is 'none', not a digest. Verify the ledger"):
            sealed.ledger.head()
        with pytest.raises(LabBroken, match="ledger entry 3: its hash is 'none'"):
            sealed.ledger.append("note", {})

    def test_text_that_is_not_text_is_a_clear_error(self, sealed: Lab) -> None:
        change(sealed, "UPDATE ledger SET created_at = CAST(x'ff' AS TEXT) WHERE seq = 2")
        with pytest.raises(LabBroken, match=r"is damaged \(Could not decode to UTF-8"):
            sealed.ledger.entries()


def test_the_body_is_stored_as_canonical_json(sealed: Lab) -> None:
    with closing(sqlite3.connect(sealed.folder / "lab.sqlite")) as connection:
        (text,) = connection.execute("SELECT body FROM ledger WHERE seq = 2").fetchone()
    assert text == '{"rates":[0.5,1],"theory":"symmetric é"}'
    assert json.loads(text) == BODIES[1]
