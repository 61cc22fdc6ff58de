"""Whole runs over real items: what has no sound is absent, and two towers give two sets."""

from __future__ import annotations

import csv

import pytest

from ducho_core import Store, extract


@pytest.fixture(scope="module")
def few(stamps, tmp_path_factory):
    """Forty of the items, half of them without a sound."""
    with (stamps / "items.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    heard = [row for row in rows if row["audio"]][:20]
    silent = [row for row in rows if not row["audio"]][:20]
    folder = tmp_path_factory.mktemp("few")
    with (folder / "items.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["item_id", "title", "audio"], delimiter="\t")
        writer.writeheader()
        for row in heard + silent:
            writer.writerow({name: row[name] for name in ("item_id", "title", "audio")})
    return folder / "items.tsv"


def run(few, stamps, store, plugin, **settings):
    return extract(few, plugin, store=store, audio="audio", root=str(stamps), **settings)


def test_encoder(waves, few, stamps, tmp_path):
    options = {"device": "cpu", "window": 2.0}
    folder = str(waves("wav2vec2"))
    (report,) = run(few, stamps, tmp_path, "audio", model=folder, options=options, name="heard")
    assert (report.rows, report.stored, report.absent, sum(report.failed.values())) == (
        40,
        20,
        20,
        0,
    )
    keys, vectors = Store(tmp_path).open("heard").to_numpy()
    assert vectors.shape == (20, 32)
    assert len(set(keys["item_id"].to_pylist())) == 20
    (again,) = run(few, stamps, tmp_path, "audio", model=folder, options=options, name="heard")
    assert (again.rows, again.skipped, again.absent_before) == (0, 20, 20)


def test_clap_makes_a_set_of_each_tower(clap_folder, few, stamps, tmp_path):
    reports = run(
        few,
        stamps,
        tmp_path,
        "audio/clap",
        text=["title"],
        model=str(clap_folder()),
        options={"device": "cpu"},
        name="clap",
    )
    stored = {one.name: (one.stored, one.absent) for one in reports}
    assert stored == {"clap-audio": (20, 20), "clap-text": (40, 0)}
    store = Store(tmp_path)
    for name, output in (("clap-audio", "audio_embeds"), ("clap-text", "text_embeds")):
        feature_set = store.open(name)
        assert [one["name"] for one in feature_set.spec["outputs"]] == [output]
        assert feature_set.to_numpy()[1].shape[1] == 24
