"""What a split keeps, where each interaction goes, and that it is frozen."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from ducho_recsys import read_split, split_interactions

from ducho_core import DuchoError, UsageError
from tests.plugins.recsys.split_kit import floor_rule, pairs, plain_core, rows, write

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def listed():
    return rows()


@pytest.fixture
def source(tmp_path, listed):
    return write(tmp_path / "ratings.tsv", listed)


def parts(split):
    return {name: pairs(getattr(split, name)) for name in PARTS}


def kept(split):
    return sorted(itertools.chain(*parts(split).values()))


def steps(split):
    return {one["step"]: one["interactions"] for one in split.description["steps"]}


def content(split):
    told = json.loads((split.path / "split.json").read_text("utf-8"))
    for name in ("sources", "made"):
        del told[name]
    return told


@pytest.mark.parametrize(
    ("test", "validation"), [(0.2, 0.1), (0.1, 0.1), (0.3, 0.0), (0.05, 0.5), (1 / 3, 0.7)]
)
def test_each_users_parts_have_the_sizes_of_the_floor_rule(
    source, listed, tmp_path, test, validation
):
    split = split_interactions(
        source, tmp_path / "s", test_ratio=test, validation_ratio=validation
    )
    sizes = [Counter(user for user, _ in parts(split)[name]) for name in PARTS]
    counts = Counter(row[0] for row in listed)
    assert min(counts.values()) < 3, "short histories are what the rule is about"
    for user, count in counts.items():
        assert tuple(one[user] for one in sizes) == floor_rule(count, test, validation), count
    assert kept(split) == sorted((row[0], row[1]) for row in listed)


def test_a_random_part_is_no_part_of_time_or_of_the_items(source, tmp_path):
    split = split_interactions(source, tmp_path / "s")
    train, test = (getattr(split, name) for name in ("train", "test"))
    for column, spread in (("timestamp", 10**6), ("rating", 5)):
        means = [np.mean(one[column].to_pylist()) / spread for one in (train, test)]
        assert abs(means[0] - means[1]) < 0.05
    items = [np.mean([int(item) for _, item in pairs(one)]) for one in (train, test)]
    assert abs(items[0] - items[1]) < 4


@pytest.mark.parametrize("core", ["iterate", "once"])
@pytest.mark.parametrize(("users", "items"), [(5, 5), (12, 3), (2, 24), (1, 20)])
def test_the_core_is_that_of_plain_counting(source, listed, tmp_path, core, users, items):
    split = split_interactions(source, tmp_path / "s", user_core=users, item_core=items, core=core)
    plain = plain_core(listed, users, items, iterate=core == "iterate")
    assert len(plain) < len(listed)
    assert kept(split) == sorted((row[0], row[1]) for row in plain)
    assert split.items.to_pylist() == sorted({row[1] for row in plain})
    assert split.users.to_pylist() == sorted({row[0] for row in plain})
    last = split.description["steps"][-1]
    assert (last["users"], last["items"], last["interactions"]) == (
        len(split.users),
        len(split.items),
        len(plain),
    )


def test_once_and_iterate_differ_here(listed):
    assert plain_core(listed, 12, 12) != plain_core(listed, 12, 12, iterate=False)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"how": "leave-one-out"},
        {"how": "leave-one-out", "pick": "random"},
        {"how": "user-time"},
        {"how": "time"},
        {"how": "cold"},
        {"k_core": 4, "train_on": 2, "relevant_at": 4, "duplicates": "mean"},
    ],
    ids=str,
)
def test_the_order_of_the_rows_changes_no_byte(tmp_path, listed, settings):
    repeated = [*listed, *[(u, i, float(r % 5 + 1), t + 7) for u, i, r, t in listed[:300]]]
    split = split_interactions(write(tmp_path / "a.tsv", repeated), tmp_path / "a", **settings)
    random.Random(3).shuffle(repeated)
    other = split_interactions(write(tmp_path / "b.csv", repeated), tmp_path / "b", **settings)
    assert content(split)["remarks"] != content(other)["remarks"]
    assert {**content(split), "remarks": []} == {**content(other), "remarks": []}
    for name in (*PARTS, "items", "users"):
        first, second = ((one.path / f"{name}.parquet").read_bytes() for one in (split, other))
        assert first == second


def test_another_seed_draws_others_and_a_user_is_split_alike_whoever_else_there_is(
    tmp_path, source, listed
):
    split = split_interactions(source, tmp_path / "a")
    other = split_interactions(source, tmp_path / "b", seed=7)
    assert split.digest != other.digest
    assert set(parts(split)["test"]) != set(parts(other)["test"])
    some = [row for row in listed if row[0] >= "u050"]
    fewer = split_interactions(write(tmp_path / "some.tsv", some), tmp_path / "c")
    mine = [pair for pair in parts(split)["test"] if pair[0] >= "u050"]
    assert mine == parts(fewer)["test"]


@pytest.mark.parametrize("validation", [True, False])
def test_leave_one_out_takes_the_last_ones(source, listed, tmp_path, validation):
    split = split_interactions(source, tmp_path / "s", how="leave-one-out", validation=validation)
    found = parts(split)
    history: dict[str, list] = {}
    for user, item, _, _time in sorted(listed, key=lambda row: row[3]):
        history.setdefault(user, []).append(item)
    fewest = 2 + validation
    assert any(len(items) < fewest for items in history.values())
    wanted = {user: items for user, items in history.items() if len(items) >= fewest}
    assert dict(found["test"]) == {user: items[-1] for user, items in wanted.items()}
    before = {user: items[-2] for user, items in wanted.items()} if validation else {}
    assert dict(found["validation"]) == before


def test_a_random_one_is_left_out_of_each_user(source, listed, tmp_path):
    split = split_interactions(source, tmp_path / "s", how="leave-one-out", pick="random")
    counts = Counter(row[0] for row in listed)
    test = Counter(user for user, _ in parts(split)["test"])
    assert test == {user: 1 for user, count in counts.items() if count >= 3}
    last = split_interactions(source, tmp_path / "last", how="leave-one-out")
    assert parts(last)["test"] != parts(split)["test"]


def test_each_users_last_share_is_tested(source, listed, tmp_path):
    split = split_interactions(source, tmp_path / "s", how="user-time")
    times = {(row[0], row[1]): row[3] for row in listed}
    latest: dict[str, list[int]] = {}
    for name in PARTS:
        for pair in parts(split)[name]:
            latest.setdefault(pair[0], []).append(times[pair])
    assert all(sorted(one) == one for one in _by_part(split, times).values())
    sizes = Counter(user for user, _ in parts(split)["test"])
    for user, count in Counter(row[0] for row in listed).items():
        assert sizes[user] == floor_rule(count, 0.2, 0.1)[2]


def _by_part(split, times):
    """Times of each user, part after part, sorted within each."""
    found: dict[str, list[int]] = {}
    for name in PARTS:
        for user, group in itertools.groupby(sorted(parts(split)[name]), key=lambda one: one[0]):
            found.setdefault(user, []).extend(sorted(times[pair] for pair in group))
    return found


def test_one_cut_in_time_for_all(source, listed, tmp_path):
    split = split_interactions(source, tmp_path / "s", how="time")
    found = {name: getattr(split, name)["timestamp"].to_pylist() for name in PARTS}
    assert max(found["train"]) < min(found["validation"])
    assert max(found["validation"]) < min(found["test"])
    assert len(found["test"]) / len(listed) == pytest.approx(0.2, abs=0.01)
    assert len(found["validation"]) / len(listed) == pytest.approx(0.08, abs=0.01)


def test_interactions_of_one_moment_stay_together(tmp_path, listed):
    coarse = [(u, i, r, t // 250_000) for u, i, r, t in listed]
    split = split_interactions(
        write(tmp_path / "r.tsv", coarse), tmp_path / "s", how="time", validation_ratio=0
    )
    times = {name: set(getattr(split, name)["timestamp"].to_pylist()) for name in PARTS}
    assert times == {"train": {0.0, 1.0, 2.0}, "validation": set(), "test": {3.0}}


def test_cuts_at_given_moments_dates_or_numbers(tmp_path, listed):
    at = [(u, i, r, f"2024-01-{1 + t % 28:02}") for u, i, r, t in listed]
    split = split_interactions(
        write(tmp_path / "r.tsv", at),
        tmp_path / "s",
        how="time",
        test_from="2024-01-20",
        validation_from=1704844800,  # 2024-01-10
    )
    for name, days in (("train", range(1, 10)), ("validation", range(10, 20))):
        wanted = {1704067200.0 + 86400 * (day - 1) for day in days}
        assert set(getattr(split, name)["timestamp"].to_pylist()) == wanted


@pytest.mark.parametrize("validation", [True, False])
def test_cold_items_have_nothing_in_train(source, tmp_path, validation):
    split = split_interactions(
        source, tmp_path / "s", how="cold", cold_share=0.3, validation=validation
    )
    marked = dict(zip(split.items.to_pylist(), split.item_parts.to_pylist(), strict=True))
    for name, found in parts(split).items():
        assert {item for _, item in found} == {one for one, at in marked.items() if at == name}
    held = len(marked) - int(np.floor(len(marked) * 0.7))
    sizes = Counter(marked.values())
    assert sizes["validation"] == (held // 2 if validation else 0)
    assert sizes["test"] == held - sizes["validation"]
    reopened = read_split(split.path)
    assert reopened.item_parts == split.item_parts
    assert split_interactions(source, tmp_path / "r").item_parts is None


def test_own_files_are_taken_as_they_are(tmp_path, listed):
    three = {name: listed[at::3] for at, name in enumerate(PARTS)}
    files = {name: write(tmp_path / f"{name}.tsv", one) for name, one in three.items()}
    split = split_interactions(
        files["train"],
        tmp_path / "s",
        how="files",
        validation_file=files["validation"],
        test_file=files["test"],
    )
    for name in PARTS:
        assert sorted(parts(split)[name]) == sorted((row[0], row[1]) for row in three[name])
    assert [one["name"] for one in split.description["sources"]] == [
        f"{name}.tsv" for name in PARTS
    ]
    write(files["test"], [*three["test"], three["train"][0]])
    with pytest.raises(UsageError, match=r"1 interactions stand in two files.*in train and test"):
        split_interactions(files["train"], tmp_path / "t", how="files", test_file=files["test"])


def test_what_trains_and_what_is_relevant_are_settled_apart(source, listed, tmp_path):
    both = split_interactions(source, tmp_path / "both", train_on=4)
    assert kept(both) == sorted((row[0], row[1]) for row in listed if row[2] >= 4)
    assert all(both.test["relevant"].to_pylist())
    later = split_interactions(source, tmp_path / "later", relevant_at=4)
    assert len(kept(later)) == len(listed)
    ratings, relevant = later.test["rating"].to_pylist(), later.test["relevant"].to_pylist()
    assert relevant == [rating >= 4 for rating in ratings]
    assert 0 < sum(relevant) < len(relevant)
    assert later.description["parts"]["test"]["relevant"] == sum(relevant)
    stricter = split_interactions(source, tmp_path / "stricter", train_on=4, relevant_at=2)
    assert min(stricter.train["rating"].to_pylist()) == 4
    assert set(stricter.test["rating"].to_pylist()) == {2.0, 3.0, 4.0, 5.0}
    assert all(stricter.test["relevant"].to_pylist())
    assert list(steps(stricter)) == ["read", "duplicates", "rating >= 2", "train >= 4"]
    assert kept(stricter) == sorted(itertools.chain(*parts(stricter).values()))


@pytest.mark.parametrize(
    ("policy", "rating", "time"),
    [("last", 2, 30), ("first", 3, 10), ("max", 5, 20), ("mean", 10 / 3, 30)],
)
def test_one_of_several_interactions_is_kept(tmp_path, listed, policy, rating, time):
    again = [("u", "i", 5, 20), ("u", "i", 2, 30), ("u", "i", 3, 10)]
    for order in itertools.permutations(again):
        source = write(tmp_path / "r.tsv", [*listed, *order])
        split = split_interactions(source, tmp_path / f"s{order}", duplicates=policy)
        whole = [one for name in PARTS for one in getattr(split, name).to_pylist()]
        (found,) = [one for one in whole if one["user_id"] == "u"]
        assert (found["rating"], found["timestamp"]) == (pytest.approx(rating), time)
        assert steps(split)["read"] - steps(split)["duplicates"] == 2


def test_of_equals_in_time_the_higher_rating_is_kept(tmp_path, listed):
    for policy in ("first", "last"):
        again = [("u", "i", 2, 10), ("u", "i", 5, 10), ("u", "i", 3, 10)]
        source = write(tmp_path / "r.tsv", [*listed, *again])
        split = split_interactions(source, tmp_path / policy, duplicates=policy)
        found = [row for name in PARTS for row in getattr(split, name).to_pylist()]
        assert [row["rating"] for row in found if row["user_id"] == "u"] == [5.0]


def test_without_times_a_last_one_is_not_guessed(tmp_path, listed):
    shorter = [row[:3] for row in listed]
    source = write(tmp_path / "r.tsv", [*shorter, shorter[5]], "user_id item_id rating")
    assert steps(split_interactions(source, tmp_path / "same"))["duplicates"] == len(listed)
    user, item, rating = shorter[5]
    write(source, [*shorter, (user, item, rating % 5 + 1)], "user_id item_id rating")
    with pytest.raises(UsageError, match=f"{user}.*{item}.*none is the last one.*max or mean"):
        split_interactions(source, tmp_path / "s")
    split_interactions(source, tmp_path / "max", duplicates="max")
    with pytest.raises(UsageError, match=r"1 interactions are of a user with an item that has"):
        split_interactions(source, tmp_path / "e", duplicates="error")


def test_the_catalogue_restricts_the_items_and_is_counted(tmp_path, source, listed):
    wanted = sorted({row[1] for row in listed})[::2]
    catalogue = tmp_path / "items.csv"
    catalogue.write_text("title,item_id\n" + "".join(f"a,{one}\n" for one in [*wanted, "new"]))
    split = split_interactions(source, tmp_path / "s", catalogue=catalogue)
    assert split.items.to_pylist() == wanted
    assert steps(split)["in items.csv"] == sum(row[1] in wanted for row in listed)


def test_every_step_is_counted(source, listed, tmp_path):
    split = split_interactions(source, tmp_path / "s", train_on=3, k_core=3)
    left = [row for row in listed if row[2] >= 3]
    wanted = {
        "read": listed,
        "duplicates": listed,
        "rating >= 3": left,
        "3-core": plain_core(left, 3, 3),
    }
    for one in split.description["steps"]:
        these = wanted[one["step"]]
        assert one["users"] == len({row[0] for row in these})
        assert one["items"] == len({row[1] for row in these})
        assert one["interactions"] == len(these)
    for name, told in split.description["parts"].items():
        found, train = parts(split)[name], parts(split)["train"]
        assert told["interactions"] == len(found)
        strangers = {item for _, item in found} - {item for _, item in train}
        assert told["items_not_in_train"] == len(strangers)


@pytest.mark.parametrize(
    ("settings", "step"),
    [({"k_core": 1000}, "1000-core"), ({"train_on": 6}, "rating >= 6")],
)
def test_the_filter_that_leaves_nothing_is_named(source, tmp_path, settings, step):
    with pytest.raises(UsageError, match=f"no interaction is left after the step '{step}'"):
        split_interactions(source, tmp_path / "s", **settings)
    assert os.listdir(tmp_path) == ["ratings.tsv"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"how": "time", "seed": 3}, "--seed has no meaning with --how time"),
        ({"cold_share": 0.3}, "--cold-share has no meaning with --how random"),
        ({"how": "files"}, "--how files needs the test interactions: --test-file"),
        ({"how": "files", "test_file": "x", "k_core": 2}, "leave out the k-core"),
        ({"how": "time", "test_from": "soon"}, "neither a number nor a date"),
        ({"how": "time", "test_from": 1, "test_ratio": 0.2}, "say the same thing"),
        ({"how": "time", "test_from": 10**7}, "the test part takes no interactions"),
        ({"how": "time", "test_from": 0}, "the test part takes all interactions"),
        ({"how": "cold", "cold_share": 0.999}, "leaves nothing to train on"),
        ({"test_ratio": 1.5}, "--test-ratio must be more than 0 and less than 1, not 1.5"),
        ({"validation_ratio": -0.1}, "--validation-ratio must be at least 0 and less than 1"),
        ({"k_core": 0}, "--k-core must be at least 1, not 0"),
        ({"seed": -1}, "--seed must be at least 0"),
        ({"hw": "time"}, "hw"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(source, tmp_path, settings, words):
    with pytest.raises(UsageError, match=words):
        split_interactions(source, tmp_path / "s", **settings)
    assert os.listdir(tmp_path) == ["ratings.tsv"]


@pytest.mark.parametrize("how", ["leave-one-out", "user-time", "time"])
def test_times_are_asked_for_where_they_are_needed(tmp_path, listed, how):
    source = write(tmp_path / "r.tsv", [row[:3] for row in listed], "user_id item_id rating")
    with pytest.raises(UsageError, match=f"--how {how} needs the time.*--timestamp COLUMN"):
        split_interactions(source, tmp_path / "s", how=how)
    write(source, [*[(u, i, r, t) for u, i, r, t in listed], ("ux", "ix", 3, "")])
    with pytest.raises(UsageError, match=r"1 have none, the first of user 'ux' and item 'ix'"):
        split_interactions(source, tmp_path / "s", how=how)


def test_a_split_is_never_overwritten(source, tmp_path):
    out = tmp_path / "s"
    out.mkdir()
    split = split_interactions(source, out)
    with pytest.raises(UsageError, match=r"exists and is a split; a split is never overwritten"):
        split_interactions(source, out)
    other = tmp_path / "full"
    other.mkdir()
    (other / "mine.txt").write_text("")
    with pytest.raises(UsageError, match=r"exists and is something else"):
        split_interactions(source, other)
    assert read_split(out).digest == split.digest
    assert sorted(os.listdir(tmp_path)) == ["full", "ratings.tsv", "s"]


@pytest.mark.parametrize("name", ["train.parquet", "items.parquet", "split.json"])
def test_a_split_that_was_changed_is_refused(source, tmp_path, name):
    split = split_interactions(source, tmp_path / "s")
    path = split.path / name
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"seed": 42', b'"seed": 43') if name == "split.json"
                     else data[:50] + bytes([data[50] ^ 1]) + data[51:])  # fmt: skip
    with pytest.raises(DuchoError, match=rf"{name} is damaged.*A split is frozen"):
        read_split(split.path)
    path.unlink()
    with pytest.raises(DuchoError, match=r"is no split|is damaged"):
        read_split(split.path)


def test_what_is_no_split_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"is no split.*ducho split INTERACTIONS --out"):
        read_split(tmp_path)
    (tmp_path / "split.json").write_text('{"format": "ducho-split", "version": 2}')
    with pytest.raises(UsageError, match=r"a split of version 2.*install a newer one"):
        read_split(tmp_path)


def test_no_path_is_recorded(source, tmp_path):
    split = split_interactions(source, tmp_path / "s")
    told = (split.path / "split.json").read_text("utf-8")
    assert str(tmp_path) not in told
    assert "ratings.tsv" in told


def test_the_train_digest_is_about_the_train_pairs_alone(tmp_path, listed):
    parted = {name: listed[at::3] for at, name in enumerate(PARTS)}
    digests = []
    for number, test in enumerate([parted["test"], parted["test"][1:], parted["test"]]):
        train = parted["train"] if number < 2 else parted["train"][1:]
        files = [write(tmp_path / f"{at}.tsv", one) for at, one in enumerate([train, test])]
        split = split_interactions(
            files[0], tmp_path / f"s{number}", how="files", test_file=files[1]
        )
        digests.append((split.train_digest, split.digest))
    assert digests[0][0] == digests[1][0] != digests[2][0]
    assert len({digest for _, digest in digests}) == 3


def test_the_command_prints_a_table_and_json(source, tmp_path):
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "ducho_core", "split", *args]
        return subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=False)

    finished = run("ratings.tsv", "--out", "s", "--k-core", "5")
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[0].split() == ["users", "items", "interactions", "left", "out"]
    assert [line.split()[0] for line in lines[1:7]] == [
        *("read", "duplicates", "5-core", "train", "validation", "test")
    ]
    told = json.loads(run("ratings.tsv", "--out", "t", "--k-core", "5", "--json").stdout)
    assert told["digest"] == read_split(tmp_path / "s").digest
    assert told["folder"] == "t"
    assert run("ratings.tsv", "--out", "t").returncode == 2


def test_users_with_too_little_to_train_on_are_told_what_else_to_do(tmp_path):
    three = [(f"u{user}", f"i{item}", 3, item) for user in range(3) for item in range(3)]
    source = write(tmp_path / "r.tsv", three)
    with pytest.raises(UsageError, match=r"train part is empty: 9 .* of 3 users.*--test-ratio"):
        split_interactions(source, tmp_path / "s", test_ratio=0.34)
    assert not (tmp_path / "s").exists()
