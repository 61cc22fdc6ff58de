"""Options: parsed by type, checked, explained, and what of them enters a SPEC."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Literal

import msgspec
import pytest

from ducho_core import ContractError, OptionError, RunOptions, option
from ducho_core.options import (
    build_options,
    describe,
    parse_options,
    restore_options,
    spec_options,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Pool(Struct):
    how: Annotated[Literal["avg", "max"], option(help="how")] = "avg"
    power: Annotated[float, option(help="power", gt=0)] = 3


class Layers(Struct):
    deep: Annotated[int, option(help="layer", inputs=("audio",))] = 3


class LaterPool(Pool):
    norm: Annotated[bool, option(help="norm", since="3.2")] = False


class Options(Struct):
    flag: Annotated[bool, option(help="a flag")] = False
    count: Annotated[int, option(help="a count", ge=1, le=9)] = 1
    share: Annotated[float, option(help="a share", gt=0, lt=1)] = 0.5
    text: Annotated[str, option(help="a text", min_length=1)] = "x"
    title: Annotated[str | None, option(help="a title")] = None
    limit: Annotated[int | None, option(help="a limit", ge=1)] = None
    how: Annotated[Literal["a", "b", 3], option(help="a choice")] = "a"
    colour: Annotated[Colour, option(help="a colour")] = Colour.RED
    layers: Annotated[tuple[str, ...], option(help="layers", max_length=3)] = ()
    numbers: Annotated[list[int], option(help="numbers", ge=0)] = []
    mean: Annotated[tuple[float, float, float] | None, option(help="a mean")] = None
    names: Annotated[frozenset[str], option(help="names")] = frozenset()
    extra: Annotated[dict[str, int], option(help="an object")] = {}
    size: Annotated[int | Literal["auto"], option(help="a size", ge=1)] = "auto"
    pool: Pool = Pool(how="max")
    second: Pool | None = None


class Run(RunOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    threads: Annotated[int, option(help="threads", ge=1)] = 2


def parse(*pairs, options=Options, run=Run):
    return parse_options("p/x", options, run, pairs)


def refused(*pairs, options=Options, run=Run):
    with pytest.raises(OptionError) as caught:
        parse(*pairs, options=options, run=run)
    assert "p/x" in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("flag=true", True),
        ("flag=Yes", True),
        ("flag=0", False),
        ("count=7", 7),
        ("share=1e-3", 0.001),
        ("text=a=b, c", "a=b, c"),
        ("text= none ", " none "),
        ("text=none", "none"),
        ("text=007", "007"),
        ("text=@@home", "@home"),
        ("title=none", None),
        ("title=None", "None"),
        ("limit=none", None),
        ("limit=4", 4),
        ("how=b", "b"),
        ("how=3", 3),
        ("colour=blue", Colour.BLUE),
        ("layers=layer3,layer4", ("layer3", "layer4")),
        ("layers=layer3, layer4", ("layer3", "layer4")),
        ('layers=["a,b", "c"]', ("a,b", "c")),
        ("layers=", ()),
        ("numbers=1,2,3", [1, 2, 3]),
        ("numbers=[1, 2]", [1, 2]),
        ("mean=0,0.5,1", (0.0, 0.5, 1.0)),
        ("mean=none", None),
        ("names=b,a,b", frozenset({"a", "b"})),
        ('extra={"a": 1}', {"a": 1}),
        ("size=auto", "auto"),
        ("size=12", 12),
        ("pool.how=avg", Pool()),
        ("pool.power=2", Pool(how="max", power=2.0)),
        ('pool={"power": 2.5}', Pool(how="max", power=2.5)),
        ("second.how=max", Pool(how="max")),
        ("second=none", None),
    ],
)
def test_a_text_is_read_by_the_type_of_its_option(pair, value):
    options, _ = parse(pair)
    read = getattr(options, pair.partition("=")[0].partition(".")[0])
    assert read == value
    assert type(read) is type(value)


def test_both_structs_take_from_one_command_line():
    options, run = parse("threads=4", "count=3", "device=cpu")
    assert (options.count, run.threads, run.device) == (3, 4, "cpu")


def test_without_structs_nothing_is_accepted():
    assert parse(options=None, run=None) == (None, RunOptions())
    assert "it has none" in refused("count=1", options=None, run=None)


def test_a_text_may_come_from_a_file_verbatim(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_bytes("Gr\u00fc\u00dfe,\r\n@you\n".encode())
    assert parse(f"text=@{path}")[0].text == "Gr\u00fc\u00dfe,\r\n@you\n"
    assert parse(f"title=@{path}")[0].title == "Gr\u00fc\u00dfe,\r\n@you\n"
    assert parse(f"layers=@{path}")[0].layers == (f"@{path}",)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    message = refused(f"text=@{tmp_path}/none.txt")
    assert "none.txt" in message
    assert "No such file" in message
    assert "@@" in message
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "no UTF-8 text" in refused(f"text=@{tmp_path}/binary")


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("flag=maybe", "expected true or false"),
        ("count=3.5", "expected a whole number"),
        ("count=0", "0 is not >= 1"),
        ("count=10", "10 is not <= 9"),
        ("share=0", "0.0 is not > 0"),
        ("share=1", "1.0 is not < 1"),
        ("share=nan", "expected a finite number"),
        ("share=inf", "expected a finite number"),
        ("text=", "its length, 0, is not >= 1"),
        ("limit=0", "0 is not >= 1"),
        ("limit=x", "expected a whole number"),
        ("how=c", "expected one of: a, b, 3"),
        ("colour=green", "expected one of: red, blue"),
        ("layers=a,b,c,d", "its length, 4, is not <= 3"),
        ("layers=[1]", "expected str, got int"),
        ("layers=[", "expected JSON such as"),
        ("numbers=1,x", "expected a whole number"),
        ("numbers=1,-2", "-2 is not >= 0"),
        ("mean=1,2", "expected 3 values, got 2"),
        ("extra=1", "expected JSON such as"),
        ('extra={"a": "x"}', "expected int, got str"),
        ("size=big", "expected int or auto"),
        ("pool.power=-1", "-1.0 is not > 0"),
    ],
)
def test_a_wrong_value_says_what_is_expected(pair, words):
    key, _, value = pair.partition("=")
    message = refused(pair)
    assert words in message
    assert repr(key) in message
    assert repr(value) in message


def test_a_wrong_value_comes_with_type_bounds_default_and_help():
    assert refused("count=0").splitlines()[1] == "  count (int, >= 1, <= 9, default 1): a count"


def test_an_unknown_key_gets_a_suggestion_and_the_list():
    message = refused("cuont=3")
    assert "no option 'cuont'; did you mean 'count'?" in message
    for name in ("flag", "count", "pool.how", "second.power", "threads", "device"):
        assert name in message.splitlines()[1]
    assert "did you mean 'pool.how'?" in refused("pool.hwo=avg")
    assert "ducho plugins show p/x" in message


@pytest.mark.parametrize("key", ["precision", "batch_size", "batch-size"])
def test_what_belongs_to_the_core_is_named_as_a_flag(key):
    assert f"flag of the command: --{key.replace('_', '-')}" in refused(f"{key}=fast")


def test_a_repeated_key_is_an_error_that_names_both():
    message = refused("layers=a", "layers=b")
    assert "layers=a" in message
    assert "layers=b" in message
    assert "layers=A,B" in message
    for pairs in (("pool.how=avg", 'pool={"how": "max"}'), ("second=none", "second.how=max")):
        assert "given twice" in refused(*pairs)
        assert "given twice" in refused(*reversed(pairs))


@pytest.mark.parametrize("pair", ["count", "=3", ""])
def test_a_pair_without_key_or_value_is_refused(pair):
    assert "-o key=value" in refused(pair)


def test_a_nested_struct_needs_dotted_keys():
    assert "-o pool.NAME=VALUE" in refused("pool=avg")
    assert "-o pool.NAME=VALUE" in refused("pool=none")


def test_a_missing_option_is_named_with_its_help():
    class Needs(Struct):
        model: Annotated[str, option(help="name of the model")]

    message = refused(options=Needs)
    assert "'model'" in message
    assert "name of the model" in message
    assert "-o model=" in message
    assert parse("model=m", options=Needs)[0].model == "m"


def test_options_that_do_not_fit_together_say_why():
    class Fits(Struct):
        low: Annotated[int, option(help="low")] = 0
        high: Annotated[int, option(help="high")] = 1

        def __post_init__(self):
            if self.low > self.high:
                raise ValueError("low is above high")

    assert "low is above high" in refused("low=5", options=Fits)


def test_a_recipe_gives_the_same_as_the_command_line():
    mapping = {
        "count": 3,
        "share": 1e-3,
        "layers": ["a", "b"],
        "pool": {"how": "avg"},
        "second.power": "2",
        "limit": None,
        "threads": 4,
    }
    pairs = [
        "count=3",
        "share=0.001",
        "layers=a,b",
        "pool.how=avg",
        "second.power=2",
        "limit=none",
        "threads=4",
    ]
    assert build_options("p/x", Options, Run, mapping) == parse(*pairs)


@pytest.mark.parametrize(
    "mapping",
    [{"text": 7}, {"count": "x"}, {"count": 99}, {"layers": [1]}, {"share": float("nan")}],
)
def test_a_wrong_value_in_a_recipe_is_refused(mapping):
    with pytest.raises(OptionError, match=next(iter(mapping))):
        build_options("p/x", Options, Run, mapping)


def test_an_option_in_both_structs_breaks_the_contract():
    class Both(Struct):
        device: Annotated[str, option(help="device")] = "x"

    with pytest.raises(ContractError, match="'device' is declared both"):
        parse(options=Both)


def test_a_spec_holds_every_default_as_plain_json():
    spec = spec_options(Options())
    assert spec == json.loads(json.dumps(spec))
    assert spec == {
        "flag": False,
        "count": 1,
        "share": 0.5,
        "text": "x",
        "title": None,
        "limit": None,
        "how": "a",
        "colour": "red",
        "layers": [],
        "numbers": [],
        "mean": None,
        "names": [],
        "extra": {},
        "size": "auto",
        "pool": {"how": "max", "power": 3.0},
        "second": None,
    }
    assert spec_options(None) == {}


def test_a_spec_does_not_depend_on_how_a_value_was_written():
    assert json.dumps(spec_options(parse("pool.power=3")[0])) == json.dumps(
        spec_options(Options())
    )
    one = spec_options(parse("names=b,a,c")[0])
    assert json.dumps(one) == json.dumps(spec_options(parse("names=c,b,a")[0]))


@pytest.mark.parametrize(
    "pairs",
    [
        (),
        ("colour=blue", "mean=1,2,3", "names=a,b", "second.power=9", 'extra={"a": 1}'),
        ("text=@@file", "title=@@@", "layers=none,@x", "size=3"),
    ],
)
def test_options_come_back_from_their_spec_verbatim(pairs):
    options, _ = parse(*pairs)
    assert restore_options(Options, json.loads(json.dumps(spec_options(options)))) == options


def test_an_option_about_one_input_enters_only_the_specs_that_require_it():
    class Towers(Struct):
        model: Annotated[str, option(help="model")] = "m"
        crop: Annotated[int, option(help="crop", inputs=("image", "video"))] = 1
        layers: Layers = Layers()

    assert spec_options(Towers(), ("image",)) == {"model": "m", "crop": 1, "layers": {}}
    assert spec_options(Towers(), ("audio", "text")) == {"model": "m", "layers": {"deep": 3}}
    assert spec_options(Towers()) == {"model": "m", "crop": 1, "layers": {"deep": 3}}
    assert restore_options(Towers, spec_options(Towers(), ())) == Towers()
    assert {one.name: one.inputs for one in describe(Towers)} == {
        "model": (),
        "crop": ("image", "video"),
        "layers.deep": ("audio",),
    }


def test_all_of_a_nested_struct_is_about_the_inputs_that_the_struct_is_about():
    class Towers(Struct):
        pool: Annotated[Pool, option(help="pool", inputs=("image",))] = Pool()

    assert spec_options(Towers(), ("text",)) == {}
    assert {one.name: one.inputs for one in describe(Towers)} == {
        "pool.how": ("image",),
        "pool.power": ("image",),
    }


def test_an_option_added_later_is_left_out_of_the_spec_at_its_default():
    class Before(Struct):
        count: Annotated[int, option(help="count")] = 1
        pool: Pool = Pool()

    class After(Struct):
        count: Annotated[int, option(help="count")] = 1
        pool: LaterPool = LaterPool()
        layers: Annotated[tuple[str, ...], option(help="layers", since="3.1")] = ()

    assert spec_options(After()) == spec_options(Before())
    assert restore_options(After, spec_options(Before())) == After()
    assert spec_options(parse("layers=a", options=After)[0])["layers"] == ["a"]
    assert spec_options(parse("pool.norm=yes", options=After)[0])["pool"]["norm"] is True
    assert {one.name: one.since for one in describe(After)} == {
        "count": None,
        "pool.norm": "3.2",
        "pool.how": None,
        "pool.power": None,
        "layers": "3.1",
    }


def test_an_option_added_later_needs_a_default():
    class Wrong(Struct):
        count: Annotated[int, option(help="count", since="3.1")]

    with pytest.raises(ContractError, match="has no default"):
        describe(Wrong)


def test_an_option_needs_a_help_text():
    class Wrong(Struct):
        count: int = 1

    with pytest.raises(ContractError, match="'count' has no help"):
        describe(Wrong)


def test_describe_says_all_there_is():
    found = {one.name: one for one in describe(Options)}
    count = found["count"]
    assert (count.type, count.default, count.bounds, count.help) == (
        "int",
        1,
        ">= 1, <= 9",
        "a count",
    )
    assert not count.required
    assert found["how"].choices == ("a", "b", 3)
    assert found["colour"].choices == ("red", "blue")
    assert found["limit"].type == "int or none"
    assert found["mean"].type == "float, float, float or none"
    assert found["layers"].type == "list of str"
    assert found["layers"].bounds == "length <= 3"
    assert found["pool.how"].default == "max"
    assert found["second.how"].default == "avg"
    assert all(one.in_spec for one in found.values())
    assert not any(one.in_spec for one in describe(Run, in_spec=False))
