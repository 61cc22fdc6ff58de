"""Prompt files, answers read by label, and forced decoding."""

from __future__ import annotations

import lvlm_kit as kit
import pytest
from click.testing import CliRunner
from ducho_lvlm import Slot, parse_answer, read_prompt
from ducho_lvlm.prompts import PRESETS, filled, shown

from ducho_core import UsageError

FORM = """
instruction = "describe this item: {title}"
example = "[Color] {red}"
order = "text_first"

[[slots]]
label = "Color"
values = ["red", "red shoe", "a cat", "brand"]

[[slots]]
label = "Age Group"

[[slots]]
label = "Style"
values = ["price"]
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="form.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_a_file_with_everything(written):
    prompt = read_prompt(written(FORM))
    assert prompt.name == "form"
    assert [slot.column for slot in prompt.slots] == [
        "slot_color",
        "slot_age_group",
        "slot_style",
    ]
    parts = prompt.text(["title", "brand"])
    assert shown(parts) == (
        "describe this item: {title}\nAnswer in exactly this form: [Color] {red | red shoe |"
        " a cat | brand}, [Age Group] {...}, [Style] {price}\nExample: [Color] {red}\n"
        "Brand: {brand}"
    )
    texts = {"title": "{brand} {{x}} {% y %}", "brand": "{title}"}
    assert filled(parts, texts).startswith("describe this item: {brand} {{x}} {% y %}\nAnswer")
    assert filled(parts, texts).endswith("\nBrand: {title}")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_reads(name):
    prompt = read_prompt(name)
    assert shown(prompt.text(["title"])).endswith("\nTitle: {title}")
    if prompt.slots:
        assert len(prompt.slots) == 5
        assert None not in parse_answer(prompt.example, prompt.slots).values()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instruction = ", "no prompt"),
        ("system = 'x'", "instruction"),
        ("instruction = ''", "length"),
        ("instruction = '  '", "instruction is blank"),
        ("instruction = 'x'\n[[slots]]\nlabel = 'a'\nvalues = ['Red', 'red']", "twice"),
        ("instruction = 'x'\nslot = 1", "slot"),
        ("instruction = 'x'\n[[slots]]\nlabel = 'a]'", "brackets"),
        ("instruction = 'x'\n[[slots]]\nlabel = 'a'\nvalues = ['b', 'b']", "twice"),
        ("instruction = 'x'\n[[slots]]\nlabel = 'a'\nvalues = ['']", "not empty"),
        ("instruction = 'x'\n[[slots]]\nlabel = 'a b'\n[[slots]]\nlabel = 'A-B'", "slot_a_b"),
        ("instruction = 'x'\norder = 'both'", "order"),
    ],
)
def test_what_is_no_prompt(written, text, message):
    with pytest.raises(UsageError, match=rf"prompt file form.toml.*{message}"):
        read_prompt(written(text))


def test_placeholders_need_texts(written):
    prompt = read_prompt(written("instruction = 'the {color} of { it'"))
    with pytest.raises(UsageError, match=r"names \{color\}, and items have title"):
        prompt.text(["title"])
    with pytest.raises(UsageError, match=r"brace \{ stands alone"):
        prompt.text(["color"])
    braces = read_prompt(written("instruction = 'as {{color}}'"))
    assert shown(braces.text([])) == "as {color}"
    with pytest.raises(UsageError, match="give a TOML file, or a preset: describe"):
        read_prompt("descrieb")


def test_answers_are_read_by_label():
    slots = [Slot(label="Color", values=("red", "blue")), Slot(label="Style"), Slot(label="Use")]
    read = parse_answer("Sure! [style] { plain }, [COLOR] {Red}; [Style] {other}", slots)
    assert read == {"slot_color": "red", "slot_style": "plain", "slot_use": None}
    assert parse_answer("[Color] {green}, [Style] {}, [Use {x}", slots) == dict.fromkeys(read)


@pytest.mark.parametrize("name", ["llama", "qwen2vl", "llava"])
def test_forced_answers_are_legal(model, written, name):
    extractor = kit.load(
        model(name), ["title"], prompt=[written(FORM)], max_value_tokens=3, embeddings=["eos"]
    )
    slots = read_prompt(written(FORM)).slots
    items = [{"title": f"{title} {turn}"} for turn in range(34) for title in kit.TITLES]
    found = kit.extract(extractor, items, size=64)
    assert len(items) > 200
    for at, text in enumerate(found["description"]):
        read = parse_answer(text, slots)
        assert None not in read.values(), text
        assert text == (
            f"[Color] {{{read['slot_color']}}}, [Age Group] {{{read['slot_age_group']}}},"
            f" [Style] {{{read['slot_style']}}}"
        )
        assert read["slot_color"] in slots[0].values
        assert read["slot_age_group"].isprintable()
        for column, value in read.items():
            assert found[column][at] == value
    assert set(found["compliance"]) == {None}
    assert set(found["complete"]) == {True}
    assert len(set(found["slot_age_group"])) > 1


def test_forced_decoding_takes_fewer_steps(model, written):
    extractor = kit.load(model("llama"), ["title"], prompt=[written(FORM)], max_value_tokens=3)
    steps = []
    extractor._network.base.register_forward_hook(lambda *args: steps.append(1))
    kit.extract(extractor, kit.items("title"))
    form = next(iter(extractor._forms.values()))
    fixed = sum(map(len, form.before)) + len(form.after)
    assert len(steps) < fixed


@pytest.mark.parametrize("name", ["llama", "qwen2vl"])
def test_states_of_forced_answers(model, library, written, name):
    """As plain Transformers gives them for the very same tokens, in every batch."""
    sees = name == "qwen2vl"
    inputs = ["image", "title"] if sees else ["title"]
    extractor = kit.load(
        model(name),
        inputs,
        prompt=[written(FORM)],
        max_value_tokens=3,
        embeddings=["eos", "answer_last", "mean_answer"],
    )
    scripts = []
    own = extractor._scripts
    extractor._scripts = lambda one, count: (scripts.append(own(one, count)), scripts[-1])[1]
    items = kit.items(*inputs)
    whole = kit.extract(extractor, items)
    prompt = read_prompt(written(FORM))
    theirs = library(name)
    for at, title in enumerate(kit.TITLES):
        text = filled(prompt.text(["title"]), {"title": title})
        picture = kit.pictures()[at] if sees else None
        given = theirs.inputs(text, picture, image_first=False)
        answer = scripts[0][at].tokens
        state = theirs.states(given, [*answer, extractor._settled.end])[-1]
        start = given["input_ids"].shape[1]
        assert kit.far(whole["eos"][at], state[-1]) <= 1e-4
        assert kit.far(whole["answer_last"][at], state[-2]) <= 1e-4
        assert kit.far(whole["mean_answer"][at], state[start:-1].mean(0)) <= 1e-4
    for size, order in ((1, None), (4, [5, 3, 1, 0, 2, 4])):
        found = kit.extract(extractor, items, size=size, order=order)
        assert found["description"] == whole["description"]
        assert kit.far(found["eos"], whole["eos"]) <= 1e-4


def test_free_slots_are_parsed_and_measured(model, written):
    extractor = kit.load(
        model("llama"), ["title"], prompt=[written(FORM)], decoding="free", max_new_tokens=4
    )
    found = kit.extract(extractor, kit.items("title"))
    assert set(found["compliance"]) == {0.0}  # random weights keep to no form
    assert set(found["slot_color"]) == {None}


def test_sampling_depends_on_seed_and_item_alone(model):
    def said(seed, **how):
        extractor = kit.load(
            model("llama"), ["title"], temperature=1.0, top_p=0.9, seed=seed, max_new_tokens=8
        )
        return kit.extract(extractor, kit.items("title"), **how)["description"]

    first = said(1)
    assert said(1, size=2, order=[5, 3, 1, 0, 2, 4]) == first
    assert said(2) != first
    assert len(set(first)) == len(first)


def test_check_command(model, written):
    from ducho_lvlm.commands import lvlm

    run = CliRunner().invoke
    shown_alone = run(lvlm, ["prompt", "check", written(FORM), "--text", "title=a cat"])
    assert shown_alone.exit_code == 0, shown_alone.output
    assert "describe this item: {title}" in shown_alone.output
    whole = run(
        lvlm,
        [
            "prompt",
            "check",
            written(FORM),
            "--model",
            str(model("llava")),
            "--text",
            "title=a cat",
        ],
    )
    assert whole.exit_code == 0, whole.output
    assert "USER: describe this item: a cat\nAnswer" in whole.output
    assert "of them 16 of the image" in whole.output
    wrong = run(lvlm, ["prompt", "check", written("instruction = 1")])
    assert isinstance(wrong.exception, UsageError)
