"""Committing: who wins, in what order things reach the disk, and what a full disk does."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ducho_core.errors import StoreError
from ducho_core.store import Store
from ducho_core.store.verify import verify_set
from tests.core.store_samples import (
    RUN,
    failures_of,
    fill,
    item_names,
    make_spec,
    plan_of,
    rows_of,
)

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def writer(tmp_path):
    made = Store(tmp_path / "s", create=True).create_set(make_spec())
    made.commit_plan(0, plan_of(made, [item_names(0, 9), item_names(1, 9)]))
    return made


def commit(writer, chunk=0, run=RUN, failed=1):
    names = item_names(chunk, 9)
    failures = failures_of(writer, names[9 - failed :], run=run)
    return writer.commit_chunk(0, chunk, rows_of(writer, names[: 9 - failed]), failures, run)


def leftovers(writer):
    return os.listdir(writer.path / "tmp")


def test_a_chunk_is_committed_once(writer):
    assert commit(writer)
    before = writer.chunk_path(0, 0).read_bytes()
    assert not commit(writer)
    assert writer.chunk_path(0, 0).read_bytes() == before
    assert writer.committed() == {(0, 0)}
    assert writer.chunk_row_count(0, 0) == 8
    assert leftovers(writer) == []


def test_a_plan_is_committed_once(writer):
    other = plan_of(writer, [["somebody", "else"]])
    assert not writer.commit_plan(0, other)
    assert writer.read_plan(0).num_rows == 18
    assert writer.commit_plan(1, other)
    assert writer.plan_numbers() == [0, 1]


def test_exactly_one_of_many_threads_wins(writer):
    wins = []
    barrier = threading.Barrier(8)

    def race():
        barrier.wait()
        wins.append(commit(writer))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == [False] * 7 + [True]
    assert leftovers(writer) == []


def test_failures_of_all_attempts_come_as_one_row_a_key(writer):
    assert commit(writer, run="first")
    assert not commit(writer, run="second", failed=3)
    names = [path.name for path in sorted((writer.path / "failures").iterdir())]
    assert names == ["p000000-c000000-0.parquet", "p000000-c000000-1.parquet"]
    failures = writer.read_failures(0, 0)
    assert sorted(failures["item_id"].to_pylist()) == item_names(0, 9)[6:]
    runs = dict(zip(failures["item_id"].to_pylist(), failures["run_id"].to_pylist(), strict=True))
    assert runs[item_names(0, 9)[8]] == "first"  # the run that committed the rows


def test_failure_messages_are_cut(writer):
    failures = failures_of(writer, ["a"]).set_column(4, "message", [["é" * 5000]])
    writer.commit_chunk(0, 0, rows_of(writer, []), failures, RUN)
    assert writer.read_failures(0, 0)["message"].to_pylist() == ["é" * 300]


def test_an_unknown_failure_status_is_refused(writer):
    with pytest.raises(StoreError, match="unknown status"):
        writer.commit_chunk(
            0, 0, rows_of(writer, []), failures_of(writer, ["a"], status="lost"), RUN
        )


def test_run_records_hold_no_path_and_are_never_changed(writer):
    writer.write_run(RUN, "start", {"versions": {"ducho-core": "3"}})
    writer.write_run(RUN, "start", {"versions": {}})
    writer.write_run(RUN, "end", {"stored": 3})
    features = Store(writer.path.parents[2]).open(writer.path.name)
    assert features.runs() == [
        {"run": RUN, "stage": "end", "stored": 3},
        {"run": RUN, "stage": "start", "versions": {"ducho-core": "3"}},
    ]
    with pytest.raises(ValueError, match="run id"):
        writer.write_run("../up", "start", {})


# the order in which things reach the disk


def test_content_is_on_the_disk_before_its_name_and_the_name_before_success(writer, monkeypatch):
    events = []
    fsync, link = os.fsync, os.link

    def seen_fsync(descriptor):
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        content = path.read_bytes() if path.is_file() else None
        events.append(("fsync", path, content))

    def seen_link(source, target):
        link(source, target)
        events.append(("link", Path(target), Path(target).read_bytes()))

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "link", seen_link)
    assert commit(writer)
    kinds = [kind for kind, _path, _content in events]
    assert kinds == ["fsync", "link", "fsync"] * 2  # failures first, then data
    for at, folder in ((0, "failures"), (3, "data")):
        flushed, linked, folder_flushed = events[at : at + 3]
        assert flushed[1].parent == writer.path / "tmp"
        assert flushed[2] == linked[2]  # what was flushed is all there is
        assert linked[1].parent == folder_flushed[1] == writer.path / folder
    assert pq.ParquetFile(writer.chunk_path(0, 0)).metadata.num_rows == 8


# file systems that misbehave


@pytest.fixture
def broken(monkeypatch):
    """Makes one os function fail, from its n-th call on."""

    def apply(name, number, after=0, act_first=False):
        real = getattr(os, name)
        calls = iter(range(10**6))

        def failing(*arguments, **options):
            if next(calls) < after:
                return real(*arguments, **options)
            if act_first:
                real(*arguments, **options)
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, name, failing)

    return apply


@pytest.mark.parametrize("name", ["open", "pwrite", "fsync", "link"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_leaves_what_is_committed(writer, broken, monkeypatch, name, number):
    assert commit(writer, 0)
    with monkeypatch.context():
        broken(name, number)
        with pytest.raises(StoreError, match=r"p000000-c000001"):
            commit(writer, 1)
        monkeypatch.undo()
    assert leftovers(writer) == []
    assert writer.committed() == {(0, 0)}
    assert verify_set(writer.path.parents[2], writer.path, read_data=True).problems == ()
    assert commit(writer, 1)


def test_a_full_disk_is_told_with_path_and_bytes(writer, broken):
    broken("fsync", errno.ENOSPC)
    with pytest.raises(StoreError, match=r"needs about \d+ bytes, \d+ are free"):
        commit(writer)


def test_a_failed_flush_is_not_tried_again(writer, broken, monkeypatch):
    calls = []
    broken("fsync", errno.EIO)
    failing = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append(1), failing(descriptor)))
    with pytest.raises(StoreError, match="check the disk"):
        commit(writer, failed=0)
    assert calls == [1]


def test_a_folder_that_cannot_be_flushed_is_an_error(writer, broken):
    broken("fsync", errno.EIO, after=1)
    with pytest.raises(StoreError, match="check the disk"):
        commit(writer, failed=0)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links_is_refused_before_any_work(tmp_path, broken, number):
    store = Store(tmp_path / "s", create=True)
    broken("link", number)
    with pytest.raises(StoreError, match="hard links"):
        store.probe()
    with pytest.raises(StoreError, match="hard links"):
        store.create_set(make_spec())


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_read_only_store_is_refused_before_any_work(tmp_path, broken, number):
    store = Store(tmp_path / "s", create=True)
    store.probe()
    broken("open", number)
    with pytest.raises(StoreError, match="writable"):
        store.probe()


def test_a_probe_leaves_nothing(tmp_path):
    store = Store(tmp_path / "s", create=True)
    store.probe()
    assert os.listdir(tmp_path / "s/.tmp") == []


def test_a_link_that_succeeded_and_reports_failure_counts(writer, broken):
    broken("link", errno.EEXIST, act_first=True)  # what NFS does when a reply is lost
    assert commit(writer, failed=0)
    assert writer.committed() == {(0, 0)}
    assert leftovers(writer) == []


def test_a_real_limit_on_file_size_is_told(tmp_path):
    code = """
        import resource, sys
        from tests.core.store_samples import *
        writer = fill(Path(sys.argv[1]), chunks=1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        keys = item_names(1, 9000)
        try:
            writer.commit_chunk(0, 1, rows_of(writer, keys), None, RUN)
        except Exception as error:
            print(type(error).__name__, error)
    """
    done = child(code, str(tmp_path / "s"))
    assert done.stdout.startswith("StoreError cannot write")
    assert "p000000-c000001.parquet: File too large. It needs about" in done.stdout
    writer = fill_again(tmp_path / "s")
    assert leftovers(writer) == []
    assert writer.committed() == {(0, 0)}
    assert verify_set(tmp_path / "s", writer.path, read_data=True).problems == ()


def test_a_full_file_system_is_told(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        writer = fill(folder / "s", chunks=1)
        with pytest.raises(StoreError, match="No space left"):
            commit_many(writer)
        assert leftovers(writer) == []
        checked = verify_set(folder / "s", writer.path, read_data=True)
        assert {problem.kind for problem in checked.problems} <= {"unplanned"}
        assert checked.chunks > 1
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def commit_many(writer):
    for chunk in range(1, 100):
        names = item_names(chunk, 2000)
        writer.commit_chunk(0, chunk, rows_of(writer, names), None, RUN)


def fill_again(folder):
    return Store(folder).create_set(make_spec())


def child(code, *arguments, check=True):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=check,
    )


def test_dying_at_any_step_of_a_commit_loses_nothing(tmp_path):
    # A child kills itself at its k-th call that changes the disk, k = 1, 2, … until it lives.
    code = """
        import os, signal, sys
        from tests.core.store_samples import *

        def commit(step):
            writer = Store(Path(sys.argv[1])).create_set(make_spec(variant=str(step)))
            names = item_names(0, 9)
            writer.commit_plan(0, plan_of(writer, [names]))
            calls = iter(range(1, 10**6))
            def dying(real):
                def call(*arguments, **options):
                    if next(calls) == step:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return real(*arguments, **options)
                return call
            for name in ("open", "pwrite", "fsync", "link", "unlink"):
                setattr(os, name, dying(getattr(os, name)))
            failed = failures_of(writer, names[8:])
            writer.commit_chunk(0, 0, rows_of(writer, names[:8]), failed, RUN)

        for step in range(1, 100):
            process = os.fork()
            if not process:
                commit(step)
                os._exit(0)
            status = os.waitpid(process, 0)[1]
            print(step, status, flush=True)
            if not status:
                break
    """
    store = Store(tmp_path / "s", create=True)
    lines = [line.split() for line in child(code, str(store.path)).stdout.splitlines()]
    died = [int(status) == signal.SIGKILL for _step, status in lines]
    assert died == [True] * (len(lines) - 1) + [False]
    outcomes = []
    for step, _status in lines:
        writer = store.create_set(make_spec(variant=step))
        committed = writer.committed()
        checked = verify_set(store.path, writer.path, read_data=True)
        assert checked.problems == ()
        assert checked.rows == 8 * len(committed)
        if committed:
            assert writer.read_failures(0, 0).num_rows == 1  # they come before the rows
        outcomes.append(bool(committed))
        assert commit(writer) is not bool(committed)  # the same work again ends it
    assert outcomes == sorted(outcomes)
    assert outcomes.count(False) > 8
    assert outcomes.count(True) > 2
