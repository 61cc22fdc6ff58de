"""Reviews pooled into items and users, without a look at what is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ducho_recsys import split_interactions

from ducho_core import Registry, Store, UsageError, extract, fuse
from ducho_core.fusion import joined, session
from ducho_core.store.verify import verify_set
from tests.core.set_samples import content, put_set, vectors_for
from tests.plugins.recsys.split_kit import pairs, rows, write

GOLDEN = Path(__file__).with_name("golden_reviews.json")
LISTED = rows(500, 25, 30)
TEXTS = {(user, item): f"{user} says of {item}: {rating:g}" for user, item, rating, _ in LISTED}


@pytest.fixture(autouse=True)
def one_run(monkeypatch):
    """The footer of a chunk names the run that made it: all that two equal fusions differ in."""
    monkeypatch.setattr(session, "new_run_id", lambda: "20260101T000000Z-00000000")
    monkeypatch.setattr(joined, "block_rows", lambda dims: 16)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    return split_interactions(write(folder / "r.tsv", LISTED), folder / "split")


@pytest.fixture(scope="module")
def train(split):
    return set(pairs(split.train))


def reviewed(folder: Path, texts: dict[tuple[str, str], str]) -> Store:
    """A store with the reviews, extracted from a table."""
    folder.mkdir()
    lines = ["user_id\titem_id\ttext", *("\t".join([*key, text]) for key, text in texts.items())]
    (folder / "reviews.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    extract(
        folder / "reviews.tsv", "core/hash", key=["user_id", "item_id"], text=["text"],
        options={"dim": 6}, store=folder / "s", name="reviews", chunk_size=37,
    )  # fmt: skip
    return Store(folder / "s")


def pooled(folder: Path, texts, split, **options):
    """The reviews of a table pooled in a store of its own."""
    store = reviewed(folder, texts)
    given = {"split": str(split.path), **options}
    fuse("reviews", "recsys/reviews", store=store.path, options=given, name="pooled")
    opened = store.open("pooled")
    assert verify_set(store.path, opened.path, read_data=True).problems == ()
    return opened


def files(features) -> dict[str, bytes]:
    """The set byte by byte, its runs apart."""
    found = {"SPEC.json": (features.path / "SPEC.json").read_bytes(), "": features.path.name}
    for part in ("plans", "data"):
        for path in sorted((features.path / part).iterdir()):
            found[f"{part}/{path.name}"] = path.read_bytes()
    return found


POOL = {
    "mean": lambda found: found.astype(np.float64).mean(axis=0),
    "sum": lambda found: found.astype(np.float64).sum(axis=0),
    "max": lambda found: found.max(axis=0),
}


@pytest.mark.parametrize("into", ["items", "users"])
@pytest.mark.parametrize("method", POOL)
def test_the_train_reviews_of_each_become_one_vector(tmp_path, split, train, into, method):
    features = pooled(tmp_path / "one", TEXTS, split, into=into, method=method)
    place = 1 if into == "items" else 0
    assert features.keys == (("item_id",) if into == "items" else ("user_id",))
    folder = "fused" if into == "items" else "fused-users"
    assert features.path.parent.name == folder
    reviews = content(Store(tmp_path / "one/s").open("reviews"))
    assert 0 < len(train) < len(reviews)
    found = content(features)
    assert set(found) == {key[place] for key in train}
    for one, vector in found.items():
        mine = np.array([reviews[key] for key in train if key[place] == one])
        np.testing.assert_allclose(vector, POOL[method](mine), rtol=1e-6)


def test_no_byte_tells_of_reviews_that_are_tested(tmp_path, split, train):
    others = [key for key in TEXTS if key not in train]
    some_train = next(iter(train))
    plain = files(pooled(tmp_path / "plain", TEXTS, split))
    assert len(plain) > 4
    changes = {
        "changed": {key: text if key in train else "bad" for key, text in TEXTS.items()},
        "copied": {**TEXTS, others[0]: TEXTS[some_train], others[-1]: TEXTS[some_train]},
        "removed": {key: text for key, text in TEXTS.items() if key in train},
        "added": {("new", "x"): "new user", ("u001", "new"): "new item", **TEXTS},
        "moved": dict(reversed(TEXTS.items())),
    }
    for name, texts in changes.items():
        assert files(pooled(tmp_path / name, texts, split)) == plain, name
    other = files(pooled(tmp_path / "train", {**TEXTS, some_train: "a change"}, split))
    assert other["SPEC.json"] != plain["SPEC.json"]


def test_the_train_pairs_are_all_that_counts_of_a_split(tmp_path, train):
    listed = {(row[0], row[1]): row for row in LISTED}
    mine = write(tmp_path / "train.tsv", [listed[key] for key in sorted(train)])
    tested = [row for key, row in listed.items() if key not in train]
    found = []
    for number, test in enumerate([tested, tested[5:], [("x", "y", 3.0, 1)]]):
        test_file = write(tmp_path / f"test{number}.tsv", test)
        split = split_interactions(
            mine, tmp_path / f"split{number}", how="files", test_file=test_file
        )
        found.append(files(pooled(tmp_path / f"s{number}", TEXTS, split)))
    assert found[0] == found[1] == found[2]
    write(mine, [listed[key] for key in sorted(train)[1:]])
    split = split_interactions(mine, tmp_path / "fewer", how="files", test_file=test_file)
    assert files(pooled(tmp_path / "fewer-s", TEXTS, split))["SPEC.json"] != found[0]["SPEC.json"]


def test_several_rows_of_a_review_are_pooled_too(tmp_path, split, train):
    keys = [(*key, str(slot)) for key in TEXTS for slot in range(1 + len(key[1]) % 3)]
    columns = ("user_id", "item_id", "slot")
    put_set(tmp_path, "parts", keys, vectors_for(keys, 5), columns=columns, chunk=100)
    report = fuse("parts", "recsys/reviews", store=tmp_path, options={"split": str(split.path)})
    found = content(Store(tmp_path).open(report.name))
    item = next(iter(train))[1]
    mine = [key for key in keys if key[:2] in train and key[1] == item]
    wanted = vectors_for(mine, 5).astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(found[item], wanted, rtol=1e-6)
    assert report.untaken == sum(key[:2] not in train for key in keys)


def test_the_spec(tmp_path, split):
    features = pooled(tmp_path / "one", TEXTS, split)
    spec = json.loads((features.path / "SPEC.json").read_text("utf-8"))
    assert spec["options"]["split"] == split.train_digest
    assert str(tmp_path) not in json.dumps(spec)
    assert spec == json.loads(GOLDEN.read_text("utf-8"))


def test_what_cannot_be_pooled_is_refused(tmp_path, split):
    options = {"split": str(split.path)}
    put_set(tmp_path, "items", ["a", "b"], vectors_for(["a", "b"], 5))
    with pytest.raises(UsageError, match=r"items holds no reviews: its key columns are item_id,"):
        fuse("items", "recsys/reviews", store=tmp_path, options=options)
    keys = [("nobody", "nothing")]
    put_set(tmp_path, "others", keys, vectors_for(keys, 5), columns=("user_id", "item_id"))
    with pytest.raises(UsageError, match=r"train interactions of the split alone, and none of"):
        fuse("others", "recsys/reviews", store=tmp_path, options=options)
    with pytest.raises(UsageError, match=r"recsys/reviews needs the option 'split'"):
        fuse("others", "recsys/reviews", store=tmp_path)
    with pytest.raises(UsageError, match=r"is no split.*ducho split INTERACTIONS"):
        fuse("others", "recsys/reviews", store=tmp_path, options={"split": str(tmp_path)})


def test_the_options_are_explained():
    found = Registry.discover().fuser("recsys/reviews")
    fields = found.options_type().__struct_fields__
    assert fields == ("split", "into", "method")


def test_listing_the_plugin_imports_nothing_heavy():
    script = (
        "import sys, ducho_recsys.plugin, ducho_recsys.options, ducho_recsys.splits.request,"
        " ducho_recsys.splits.command; print([m for m in sys.modules if"
        " m.split('.')[0] in ('numpy', 'pyarrow')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
