"""The lab folder, its answers, runs and findings."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from specimens import RUN_RESULT, SPECIMENS

from gearsy.base.bets import Finding
from gearsy.base.digests import digest
from gearsy.base.errors import BadRecord, GearsyError, LabBroken, LabTooNew, UnknownName
from gearsy.base.records import Failure, Reply, Response, Scored
from gearsy.store import Lab, RunRow, database

FINDING = next(record for record in SPECIMENS if isinstance(record, Finding))
ANSWER = Response(text="Yellow", latency_s=0.25)


def key(n: int) -> str:
    return digest("test", n)


def start(lab: Lab, run_id: str = RUN_RESULT.run_id, design: str = key(0)) -> None:
    lab.runs.start(run_id, design=design, study="reversal-curse", size="quick", spec={"seeds": [0, 1]})


class TestOpening:
    def test_makes_the_folder_and_what_is_in_it(self, tmp_path: Path) -> None:
        with Lab.open(tmp_path / "deep" / "lab") as lab:
            assert lab.reports.is_dir()
            assert sorted(path.name for path in lab.folder.iterdir() if path.is_dir()) == ["artifacts", "reports"]
        with closing(sqlite3.connect(tmp_path / "deep" / "lab" / "lab.sqlite")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA user_version").fetchone() == (1,)

    def test_finds_what_an_earlier_process_kept(self, tmp_path: Path) -> None:
        with Lab.open(tmp_path) as lab:
            lab.responses.keep("m", {key(1): ANSWER})
        with Lab.open(tmp_path, create=False) as lab:
            assert lab.responses.find([key(1)]) == {key(1): ANSWER}

    def test_of_a_lab_that_is_not_there_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(GearsyError, match=r"^no lab at .*nowhere; run a study first, or name one with --lab\.$"):
            Lab.open(tmp_path / "nowhere", create=False)
        assert not (tmp_path / "nowhere").exists()

    def test_in_a_folder_that_cannot_be_made_names_it(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(
            GearsyError, match=r"the lab folder .*file/lab cannot be made \(Not a directory\)\. Name another"
        ):
            Lab.open(tmp_path / "file" / "lab")

    def test_where_the_file_cannot_be_opened_names_it(self, tmp_path: Path) -> None:
        (tmp_path / "lab.sqlite").mkdir()
        with pytest.raises(GearsyError, match=r"lab\.sqlite cannot be opened for writing .*Check who may write"):
            Lab.open(tmp_path)

    def test_of_a_newer_lab_names_both_versions(self, tmp_path: Path) -> None:
        Lab.open(tmp_path).close()
        with closing(sqlite3.connect(tmp_path / "lab.sqlite")) as connection:
            connection.execute("PRAGMA user_version = 7")
        with pytest.raises(LabTooNew, match=r"has schema version 7, and this gearsy reads up to 1\. Upgrade gearsy"):
            Lab.open(tmp_path)

    @pytest.mark.parametrize("content", [b"no", b"not a database at all, " * 500])
    def test_of_a_file_that_is_no_database_says_so(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "lab.sqlite").write_bytes(content)
        with pytest.raises(
            LabBroken, match=r"lab\.sqlite is damaged \(file is not a database\)\. Restore it from a copy"
        ):
            Lab.open(tmp_path)
        assert (tmp_path / "lab.sqlite").read_bytes() == content

    @pytest.mark.parametrize("statement", ["CREATE TABLE songs (title)", "PRAGMA user_version = 1"])
    def test_of_another_programs_database_leaves_it_alone(self, tmp_path: Path, statement: str) -> None:
        with closing(sqlite3.connect(tmp_path / "lab.sqlite")) as connection:
            connection.execute(statement)
        before = (tmp_path / "lab.sqlite").read_bytes()
        with pytest.raises(LabBroken, match="is another program's database, not a lab"):
            Lab.open(tmp_path)
        assert (tmp_path / "lab.sqlite").read_bytes() == before

    def test_twice_at_once_shares_the_lab(self, lab: Lab) -> None:
        with Lab.open(lab.folder) as other:
            other.responses.keep("m", {key(1): ANSWER})
            assert lab.responses.count() == 1

    def test_closing_twice_is_no_error(self, lab: Lab) -> None:
        lab.close()
        lab.close()
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            lab.responses.count()

    def test_a_clock_without_a_time_zone_is_refused(self, tmp_path: Path) -> None:
        with (
            Lab.open(tmp_path, clock=lambda: datetime(2026, 1, 1)) as lab,
            pytest.raises(BadRecord, match="the clock gave 2026-01-01T00:00:00 without a time zone"),
        ):
            lab.ledger.append("note", {})

    def test_another_thread_is_told_at_once(self, lab: Lab) -> None:
        raised: list[BaseException] = []

        def count() -> None:
            try:
                lab.responses.count()
            except sqlite3.ProgrammingError as error:
                raised.append(error)

        thread = threading.Thread(target=count)
        thread.start()
        thread.join()
        assert "thread" in str(raised[0])

    def test_a_lab_locked_by_another_says_so(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
        with (
            Lab.open(lab.folder) as other,
            lab._database.writing(),
            pytest.raises(GearsyError, match=r"is locked: another process has been writing .* Wait until"),
        ):
            other.ledger.append("note", {})
        assert lab.ledger.entries() == []


class TestDamage:
    def test_to_the_schema_is_a_clear_error(self, tmp_path: Path) -> None:
        Lab.open(tmp_path).close()
        path = tmp_path / "lab.sqlite"
        path.write_bytes(path.read_bytes()[:100] + b"\xff" * (path.stat().st_size - 100))
        with pytest.raises(
            LabBroken, match=r"is damaged \(database disk image is malformed\)\. .*`sqlite3 lab.sqlite .recover`"
        ):
            Lab.open(tmp_path)

    def test_to_the_rows_is_a_clear_error(self, tmp_path: Path) -> None:
        with Lab.open(tmp_path) as lab:
            lab.responses.keep("m", {key(n): ANSWER for n in range(200)})
            lab.ledger.append("note", {})
        path = tmp_path / "lab.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            roots = [root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0")]
        content = bytearray(path.read_bytes())
        for root in roots:
            content[(root - 1) * 4096 : root * 4096] = b"\x00\x10" * 2048
        path.write_bytes(content)
        with Lab.open(tmp_path) as lab:
            for read in (lambda: lab.responses.find([key(1)]), lab.ledger.verify, lab.ledger.head, lab.runs.list):
                with pytest.raises(LabBroken, match="is damaged"):
                    read()

    def test_to_one_answer_names_its_key(self, lab: Lab) -> None:
        lab.responses.keep("m", {key(1): ANSWER})
        sqlite_change(lab, "DROP TRIGGER responses_no_update", "UPDATE responses SET body = '{}'")
        with pytest.raises(LabBroken, match=f"lab.sqlite, response {key(1)}: .* where Response or Scored was wanted"):
            lab.responses.find([key(1)])

    def test_to_a_run_names_it(self, lab: Lab) -> None:
        start(lab)
        lab.runs.finish(RUN_RESULT.run_id, RUN_RESULT)
        lab.findings.keep("r", [FINDING])
        sqlite_change(
            lab,
            "DROP TRIGGER runs_no_update",
            "DROP TRIGGER run_results_no_update",
            "DROP TRIGGER findings_no_update",
            "UPDATE runs SET spec = '{'",
            "UPDATE run_results SET body = '[]'",
            "UPDATE findings SET body = '3'",
        )
        with pytest.raises(LabBroken, match=f"run {RUN_RESULT.run_id}: its spec cannot be read"):
            lab.runs.spec(RUN_RESULT.run_id)
        with pytest.raises(LabBroken, match=f"result of run {RUN_RESULT.run_id}: what is stored as RunResult"):
            lab.runs.result(RUN_RESULT.run_id)
        with pytest.raises(LabBroken, match="findings of run r: what is stored as tuple"):
            lab.findings.all()

    def test_that_took_a_table_is_a_clear_error(self, lab: Lab) -> None:
        sqlite_change(lab, "DROP TABLE findings")
        with pytest.raises(LabBroken, match=r"is damaged \(no such table: findings\)"):
            lab.findings.all()


class TestAppendOnly:
    @pytest.mark.parametrize("table", ["responses", "failures", "ledger", "runs", "run_results", "findings"])
    def test_the_database_itself_refuses_to_change_or_delete(self, lab: Lab, table: str) -> None:
        lab.responses.keep("m", {key(1): ANSWER, key(2): Failure(reason="timeout")})
        lab.ledger.append("note", {"a": 1})
        start(lab)
        lab.runs.finish(RUN_RESULT.run_id, RUN_RESULT)
        lab.findings.keep(RUN_RESULT.run_id, [FINDING])
        column = {"ledger": "hash", "runs": "spec"}.get(table, "body")
        with closing(sqlite3.connect(lab.folder / "lab.sqlite", isolation_level=None)) as connection:
            before = connection.execute(f"SELECT * FROM {table}").fetchall()
            assert len(before) == 1
            for statement in (f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}"):
                with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                    connection.execute(statement)
            replace_row = f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"
            if table == "responses":
                connection.execute(replace_row.replace("SELECT *", "SELECT key, system, kind, 'x', created_at"))
            else:
                with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                    connection.execute(replace_row)
            assert connection.execute(f"SELECT * FROM {table}").fetchall() == before


class TestResponses:
    def test_answers_of_both_kinds_come_back_in_the_order_asked(self, lab: Lab) -> None:
        scored = Scored(logprobs=(-0.1, float("-inf")), n_tokens=(1, 2))
        lab.responses.keep("m", {key(1): ANSWER, key(2): scored})
        assert list(lab.responses.find([key(2), key(3), key(1), key(2)]).items()) == [
            (key(2), scored),
            (key(1), ANSWER),
        ]
        assert sqlite_value(lab.folder / "lab.sqlite", "SELECT group_concat(kind) FROM responses") == "response,scored"

    def test_any_number_of_keys_can_be_asked_for(self, lab: Lab) -> None:
        replies = {key(n): Response(text=str(n)) for n in range(1_201)}
        lab.responses.keep("m", replies)
        assert lab.responses.find(map(key, range(2_000))) == replies
        assert lab.responses.find([]) == {}

    def test_the_first_answer_wins(self, lab: Lab) -> None:
        lab.responses.keep("m", {key(1): ANSWER})
        lab.responses.keep("m", {key(1): Response(text="another"), key(2): Response(text="new")})
        assert lab.responses.find([key(1), key(2)]) == {key(1): ANSWER, key(2): Response(text="new")}

    def test_a_failure_is_counted_and_asked_again(self, lab: Lab) -> None:
        failed: dict[str, Reply] = {key(1): Failure(reason="timeout")}
        lab.responses.keep("m", failed)
        lab.responses.keep("m", failed)
        assert lab.responses.find([key(1)]) == {}
        assert (lab.responses.count(), lab.responses.count_failures()) == (0, 2)
        lab.responses.keep("m", {key(1): ANSWER})
        assert lab.responses.find([key(1)]) == {key(1): ANSWER}
        assert (lab.responses.count(), lab.responses.count_failures()) == (1, 2)

    def test_counts_are_of_one_system_or_of_all(self, lab: Lab) -> None:
        lab.responses.keep("a", {key(1): ANSWER, key(2): ANSWER, key(3): Failure(reason="timeout")})
        lab.responses.keep("b", {key(4): ANSWER})
        assert [lab.responses.count(system) for system in (None, "a", "b", "c")] == [3, 2, 1, 0]
        assert [lab.responses.count_failures(system) for system in (None, "a", "b")] == [1, 1, 0]

    @pytest.mark.parametrize("short", ["", "ab12", "A" * 64, "a" * 65, "a" * 64 + "\n"])
    def test_a_key_that_is_no_full_digest_is_refused_and_nothing_kept(self, lab: Lab, short: str) -> None:
        with pytest.raises(
            BadRecord, match="a response's key is .*; it must be the full digest, 64 hexadecimal digits"
        ):
            lab.responses.keep("m", {key(1): ANSWER, short: ANSWER})
        assert lab.responses.count() == 0

    def test_the_time_is_iso_8601_in_utc(self, lab: Lab) -> None:
        lab.responses.keep("m", {key(1): ANSWER})
        stored = sqlite_value(lab.folder / "lab.sqlite", "SELECT created_at FROM responses")
        assert stored == "2026-01-01T00:00:00.000+00:00"

    def test_a_batch_that_is_broken_off_leaves_nothing(self, lab: Lab) -> None:
        def interrupted() -> None:
            with lab._database.writing() as connection:
                connection.execute("INSERT INTO responses VALUES (?, 'm', 'response', '{}', '')", (key(1),))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert lab.responses.count() == 0


class TestRuns:
    def test_a_run_is_listed_before_and_after_it_is_finished(self, lab: Lab) -> None:
        start(lab)
        start(lab, "other", key(1))
        row = RunRow(
            run_id=RUN_RESULT.run_id,
            study="reversal-curse",
            size="quick",
            created_at="2026-01-01T00:00:00.000+00:00",
            finished=False,
        )
        other = replace(row, run_id="other", created_at="2026-01-01T00:00:01.000+00:00")
        assert lab.runs.list() == [row, other]
        lab.runs.finish(RUN_RESULT.run_id, RUN_RESULT)
        assert lab.runs.list() == [replace(row, finished=True), other]

    def test_starting_twice_changes_nothing(self, lab: Lab) -> None:
        start(lab)
        before = lab.runs.list()
        start(lab)
        assert lab.runs.list() == before
        assert lab.runs.spec(RUN_RESULT.run_id) == {"seeds": [0, 1]}

    def test_an_id_stands_for_one_design(self, lab: Lab) -> None:
        start(lab, "r", key(1))
        with pytest.raises(LabBroken, match=f"run 'r' has design {key(2)}, and .* holds run 'r' with design {key(1)}"):
            start(lab, "r", key(2))
        with pytest.raises(LabBroken, match="run 's' has design .* holds run 'r' with design .*; a run is one design"):
            start(lab, "s", key(1))
        assert [row.run_id for row in lab.runs.list()] == ["r"]

    def test_a_shortened_design_is_refused(self, lab: Lab) -> None:
        with pytest.raises(BadRecord, match="a run's design is 'ab12'; it must be the full digest"):
            start(lab, "r", "ab12")

    def test_the_latest_result_counts_and_the_earlier_stays(self, lab: Lab) -> None:
        start(lab)
        lab.runs.finish(RUN_RESULT.run_id, RUN_RESULT)
        assert lab.runs.result(RUN_RESULT.run_id) == RUN_RESULT
        later = replace(RUN_RESULT, answer="Yes.")
        lab.runs.finish(RUN_RESULT.run_id, later)
        assert lab.runs.result(RUN_RESULT.run_id) == later
        assert sqlite_value(lab.folder / "lab.sqlite", "SELECT count(*) FROM run_results") == 2

    def test_an_unknown_run_is_answered_with_the_closest(self, lab: Lab) -> None:
        start(lab)
        wrong = "reversal-curse-quick-2f"
        message = f"no run named '{wrong}'. Did you mean 'reversal-curse-quick-1f'? Known: reversal-curse-quick-1f."
        for act in (
            lab.runs.result,
            lab.runs.spec,
            lambda name: lab.runs.finish(name, replace(RUN_RESULT, run_id=name)),
        ):
            with pytest.raises(UnknownName) as caught:
                act(wrong)
            assert str(caught.value) == message

    def test_an_unfinished_run_says_how_to_go_on(self, lab: Lab) -> None:
        start(lab)
        with pytest.raises(
            GearsyError, match="is not finished. Run study 'reversal-curse' at size 'quick' again in this lab"
        ):
            lab.runs.result(RUN_RESULT.run_id)

    def test_a_result_of_another_run_is_refused(self, lab: Lab) -> None:
        start(lab, "r")
        with pytest.raises(BadRecord, match="the result of run 'reversal-curse-quick-1f' was given for run 'r'"):
            lab.runs.finish("r", RUN_RESULT)


class TestFindings:
    def test_the_latest_findings_of_each_run_count(self, lab: Lab) -> None:
        second = replace(FINDING, estimand="second")
        lab.findings.keep("a", [FINDING, second])
        lab.findings.keep("b", [FINDING])
        assert lab.findings.all() == [FINDING, second, FINDING]
        lab.findings.keep("a", [second])
        assert lab.findings.all() == [FINDING, second]

    def test_a_run_may_find_nothing(self, lab: Lab) -> None:
        lab.findings.keep("a", [])
        assert lab.findings.all() == []


def sqlite_value(path: Path, query: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()[0]


def sqlite_change(lab: Lab, *statements: str) -> None:
    with closing(sqlite3.connect(lab.folder / "lab.sqlite", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
