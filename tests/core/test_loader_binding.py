"""How columns become keys and inputs, and what is said where they do not."""

from __future__ import annotations

import shlex

import pytest

from ducho_core.errors import SourceError, UsageError
from tests.core.loader_samples import open_table, rows, write

CONTENT = (
    "asin\treviewer\ttitle\tbrand\tphoto\n"
    "007\tu1\tRed shoe\tAcme\timg/7.jpg\n"
    "8\tu2\tBlue hat\t\t\n"
)


@pytest.fixture
def items(tmp_path):
    return write(tmp_path / "items.tsv", CONTENT)


def refusal(path, **binding):
    with pytest.raises(UsageError) as error:
        open_table(path, **binding)
    return str(error.value)


def commands(message):
    """The flags of each proposed command, as a shell would pass them."""
    lines = [line.strip() for line in message.splitlines()]
    found = [shlex.split(line) for line in lines if line.startswith("ducho extract")]
    return [line[line.index("…") + 1 :] for line in found]


class TestKeys:
    def test_without_item_id_the_first_column_is_the_key_and_that_is_said(self, items):
        loader = open_table(items, text="title")
        assert [row["item_id"] for row in rows(loader)] == ["007", "8"]
        assert any("'asin'" in remark for remark in loader.remarks)

    def test_item_id_comes_before_the_first_column(self, tmp_path):
        path = write(tmp_path / "items.csv", "n,item_id,text\n1,a,A\n")
        assert rows(open_table(path)) == [{"item_id": "a", "text": "A"}]

    @pytest.mark.parametrize(
        ("keys", "expected"),
        [
            (("asin",), {"item_id": "007"}),
            (("reviewer", "asin"), {"user_id": "u1", "item_id": "007"}),
            (("item_id=asin", "user_id=reviewer"), {"user_id": "u1", "item_id": "007"}),
            (("asin", "user_id=reviewer"), {"user_id": "u1", "item_id": "007"}),
            (("asin", "slot=brand"), {"item_id": "007", "slot": "Acme"}),
        ],
    )
    def test_keys_are_stored_under_their_own_names(self, tmp_path, keys, expected):
        path = write(tmp_path / "one.tsv", "".join(CONTENT.splitlines(keepends=True)[:2]))
        found = rows(open_table(path, text="title", keys=keys))
        assert found == [{**expected, "text": "Red shoe"}]
        assert list(found[0])[:-1] == list(expected)

    def test_columns_called_like_keys_are_those_keys_in_any_order(self, tmp_path):
        path = write(tmp_path / "r.csv", "item_id,user_id,text\ni,u,T\n")
        found = rows(open_table(path, keys=("item_id", "user_id")))
        assert found == [{"user_id": "u", "item_id": "i", "text": "T"}]

    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            (("asni",), "did you mean 'asin'"),
            (("item_id=asni",), "--key item_id=asin"),
            (("user_id=reviewer",), "item_id=COLUMN"),
            (("item_id=asin", "item_id=title"), "twice"),
            (("asin", "reviewer", "title", "brand"), "4 times"),
        ],
    )
    def test_wrong_keys_are_explained(self, items, keys, words):
        assert words in refusal(items, text="title", keys=keys)

    def test_an_empty_key_names_its_line(self, items):
        with pytest.raises(SourceError, match=r"line 3: the key item_id \(column 'brand'\)"):
            rows(open_table(items, text="title", keys=("brand",)))

    def test_a_null_that_the_user_named_is_no_key(self, items):
        with pytest.raises(SourceError, match="line 3"):
            rows(open_table(items, text="title", nulls=("8",)))


class TestInputs:
    def test_a_column_called_like_a_modality_is_taken_and_that_is_said(self, tmp_path):
        path = write(tmp_path / "i.csv", "item_id,image,text\n1,a.jpg,A\n")
        loader = open_table(path, accepts=("image", "text"))
        assert rows(loader) == [{"item_id": "1", "image": str(tmp_path / "a.jpg"), "text": "A"}]
        assert loader.root == tmp_path
        assert {"image: column 'image'", "text: column 'text'"} <= set(loader.remarks)

    def test_what_the_extractor_does_not_take_is_left_alone(self, tmp_path):
        path = write(tmp_path / "i.csv", "item_id,image,text\n1,a.jpg,A\n")
        loader = open_table(path)
        assert rows(loader) == [{"item_id": "1", "text": "A"}]
        assert loader.root is None

    def test_nothing_bound_lists_columns_and_commands_that_work(self, items):
        message = refusal(items, accepts=("image", "text"))
        assert "asin, reviewer, title, brand, photo" in message
        assert ["--image", "photo"] in commands(message)
        assert ["--text", "title"] in commands(message)
        assert rows(open_table(items, accepts=("image", "text"), text="title"))

    def test_a_proposed_command_keeps_what_was_given(self, items):
        message = refusal(items, text="tilte", keys=("asin",), nulls=("n a",), root=".")
        assert commands(message) == [
            ["--key", "asin", "--text", "title", "--root", ".", "--null", "n a"]
        ]

    @pytest.mark.parametrize(
        ("binding", "fixed"),
        [
            ({"text": "tilte"}, ["--text", "title"]),
            ({"text": "{Title}. {brnd}"}, ["--text", "{title}. {brand}"]),
            ({"image": "img/{asn}.jpg", "accepts": ("image",)}, ["--image", "img/{asin}.jpg"]),
            ({"image": "phto", "accepts": ("image",)}, ["--image", "photo"]),
        ],
    )
    def test_a_wrong_column_is_told_with_the_right_command(self, items, binding, fixed):
        message = refusal(items, **binding)
        assert "did you mean" in message
        assert commands(message) == [fixed]

    @pytest.mark.parametrize("field", ["title:>10", "title.upper", "title[0]", "title!r"])
    def test_only_plain_columns_are_substituted(self, items, field):
        assert "only {column} is substituted" in refusal(items, text=f"{{{field}}} ")

    def test_a_flag_for_what_the_extractor_does_not_take(self, items):
        assert "takes text, not --image" in refusal(items, text="title", image="photo")
        assert "takes image, not --text" in refusal(items, text="title", accepts=("image",))

    def test_a_text_becomes_part_of_the_spec(self, items):
        (field,) = open_table(items, text="{title} ({brand})", cleaning=("html",)).inputs
        assert (field.columns, field.template) == (("title", "brand"), "{title} ({brand})")
        assert field.cleaning == ("html",)

    @pytest.mark.parametrize("text", ["title", "{title}"])
    def test_a_column_reads_the_same_with_and_without_braces(self, items, text):
        (field,) = open_table(items, text=text).inputs
        assert (field.columns, field.template) == (("title",), None)

    def test_templates_are_filled_and_nulls_take_their_punctuation(self, items):
        found = rows(open_table(items, text="{title} ({brand})"))
        assert [row["text"] for row in found] == ["Red shoe (Acme)", "Blue hat"]

    def test_cleaning_that_leaves_nothing_makes_a_text_absent(self, tmp_path):
        path = write(tmp_path / "i.tsv", "item_id\ttext\n1\t<p> </p>\n2\t<b>A</b>\n")
        found = rows(open_table(path, cleaning=("html", "whitespace")))
        assert [row["text"] for row in found] == [None, "A"]

    def test_a_wrong_cleaning_is_refused_at_once(self, items):
        assert "'htlm'" in refusal(items, text="title", cleaning=("htlm",))


class TestSeveralTexts:
    def test_names_come_from_the_columns(self, items):
        texts = ((None, "title"), (None, "brand"))
        loader = open_table(items, texts=texts, multiple_texts=True)
        assert rows(loader)[0] == {"item_id": "007", "title": "Red shoe", "brand": "Acme"}

    def test_names_that_are_given_are_kept(self, items):
        texts = (("head", "title"), ("tail", "{brand} {title}"))
        loader = open_table(items, texts=texts, multiple_texts=True)
        assert rows(loader)[1] == {"item_id": "8", "head": "Blue hat", "tail": "Blue hat"}

    def test_one_text_without_a_name_is_text(self, items):
        assert open_table(items, text="title", multiple_texts=True).inputs[0].name == "text"

    @pytest.mark.parametrize(
        ("texts", "words"),
        [
            (((None, "title"), (None, "{brand} {title}")), "needs a name"),
            ((("a", "title"), ("a", "brand")), "two texts would be called 'a'"),
            ((("image", "title"),), "cannot be called 'image'"),
            ((("../x", "title"),), "cannot be called '../x'"),
        ],
    )
    def test_names_must_be_clear(self, items, texts, words):
        assert words in refusal(items, texts=texts, multiple_texts=True)

    def test_an_extractor_of_one_text_says_how_to_join_several(self, items):
        message = refusal(items, texts=((None, "title"), (None, "brand")))
        assert commands(message) == [["--text", "{title}. {brand}"]]
        message = refusal(items, texts=(("a", "title"),))
        assert commands(message) == [["--text", "title"]]


class TestPaths:
    def paths(self, items, image, **binding):
        loader = open_table(items, image=image, accepts=("image",), **binding)
        assert loader.inputs[0].storage == "path"
        return [row["image"] for row in rows(loader)]

    def test_a_path_is_relative_to_the_tables_folder(self, items, tmp_path):
        assert self.paths(items, "photo") == [str(tmp_path / "img/7.jpg"), None]
        assert self.paths(items, "img/{asin}.jpg") == [
            str(tmp_path / "img/007.jpg"),
            str(tmp_path / "img/8.jpg"),
        ]

    def test_a_null_in_a_path_is_absent(self, items):
        assert self.paths(items, "img/{brand}.jpg")[1] is None

    def test_root_is_what_paths_are_relative_to(self, items, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        assert self.paths(items, "photo", root=str(other))[0] == str(other / "img/7.jpg")
        assert "--root" in refusal(items, image="photo", accepts=("image",), root="/no/such")

    def test_absolute_paths_stay(self, items):
        assert self.paths(items, "/data/{asin}.jpg")[0] == "/data/007.jpg"

    @pytest.mark.parametrize("item", ["../up", "a/../../up", "..", "..\\up"])
    def test_a_value_that_climbs_is_led_where_it_is_refused(self, tmp_path, item):
        path = write(tmp_path / "x/i.tsv", f"item_id\n{item}\na..b\n")
        found = self.paths(path, "img/{item_id}.jpg")
        assert found == [str(tmp_path / "x/.."), str(tmp_path / "x/img/a..b.jpg")]

    def test_web_addresses_are_refused_with_the_reason(self, tmp_path):
        path = write(tmp_path / "i.tsv", "item_id\timage\n1\thttps://example.org/a.jpg\n")
        with pytest.raises(SourceError, match="web addresses"):
            rows(open_table(path, accepts=("image",)))
