"""Whole runs: what the summary tells, several images an item, killed while it generates."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import lvlm_kit as kit
import pytest

from ducho_core import Store, extract

DUCHO = str(Path(sys.executable).parent / "ducho")
CHUNK, COUNT = 8, 40


@pytest.fixture
def titles(tmp_path):
    path = tmp_path / "items.tsv"
    lines = [f"i{at}\tshoe number {at} in {kit.TITLES[at % 6]}\n" for at in range(COUNT)]
    path.write_text("item_id\ttext\n" + "".join(lines))
    return path


def column(store, name, output):
    found = {}
    for batch in Store(store).open(name).batches(["item_id", output]):
        keys, values = batch["item_id"].to_pylist(), batch[output].to_pylist()
        found.update(zip(keys, values, strict=True))
    return found


def test_the_summary_tells_compliance_and_how_many_answers_are_complete(model, titles, tmp_path):
    given = {"model": str(model("llama")), "prompt": "clothing", "max_new_tokens": 12}

    def run(name, **more):
        (report,) = extract(
            titles, "lvlm", store=tmp_path / "s", name=name, options={**given, **more}
        )
        return report

    free = run("free", decoding="free")
    assert set(free.means) == {"compliance", "complete"}
    for output, mean in free.means.items():
        values = column(tmp_path / "s", "free", output).values()
        assert len(values) == COUNT
        assert mean == pytest.approx(sum(values) / COUNT)
    assert free.as_dict()["means"]["complete"] == pytest.approx(free.means["complete"], abs=1e-6)
    assert free.means["complete"] < 1  # some of this model's answers are cut
    assert set(run("forced").means) == {"complete"}


def test_several_images_of_an_item_in_one_prompt(model, tmp_path):
    for at, picture in enumerate(kit.pictures()):
        folder = tmp_path / "images" / f"i{at // 2}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{at}.png").write_bytes(kit.encoded(picture))
    (tmp_path / "items.tsv").write_text("item_id\ttitle\ni0\ta shoe\ni1\ta hat\ni2\ta bag\n")
    flags = ["--model", str(model("qwen2vl")), "--store", str(tmp_path / "s"), "--name", "n"]
    flags += [
        "--image",
        "images/{item_id}/*",
        "--slots",
        "joint",
        "--text",
        "title",
        "-o",
        "max_new_tokens=4",
    ]
    done = subprocess.run(
        [DUCHO, "extract", str(tmp_path / "items.tsv"), "--plugin", "lvlm", *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 stored of 3" in done.stdout
    assert "means     complete" in done.stdout
    features = Store(tmp_path / "s").open("n")
    assert (features.keys, len(features)) == (("item_id",), 3)


def test_killed_while_it_generates_it_repeats_no_more_than_the_chunk_in_hand(
    model, titles, tmp_path
):
    options = {"model": str(model("llama")), "max_new_tokens": 48}
    settings = {"options": options, "chunk_size": CHUNK, "name": "n"}
    extract(titles, "lvlm", store=tmp_path / "whole", **settings)

    store = tmp_path / "s"
    process = subprocess.Popen(
        [DUCHO, "extract", str(titles), "--plugin", "lvlm", "--store", str(store), "--name", "n"]
        + ["--chunk-size", str(CHUNK), "--batch-size", "2"]
        + [f"-o{name}={value}" for name, value in options.items()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 60
    while not (committed := len(list(store.glob("*/*/*/data/*.parquet")))):
        assert process.poll() is None, "the run ended before anything was committed"
        assert time.monotonic() < limit
        time.sleep(0.005)
    process.kill()
    process.wait()
    committed = len(list(store.glob("*/*/*/data/*.parquet")))
    assert committed < COUNT // CHUNK, "it was not killed in the middle"

    (report,) = extract(titles, "lvlm", store=store, **settings)
    assert (report.skipped, report.rows) == (committed * CHUNK, COUNT - committed * CHUNK)
    assert column(store, "n", "description") == column(tmp_path / "whole", "n", "description")
