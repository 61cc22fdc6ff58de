"""What an extraction stores, skips, refuses and says."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
import pytest
from PIL import Image

from ducho_core import InputField, Output, Resolved, option
from ducho_core.errors import ChangedInputError, ContractError, SourceError, UsageError
from ducho_core.extraction.session import Silent, extract
from ducho_core.extraction.settings import make_targets
from ducho_core.registry import Registry
from ducho_core.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("probe")


def texts(count: int) -> dict[str, str]:
    return {f"item{at}": f"text {'a' * (at % 7)}{'b' * (at % 5)} {at}" for at in range(count)}


def counts(text: str, dim: int = 4) -> list[int]:
    return [len(text), *(text.count(one) for one in "abcdefghijklmnop"[: dim - 1])]


def stored(store: Path, name: str, output: str | None = None) -> dict[str, np.ndarray]:
    keys, matrix = Store(store).open(name).to_numpy(output)
    return dict(zip(keys.column("item_id").to_pylist(), matrix, strict=True))


def lines(log: Path, word: str) -> list[str]:
    if not log.exists():
        return []
    return [line for line in log.read_text("utf-8").splitlines() if line.startswith(word)]


def test_every_key_has_its_own_vector(table, tmp_path):
    items = texts(1000)
    (report,) = extract(table(items), "probe", store=tmp_path / "s", name="n")
    assert (report.stored, report.failures, report.rows) == (1000, 0, 1000)
    vectors = stored(tmp_path / "s", "n")
    assert set(vectors) == set(items)
    for key, text in items.items():
        assert vectors[key].tolist() == counts(text)


@pytest.mark.parametrize("settings", [{"chunk_size": 7}, {"batch_size": 1}, {"batch_budget": 50}])
def test_chunks_and_batches_do_not_change_the_numbers(table, tmp_path, settings):
    items = texts(100)
    extract(table(items), "probe", store=tmp_path / "s", name="n", **settings)
    vectors = stored(tmp_path / "s", "n")
    assert {key: vector.tolist() for key, vector in vectors.items()} == {
        key: counts(text) for key, text in items.items()
    }


def test_a_second_run_does_nothing_and_loads_no_model(table, tmp_path):
    log = tmp_path / "log"
    source = table(texts(50))
    options = {"log": str(log)}
    extract(source, "probe", store=tmp_path / "s", options=options)
    assert lines(log, "load") == ["load"]
    (report,) = extract(source, "probe", store=tmp_path / "s", options=options)
    assert (report.rows, report.skipped, report.loaded) == (0, 50, False)
    assert lines(log, "load") == ["load"]


def test_only_new_keys_are_computed(table, tmp_path):
    log = tmp_path / "log"
    extract(table(texts(50)), "probe", store=tmp_path / "s")
    (report,) = extract(table(texts(60)), "probe", store=tmp_path / "s", options={"log": str(log)})
    assert (report.stored, report.skipped) == (10, 50)
    assert len(lines(log, "prepare")) == 10
    assert len(stored(tmp_path / "s", "probe-text")) == 60


def test_equal_texts_are_computed_once(table, tmp_path):
    log = tmp_path / "log"
    items = {f"i{at}": f"text {at % 3}" for at in range(300)}
    (report,) = extract(
        table(items), "probe", store=tmp_path / "s", name="n", options={"log": str(log)}
    )
    assert report.stored == 300
    assert report.repeated == 297
    assert len(lines(log, "prepare")) == 3
    vectors = stored(tmp_path / "s", "n")
    assert all(vectors[key].tolist() == counts(text) for key, text in items.items())


def test_a_repeated_row_counts_once_and_a_conflicting_one_stops(table, tmp_path):
    log = tmp_path / "log"
    rows = [("a", "one"), ("b", "two"), ("a", "one")]
    (report,) = extract(table(rows), "probe", store=tmp_path / "s")
    assert (report.stored, report.duplicates) == (2, 1)
    with pytest.raises(SourceError, match=r"different content, first 'b'"):
        extract(
            table([*rows, ("b", "three")]),
            "probe",
            store=tmp_path / "t",
            options={"log": str(log)},
        )
    assert lines(log, "load") == []


def test_conflicting_rows_far_apart_stop_the_run(table, tmp_path):
    rows = [*texts(40_000).items(), ("item5", "something else")]
    with pytest.raises(SourceError, match="item5"):
        extract(table(rows), "core/hash", store=tmp_path / "s")
    assert Store(tmp_path / "s").sets()[0].planned == 0


def test_absent_is_not_failed(table, tmp_path):
    rows = [("a", "one"), ("b", ""), ("c", "unpreparable"), ("d", "a surprise")]
    (report,) = extract(table(rows), "probe", store=tmp_path / "s", name="n")
    assert (report.stored, report.absent) == (1, 1)
    assert report.failed == {"unpreparable": 1, "prepare_error": 1}
    failures = Store(tmp_path / "s").open("n").failures().to_pylist()
    assert {row["item_id"]: (row["status"], row["code"]) for row in failures} == {
        "b": ("absent", "absent"),
        "c": ("failed", "unpreparable"),
        "d": ("failed", "prepare_error"),
    }


def test_what_was_absent_and_is_there_now_is_computed(table, tmp_path):
    extract(table([("a", "one"), ("b", "")]), "probe", store=tmp_path / "s", name="n")
    source = table([("a", "one"), ("b", "two")])
    (report,) = extract(source, "probe", store=tmp_path / "s", name="n")
    assert (report.stored, report.skipped) == (1, 1)
    assert set(stored(tmp_path / "s", "n")) == {"a", "b"}
    assert Store(tmp_path / "s").open("n").failures().num_rows == 0


def test_failed_items_wait_for_new_content_or_a_retry(table, tmp_path):
    store = tmp_path / "s"
    source = table([("a", "one"), ("b", "unpreparable")])
    extract(source, "probe", store=store, name="n")
    (again,) = extract(source, "probe", store=store, name="n")
    assert (again.rows, again.failed_before) == (0, 1)
    (retried,) = extract(source, "probe", store=store, name="n", retry_failed=True)
    assert (retried.rows, retried.failures) == (1, 1)
    (mended,) = extract(table([("a", "one"), ("b", "preparable")]), "probe", store=store, name="n")
    assert (mended.stored, mended.failures) == (1, 0)
    assert stored(store, "n")["b"].tolist() == counts("preparable")


def test_changed_content_under_a_stored_key_stops_the_run(table, tmp_path):
    extract(table([("a", "one"), ("b", "two")]), "probe", store=tmp_path / "s", name="n")
    with pytest.raises(ChangedInputError, match=r"1 stored item.*'b'"):
        extract(table([("a", "one"), ("b", "new")]), "probe", store=tmp_path / "s", name="n")
    assert stored(tmp_path / "s", "n")["b"].tolist() == counts("two")


def picture(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)


def test_a_file_that_is_only_touched_has_not_changed(tmp_path):
    folder = tmp_path / "pictures"
    picture(folder / "a.png", (10, 20, 30))
    extract(folder, "probe/image", store=tmp_path / "s", name="n")
    os.utime(folder / "a.png", (1, 1))
    (report,) = extract(folder, "probe/image", store=tmp_path / "s", name="n")
    assert (report.rows, report.skipped) == (0, 1)
    picture(folder / "a.png", (99, 20, 30))
    with pytest.raises(ChangedInputError):
        extract(folder, "probe/image", store=tmp_path / "s", name="n")


def test_rehash_finds_a_change_that_size_and_time_hide(tmp_path):
    path = tmp_path / "pictures" / "a.bmp"
    picture(path, (10, 20, 30))
    before = path.stat()
    extract(path.parent, "probe/image", store=tmp_path / "s", name="n")
    picture(path, (11, 21, 31))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (report,) = extract(path.parent, "probe/image", store=tmp_path / "s", name="n")
    assert report.rows == 0
    with pytest.raises(ChangedInputError):
        extract(path.parent, "probe/image", store=tmp_path / "s", name="n", rehash=True)


def test_broken_pictures_fail_by_name_and_the_rest_is_stored(table, tmp_path):
    for at in range(20):
        picture(tmp_path / "img" / f"p{at}.png", (at, 2 * at, 3 * at))
    whole = (tmp_path / "img" / "p0.png").read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "img" / "cut.png")
    os.truncate(tmp_path / "img" / "cut.png", 4000)
    (tmp_path / "img" / "page.png").write_text("<html>not found</html>")
    (tmp_path / "img" / "empty.png").touch()
    (tmp_path / "outside.png").write_bytes(whole)
    (tmp_path / "img" / "link.png").symlink_to(tmp_path / "outside.png")
    names = [*(f"p{at}" for at in range(20)), "cut", "page", "empty", "missing", "link"]
    source = table([(name, f"{name}.png") for name in names], ("item_id", "image"), "img/i.tsv")
    (report,) = extract(source, "probe/image", store=tmp_path / "s", name="n", batch_size=32)
    assert (report.stored, report.absent, report.failures) == (20, 1, 4)
    codes = {
        row["item_id"]: row["code"]
        for row in Store(tmp_path / "s").open("n").failures().to_pylist()
    }
    assert codes == {
        "cut": "decode_error",
        "page": "format_not_allowed",
        "empty": "decode_error",
        "missing": "absent",
        "link": "outside_root",
    }
    assert stored(tmp_path / "s", "n")["p7"].tolist() == [7, 14, 21]


def test_what_is_noted_of_an_item_counts_once(tmp_path):
    frames = [Image.new("RGB", (4, 4), shade) for shade in ("red", "blue")]
    for name in ("a", "b"):
        path = tmp_path / "img" / f"{name}.gif"
        path.parent.mkdir(exist_ok=True)
        frames[0].save(path, save_all=True, append_images=[frames[1].resize((4, 4))], comment=name)
    picture(tmp_path / "img" / "c.png", (1, 2, 3))
    (report,) = extract(tmp_path / "img", "probe/image", store=tmp_path / "s")
    assert (report.stored, dict(report.notes)) == (3, {"first_frame": 2})


def test_a_wrong_template_stops_at_once_and_shows_the_path(table, tmp_path):
    log = tmp_path / "log"
    source = table(texts(2000))
    with pytest.raises(UsageError, match=r"pictures/item0\.jpg"):
        extract(
            source,
            "probe/image",
            store=tmp_path / "s",
            image="pictures/{item_id}.jpg",
            options={"log": str(log)},
        )
    assert lines(log, "load") == []


def test_keys_that_left_the_source_are_withdrawn(table, tmp_path):
    with pytest.raises(ContractError):
        extract(
            table(texts(40)), "probe", store=tmp_path / "s", name="n", options={"fault": "always"}
        )
    (report,) = extract(table(texts(30)), "probe", store=tmp_path / "s", name="n")
    assert (report.stored, report.withdrawn) == (30, 10)
    info = Store(tmp_path / "s").sets()[0]
    assert (info.rows, info.withdrawn, info.complete) == (30, 10, True)
    (back,) = extract(table(texts(40)), "probe", store=tmp_path / "s", name="n")
    assert (back.stored, back.skipped) == (10, 30)


def test_a_shuffled_source_goes_on_with_the_pending_chunks(table, tmp_path):
    items = texts(3000)
    with pytest.raises(ContractError):
        extract(table(items), "probe", store=tmp_path / "s", options={"fault": "always"})
    shuffled = sorted(items.items(), key=lambda pair: hash(pair[1]))
    (report,) = extract(table(shuffled), "probe", store=tmp_path / "s", name="n")
    assert (report.stored, report.withdrawn) == (3000, 0)
    vectors = stored(tmp_path / "s", "n")
    assert all(vectors[key].tolist() == counts(text) for key, text in items.items())


@pytest.mark.parametrize("word", ["poison", "culprit"])
def test_one_bad_item_in_a_batch_leaves_the_others_alone(table, tmp_path, word):
    items = {**texts(64), "bad": f"a {word} text"}
    (report,) = extract(table(items), "probe", store=tmp_path / "s", name="n", batch_size=32)
    assert (report.stored, report.failures) == (64, 1)
    vectors = stored(tmp_path / "s", "n")
    assert all(vectors[key].tolist() == counts(text) for key, text in texts(64).items())
    (row,) = Store(tmp_path / "s").open("n").failures().to_pylist()
    assert (row["item_id"], row["stage"]) == ("bad", "extract")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("few rows", "7 rows for a batch of 8 items"),
        ("wrong dim", r"shape \(8, 3\), declared was \(8, 4\)"),
        ("wrong dtype", "is int64"),
        ("wrong name", "output 'counts' is missing"),
        ("always", "failed on each of the first 32 items.*the model is broken"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_named_and_stores_nothing(
    table, tmp_path, fault, says
):
    with pytest.raises(ContractError, match=f"probe/text.*{says}"):
        extract(table(texts(100)), "probe", store=tmp_path / "s", options={"fault": fault})
    info = Store(tmp_path / "s").sets()[0]
    assert (info.rows, info.failed) == (0, 0)


def test_out_of_memory_halves_the_batches(table, tmp_path, listener):
    options = {"fault": "memory"}
    (report,) = extract(
        table(texts(60)), "probe", store=tmp_path / "s", options=options, observer=listener
    )
    assert (report.stored, report.failures) == (60, 0)
    assert any("out of memory with 8 items" in text for text in listener.said)


def test_a_passing_network_fault_is_tried_again(table, tmp_path):
    options = {"fault": "network once"}
    (report,) = extract(table(texts(10)), "probe", store=tmp_path / "s", options=options)
    assert (report.stored, report.left) == (10, {})


def test_a_lasting_network_fault_commits_no_failure(table, tmp_path):
    source = table(texts(10))
    options = {"fault": "network"}
    (report,) = extract(source, "probe", store=tmp_path / "s", name="n", options=options)
    assert (report.stored, report.failures) == (0, 0)
    assert "no route" in next(iter(report.left))
    (again,) = extract(source, "probe", store=tmp_path / "s", name="n")
    assert again.stored == 10


def test_vectors_that_are_not_finite_are_failures(table, tmp_path):
    rows = [("a", "fine"), ("b", "infinite"), ("c", "nothing")]
    (report,) = extract(table(rows), "probe", store=tmp_path / "s", name="n")
    assert report.failed == {"non_finite": 1}
    assert report.notes["zero_vector"] == 1
    assert set(stored(tmp_path / "s", "n")) == {"a", "c"}


def test_stored_dtypes(table, tmp_path):
    rows = [("a", "abc"), ("b", "huge"), ("c", "bbbbbb")]
    (half,) = extract(table(rows), "probe", store=tmp_path / "s", name="half", dtype="float16")
    assert half.failed == {"overflow": 1}
    vectors = stored(tmp_path / "s", "half")
    assert vectors["a"].dtype == np.float16
    assert vectors["a"].tolist() == counts("abc")
    extract(table(rows), "probe", store=tmp_path / "s", name="bytes", dtype="int8")
    table_ = Store(tmp_path / "s").open("bytes")
    batch = next(iter(table_.batches()))
    values = np.array(batch.column("counts").to_pylist()) * np.array(
        batch.column("counts_scale").to_pylist()
    ).reshape(-1, 1)
    assert np.abs(values[2] - counts("bbbbbb")).max() <= 6 / 254 + 1e-6


def test_two_towers_make_two_sets_with_one_load(table, tmp_path):
    log = tmp_path / "log"
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png", (1, 2, 3))
    rows = [("a", "a.png", "one"), ("b", "b.png", ""), ("c", "c.png", "three")]
    reports = extract(
        table(rows, ("item_id", "image", "text")),
        "probe/dual",
        store=tmp_path / "s",
        name="n",
        options={"log": str(log)},
    )
    assert {report.name: report.stored for report in reports} == {"n-image": 2, "n-text": 2}
    assert lines(log, "load") == ["load"]
    assert set(lines(log, "prepare")) == {"prepare image", "prepare text"}
    assert set(stored(tmp_path / "s", "n-image")) == {"a", "b"}
    assert set(stored(tmp_path / "s", "n-text")) == {"a", "c"}


def test_a_tower_has_the_same_set_alone_and_beside_the_other(table, tmp_path):
    for item, slot in (("a", "1"), ("a", "2"), ("b", "1")):
        picture(tmp_path / "img" / item / f"{slot}.png", (1, 2, 3))
    source = table([("a", "one"), ("b", "two")], ("item_id", "title"))
    image, text = {"image": "img/{item_id}/*"}, {"text": ("title",)}
    both = extract(source, "probe/dual", store=tmp_path / "s", name="n", **image, **text)
    alone = [
        *extract(source, "probe/dual", store=tmp_path / "s", **image),
        *extract(source, "probe/dual", store=tmp_path / "s", **text),
    ]
    assert [one.fingerprint for one in both] == [one.fingerprint for one in alone]
    assert [(one.stored, one.rows) for one in alone] == [(0, 0), (0, 0)]
    images, texts = (Store(tmp_path / "s").open(name) for name in ("n-image", "n-text"))
    assert images.to_numpy()[0].to_pylist() == [
        {"item_id": item, "slot": slot} for item, slot in (("a", "1"), ("a", "2"), ("b", "1"))
    ]
    assert texts.to_numpy()[0].to_pylist() == [{"item_id": "a"}, {"item_id": "b"}]


def test_what_concerns_one_input_is_in_the_spec_of_its_sets_alone(table, tmp_path):
    picture(tmp_path / "a.png", (1, 2, 3))
    source = table([("a", "a.png", "one")], ("item_id", "image", "text"))
    extract(source, "probe/dual", store=tmp_path / "s", name="n")
    specs = {name: Store(tmp_path / "s").open(f"n-{name}").spec for name in ("image", "text")}
    assert specs["image"]["identity"] == {"image": {"from": "the image"}}
    assert specs["text"]["identity"] == {"text": {"from": "the text"}}
    assert specs["image"]["options"] == {"dim": 4, "tint": 0}
    assert specs["text"]["options"] == {"dim": 4}
    options = {"tint": 5}
    reports = extract(source, "probe/dual", store=tmp_path / "s", name="m", options=options)
    assert {one.name: one.stored for one in reports} == {"m-image": 1, "m-text": 0}


def test_an_identity_that_hides_an_inputs_is_refused(table, tmp_path, monkeypatch):
    from ducho_probe.extractor import DualProbe

    def resolve(options, context):
        resolved = plain(options, context)
        return replace(resolved, identity={"text": "ours"})

    plain = DualProbe.resolve
    monkeypatch.setattr(DualProbe, "resolve", resolve)
    with pytest.raises(ContractError, match="identity holds 'text', the name of an input"):
        extract(table(texts(3)), "probe/dual", store=tmp_path / "s")


def test_an_identity_of_an_input_that_there_is_not_is_refused(table, tmp_path, monkeypatch):
    from ducho_probe.extractor import DualProbe

    def resolve(options, context):
        return replace(plain(options, context), input_identity={"texts": {"from": "the text"}})

    plain = DualProbe.resolve
    monkeypatch.setattr(DualProbe, "resolve", resolve)
    with pytest.raises(ContractError, match=r"input_identity holds 'texts'.* image, text"):
        extract(table(texts(3)), "probe/dual", store=tmp_path / "s")


def test_an_option_about_texts_is_about_texts_of_every_name(table, tmp_path):
    class Lengths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        longest: Annotated[int, option(help="longest", inputs=("text",))] = 9
        crop: Annotated[int, option(help="crop", inputs=("image",))] = 1

    resolved = Resolved(
        label="x", identity={}, outputs=(Output(name="e", dim=2),), options=Lengths()
    )
    field = InputField(name="title", modality="text", storage="inline")
    loader = SimpleNamespace(inputs=(field,), keys=("item_id",))
    found = Registry.discover().extractor("core/hash")
    (target,) = make_targets(
        found.canonical,
        found.spec,
        resolved,
        loader,
        slots="all",
        stored_dtype="float32",
        catalogue="main",
        revision=0,
        variant="",
    )
    assert target.spec["options"] == {"longest": 9}


@pytest.mark.parametrize("engine", ["local", "core/local"])
def test_a_run_records_the_engine_by_its_full_name(table, tmp_path, engine):
    extract(table(texts(3)), "probe", store=tmp_path / "s", name="n", engine=engine)
    runs = {run["stage"]: run for run in Store(tmp_path / "s").open("n").runs()}
    assert runs["start"]["engine"] == "core/local"


def test_several_pictures_of_an_item_are_slots(table, tmp_path):
    for name in ("1", "2", "10"):
        picture(tmp_path / "img" / "a" / f"{name}.png", (int(name), 0, 0))
    source = table([("a",)], ("item_id",))
    image = "img/{item_id}/*"
    extract(source, "probe/image", store=tmp_path / "s", name="all", image=image)
    keys, values = Store(tmp_path / "s").open("all").to_numpy()
    assert keys.to_pylist() == [{"item_id": "a", "slot": slot} for slot in ("1", "2", "10")]
    assert values[:, 0].tolist() == [1, 2, 10]
    extract(source, "probe/image", store=tmp_path / "s", name="one", image=image, slots="first")
    keys, values = Store(tmp_path / "s").open("one").to_numpy()
    assert (keys.to_pylist(), values[:, 0].tolist()) == ([{"item_id": "a"}], [1])


def test_text_files_of_a_folder_are_read_and_cleaned(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("\ufeff<b>abc</b>", "utf-8")
    (folder / "b.txt").write_bytes(b"caf\xe9")
    (folder / "c.txt").write_text("   ")
    (report,) = extract(
        folder, "probe", store=tmp_path / "s", name="n", clean=("html", "whitespace")
    )
    assert (report.stored, report.absent, report.failed) == (1, 1, {"not_utf8": 1})
    assert stored(tmp_path / "s", "n")["a"].tolist() == counts("abc")


def test_the_place_of_the_files_is_not_in_the_fingerprint(tmp_path):
    picture(tmp_path / "here" / "a.png", (1, 2, 3))
    picture(tmp_path / "there" / "deeper" / "a.png", (1, 2, 3))
    (one,) = extract(tmp_path / "here", "probe/image", store=tmp_path / "s")
    (two,) = extract(tmp_path / "there" / "deeper", "probe/image", store=tmp_path / "t")
    assert one.fingerprint == two.fingerprint
    for path in (tmp_path / "s").rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path


def test_an_option_that_is_no_option_is_explained_before_anything_is_written(table, tmp_path):
    with pytest.raises(UsageError, match=r"dmi.*did you mean.*dim"):
        extract(table(texts(3)), "probe", store=tmp_path / "s", options=("dmi=3",))
    assert not (tmp_path / "s").exists()


def test_nothing_is_left_in_the_temporary_folder(table, tmp_path):
    extract(table(texts(3000)), "probe", store=tmp_path / "s")
    assert [path for path in (tmp_path / "s").rglob("tmp/*") if path.is_file()] == []


def test_what_an_extractor_remarks_is_said_before_it_is_loaded(table, tmp_path, monkeypatch):
    from ducho_probe.extractor import TextProbe

    said = []
    plain, load = TextProbe.resolve, TextProbe.load

    class Listener(Silent):
        def say(self, text):
            said.append(text)

    def loading(resolved, run_options):
        assert "this runs your code" in said
        return load(resolved, run_options)

    monkeypatch.setattr(
        TextProbe,
        "resolve",
        lambda options, context: replace(
            plain(options, context), remarks=("this runs your code",)
        ),
    )
    monkeypatch.setattr(TextProbe, "load", loading)
    extract(table(texts(3)), "probe", store=tmp_path / "s", observer=Listener())
    assert said.count("this runs your code") == 1


def test_a_column_that_is_called_like_an_input_can_be_left_out(tmp_path):
    picture(tmp_path / "a.png", (1, 2, 3))
    source = tmp_path / "items.tsv"
    source.write_text("item_id\ttext\timage\na\tshoe\ta.png\n")

    def inputs(**more):
        (report,) = extract(source, "core/hash", store=tmp_path / "s", **more)
        return [one["name"] for one in Store(tmp_path / "s").open(report.name).spec["inputs"]]

    assert inputs() == ["image", "text"]
    assert inputs(image="none") == ["text"]
    assert inputs(text=("none",)) == ["image"]
    with pytest.raises(UsageError, match=r"titel.*\n.*--image none"):
        inputs(image="none", text=("titel",))
    (report,) = extract(source, "probe", store=tmp_path / "s", image="none", audio="none")
    assert report.stored == 1  # which takes texts alone
    with pytest.raises(UsageError, match="everything that it takes is left out"):
        inputs(image="none", text=("none",), audio="none")
