"""Both towers in one run, as a user gets them."""

from __future__ import annotations

from collections import Counter

import clip_kit as kit
import numpy as np
import pytest

from ducho_core import Store, UsageError, extract

MISSING, BROKEN, EMPTY = "item3", "item5", "item7"
ITEMS = [f"item{at}" for at in range(9)]


@pytest.fixture
def shop(tmp_path):
    """Nine items: one without a picture, one with a broken one, one without a title."""
    (tmp_path / "pictures").mkdir()
    lines = ["item_id\tpicture\ttitle"]
    rows = zip(ITEMS, kit.pictures(), kit.texts(), strict=False)
    for item, picture, text in rows:
        content = b"no picture" if item == BROKEN else kit.encoded(picture)
        if item != MISSING:
            (tmp_path / "pictures" / f"{item}.png").write_bytes(content)
        lines.append(f"{item}\tpictures/{item}.png\t{'' if item == EMPTY else text}")
    (tmp_path / "items.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path


def run(shop, model, **settings):
    return extract(
        shop / "items.tsv",
        "clip",
        store=shop / "features",
        model=str(model("clip")),
        **{"image": "picture", "text": ("title",), "name": "clip", "device": "cpu", **settings},
    )


def stored(shop, name):
    keys, matrix = Store(shop / "features").open(name).to_numpy()
    return dict(zip(keys.column("item_id").to_pylist(), matrix, strict=True))


def test_one_run_makes_a_set_for_each_tower(shop, model, library, monkeypatch):
    loads = Counter()
    load = kit.DualExtractor.load

    def counted(*arguments):
        loads["load"] += 1
        return load(*arguments)

    monkeypatch.setattr(kit.DualExtractor, "load", counted)
    image, text = run(shop, model)
    assert loads == {"load": 1}
    assert (image.loaded, text.loaded) == (True, False)
    assert [image.name, text.name] == ["clip-image", "clip-text"]

    # What one tower cannot use costs the other nothing.
    assert (image.stored, image.absent, image.failures) == (7, 1, 1)
    assert (text.stored, text.absent, text.failures) == (8, 1, 0)
    assert text.notes == {"truncated": 2}
    images, texts = stored(shop, "clip-image"), stored(shop, "clip-text")
    assert set(images) == set(ITEMS) - {MISSING, BROKEN}
    assert set(texts) == set(ITEMS) - {EMPTY}

    # Each vector is its own item's.
    clip = library("clip")
    pictures = clip.projected("image", kit.pictures())
    titles = clip.projected("text", kit.texts()[: len(ITEMS)])
    for at, item in enumerate(ITEMS):
        for found, expected in ((images, pictures), (texts, titles)):
            if item in found:
                assert np.allclose(found[item], expected[at], atol=1e-5), item

    sets = [Store(shop / "features").open(name) for name in ("clip-image", "clip-text")]
    assert [list(one.outputs) for one in sets] == [["image_embeds"], ["text_embeds"]]
    assert "text" not in sets[0].spec["identity"]
    assert "image" not in sets[1].spec["identity"]

    again = run(shop, model)
    assert loads == {"load": 1}
    assert [(one.rows, one.loaded) for one in again] == [(0, False)] * 2


def test_the_other_tower_may_come_later_and_finds_what_is_there(shop, model):
    (text,) = run(shop, model, image=None, name="titles")
    both = run(shop, model)
    assert (both[0].stored, both[1].rows) == (7, 0)
    assert both[1].fingerprint == text.fingerprint
    # An option about texts leaves the images alone.
    options = {"text_pooling": "last"}
    image, text = run(shop, model, options=options, name="last")
    assert (image.rows, text.stored) == (0, 8)
    assert image.fingerprint == both[0].fingerprint


def test_a_models_limit_that_is_exceeded_is_said_before_anything_is_written(shop, model):
    with pytest.raises(UsageError, match="max_length=999"):
        run(shop, model, options={"max_length": 999})
    assert Store(shop / "features").sets() == []


def test_the_command_line(shop, model, ducho):
    arguments = (
        *("extract", "items.tsv", "--plugin", "clip", "--model", str(model("clip"))),
        *("--image", "picture", "--text", "title", "--name", "clip", "--device", "cpu"),
    )
    first = ducho(*arguments, cwd=shop)
    assert first.returncode == 3, first.stderr
    assert "clip-image: 7 stored of 9 pending" in first.stdout
    assert "clip-text: 8 stored of 9 pending" in first.stdout
    second = ducho(*arguments, cwd=shop)
    assert second.returncode == 0
    assert second.stdout.count("nothing to do, no model was loaded") == 2
    listed = ducho("plugins", "models", "clip", cwd=shop)
    assert "openai/clip-vit-base-patch32" in listed.stdout


def test_reviews_keep_both_keys(shop, model):
    (shop / "items.tsv").write_text("u\ti\ttitle\na\tx\tred\nb\tx\tblue\na\ty\tgreen\n", "utf-8")
    (report,) = run(shop, model, image=None, key=("u", "i"))
    assert (report.stored, report.failures) == (3, 0)
    keys, _ = Store(shop / "features").open("clip").to_numpy()
    pairs = zip(keys["user_id"].to_pylist(), keys["item_id"].to_pylist(), strict=True)
    assert sorted(pairs) == [("a", "x"), ("a", "y"), ("b", "x")]
