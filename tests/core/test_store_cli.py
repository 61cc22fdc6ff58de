"""``ducho store``: what it prints and how it exits."""

from __future__ import annotations

import json
import os
import shutil

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ducho_core.cli import main
from ducho_core.store import Store
from tests.core.store_samples import RUN, fill, make_spec, plan_of, rows_of


@pytest.fixture
def folder(tmp_path):
    writer = fill(tmp_path / "s", name="mine")
    writer.write_run(RUN, "start", {"versions": {}})
    return writer.path


def store(*arguments, at):
    found = CliRunner().invoke(main, ["store", *arguments, "--store", str(at)])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def test_ls_lists_what_there_is(folder, tmp_path):
    other = Store(tmp_path / "s").create_set(make_spec(catalogue="other", dim=3))
    other.commit_plan(0, plan_of(other, [["a"], ["b"]]))
    done = store("ls", at=tmp_path / "s")
    header, first, second = done.stdout.splitlines()
    assert header.split()[:5] == ["name", "set", "catalogue", "inputs", "rows"]
    assert header.split()[5:] == ["dims", "failed", "absent", "state", "size"]
    assert first.split()[:5] == ["mine", folder.name, "main", "text", "57"]
    assert first.split()[5:9] == ["8", "3", "0", "complete"]
    assert "partial, 2 chunks to go" in second
    listed = json.loads(store("ls", "--json", at=tmp_path / "s").stdout)
    assert [one["rows"] for one in listed] == [57, 0]
    assert listed[0]["names"] == ["mine"]
    assert [one["complete"] for one in listed] == [True, False]


def test_ls_of_an_empty_store_says_so(tmp_path):
    Store(tmp_path / "s", create=True)
    done = store("ls", at=tmp_path / "s")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no feature set yet" in done.stderr
    assert json.loads(store("ls", "--json", at=tmp_path / "s").stdout) == []


def test_ls_goes_on_after_a_damaged_set(folder, tmp_path):
    damaged = fill(tmp_path / "s", variant="b")
    damaged.chunk_path(0, 0).write_bytes(b"x")
    done = store("ls", at=tmp_path / "s")
    assert done.exit_code == 0
    assert "complete" in done.stdout
    assert "damaged" in done.stdout
    assert "p000000-c000000.parquet is damaged" in done.stderr


def test_show_tells_how_a_set_was_made_and_how_to_open_it(folder, tmp_path):
    done = store("show", "mine", at=tmp_path / "s")
    for words in (
        "extractor.name",
        "core/hash",
        "stored_dtype",
        "decode_error",
        RUN,
        f"pandas.read_parquet({str(folder / 'data')!r})",
        "duckdb.read_parquet",
    ):
        assert words in done.stdout
    shown = json.loads(store("show", "mine", "--json", at=tmp_path / "s").stdout)
    assert shown["spec"] == make_spec()
    assert shown["failures"] == [{"status": "failed", "code": "decode_error", "count": 3}]
    assert [one["run"] for one in shown["runs"]] == [RUN]


def test_the_lines_that_show_prints_work(folder, tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    import ducho_core

    lines = store("show", "mine", at=tmp_path / "s").stdout.splitlines()
    names = {"pandas": pandas, "duckdb": duckdb, "ducho_core": ducho_core}
    opened = [eval(line, names) for line in lines if line.strip().startswith(tuple(names))]
    assert [len(one) for one in opened] == [57, 57, 57]


def test_path_prints_a_glob_for_other_programs(folder, tmp_path):
    done = store("path", "mine", at=tmp_path / "s")
    assert done.stdout == f"{folder}/data/*.parquet\n"
    assert store("path", "mine", "--folder", at=tmp_path / "s").stdout == f"{folder}\n"
    shown = json.loads(store("path", "mine", "--json", at=tmp_path / "s").stdout)
    assert shown["folder"] == str(folder)
    assert pq.read_table(folder / "data").num_rows == 57


def test_failures_are_one_line_an_item(folder, tmp_path):
    done = store("failures", "mine", at=tmp_path / "s")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[:4] == ["item-000-0019", "failed", "prepare", "decode_error"]
    assert store("failures", "mine", "--kind", "absent", at=tmp_path / "s").stdout == ""
    assert store("failures", "mine", "--code", "other", at=tmp_path / "s").stdout == ""
    rows = json.loads(
        store("failures", "mine", "--code", "decode_error", "--json", at=tmp_path / "s").stdout
    )
    assert [row["item_id"] for row in rows] == [f"item-00{n}-0019" for n in range(3)]


def test_verify_exits_0_when_all_is_well(folder, tmp_path):
    (folder / "data/p000000-c000001.parquet").unlink()
    for options in ([], ["--read-data"], ["mine"]):
        done = store("verify", *options, at=tmp_path / "s")
        assert done.exit_code == 0
        assert "38 rows in 2 chunks, 1 chunks still to extract: intact" in done.stdout


def test_verify_exits_1_on_damage_and_names_it(folder, tmp_path):
    path = folder / "data/p000000-c000001.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    done = store("verify", at=tmp_path / "s")
    assert done.exit_code == 1
    assert f"{os.path.relpath(path, tmp_path / 's')}: unreadable:" in done.stdout
    assert "keys affected: 20 (item-001-0000," in done.stdout
    assert "what to do: remove the file and run the same extraction again" in done.stdout
    found = json.loads(store("verify", "--json", at=tmp_path / "s").stdout)
    assert [one["kind"] for one in found["problems"]] == ["unreadable"]
    assert found["sets"][0]["problems"] == 1


def test_what_verify_proposes_repairs_the_set(folder, tmp_path):
    path = folder / "data/p000000-c000001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert store("verify", at=tmp_path / "s").exit_code == 1
    path.unlink()
    writer = Store(tmp_path / "s").create_set(make_spec())
    keys = writer.read_plan(0).filter(
        writer.read_plan(0)["chunk"].combine_chunks().to_numpy() == 1
    )
    assert writer.commit_chunk(0, 1, rows_of(writer, keys["item_id"].to_pylist()), None, RUN)
    assert store("verify", "--read-data", at=tmp_path / "s").exit_code == 0


def test_verify_exits_10_without_a_store(tmp_path):
    assert store("verify", at=tmp_path).exit_code == 10
    assert store("verify", at=tmp_path / "nowhere").exit_code == 10


def test_verify_of_a_damaged_store_file_is_an_error(folder, tmp_path):
    (tmp_path / "s/STORE.json").write_text("{")
    assert store("verify", at=tmp_path / "s").exit_code == 1


def test_unknown_sets_exit_2_with_the_list(folder, tmp_path):
    for command in ("show", "path", "failures", "verify"):
        done = store(command, "mime", at=tmp_path / "s")
        assert done.exit_code == 2
        assert "Did you mean 'mine'?" in done.stderr
        assert folder.name in done.stderr


def test_commands_without_a_store_exit_1(tmp_path):
    for command in (["ls"], ["show", "x"], ["path", "x"], ["failures", "x"]):
        done = store(*command, at=tmp_path / "nowhere")
        assert done.exit_code == 1
        assert "is no feature store" in done.stderr


def test_a_copied_store_is_the_same(folder, tmp_path):
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    done = store("verify", "--read-data", at=tmp_path / "copy")
    assert done.exit_code == 0
    copied = Store(tmp_path / "copy").open("mine")
    assert copied.snapshot_digest() == Store(tmp_path / "s").open("mine").snapshot_digest()
