"""Plugins that are wrong: each is named with the remedy, and nothing else suffers."""

from __future__ import annotations

import pytest

from ducho_core.errors import ContractError, PluginError, PluginLoadError, PluginNotFoundError
from ducho_core.registry import Registry


def spec(**changes: object) -> str:
    """The source text of a spec called ``x``."""
    fields = {"name": "x", "summary": "s", "inputs": ("text",), "implementation": "m:C"} | changes
    return f"ExtractorSpec({', '.join(f'{key}={value!r}' for key, value in fields.items())})"


HOOK = """
    from ducho_core import ExtractorSpec, LoaderSpec, hookimpl
    @hookimpl
    def ducho_extractors():
        {}
"""


def returning(expression: str) -> str:
    return HOOK.format(f"return {expression}")


@pytest.fixture
def fault(plugin):
    """Installs a plugin ``bad`` and gives the error of asking for its extractor ``x``."""

    def ask(source, *, name="bad/x", **more):
        plugin("bad", source, **more)
        registry = Registry.discover(env={})
        with pytest.raises(PluginError) as caught:
            registry.extractor(name)
        assert registry.extractor("core").canonical == "core/hash"
        assert next(one for one in registry.plugins() if one.name == "bad").state == "broken"
        return caught.value

    return ask


def test_a_missing_package_is_named_with_the_command_as_the_distribution_declares_it(fault):
    error = fault(
        "import absent_backend",
        requires=["click>=8", "absent.backend>=2.1,<3 ; python_version >= '3.8'"],
    )
    assert isinstance(error, PluginLoadError)
    assert str(error) == (
        "plugin 'bad' (ducho-bad 1.0) needs the package 'absent_backend', which is not installed:"
        " pip install 'absent.backend>=2.1,<3'"
    )
    assert error.remedy == "pip install 'absent.backend>=2.1,<3'"


@pytest.mark.parametrize(
    ("module", "requires", "command"),
    [
        ("absent_backend.deep", [], "pip install absent_backend"),
        ("absent_backend", ["absent-backend[gpu]>=1"], "pip install 'absent-backend[gpu]>=1'"),
        (
            "absent_backend",
            ["absent-backend>=1; extra == 'fast'"],
            "pip install 'ducho-bad[fast]'",
        ),
        ("absent_backend", ["middle"], "pip install absent-backend==4"),
    ],
)
def test_the_command_for_a_missing_package(fault, install, module, requires, command):
    install("middle", requires=["absent-backend==4"])
    error = fault(f"import {module}", requires=requires)
    assert str(error).endswith(f": {command}")


def test_a_package_called_unlike_its_module_is_found(fault, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    error = fault("import cv2", requires=["opencv-python-headless>=4"])
    assert str(error).endswith("pip install 'opencv-python-headless>=4'")


def test_a_missing_dependency_is_never_called_not_found(fault):
    error = fault("import absent_backend")
    assert not isinstance(error, PluginNotFoundError)
    assert "not found" not in str(error)
    assert error.exit_code == 1


@pytest.mark.parametrize("source", ["import bad_plugin.inner", "from bad_plugin import inner"])
def test_a_missing_module_of_the_plugin_itself_means_that_it_is_broken(fault, source):
    message = str(fault(source, requires=["bad-plugin"]))
    assert "plugin 'bad' (ducho-bad 1.0) is broken" in message
    assert "pip install --force-reinstall --no-deps ducho-bad" in message


def test_a_plugin_whose_module_is_gone_is_broken(install):
    install("ducho-gone", plugins={"gone": "gone_plugin"})
    with pytest.raises(PluginLoadError, match=r"broken: its own module 'gone_plugin' is missing"):
        Registry.discover(env={}).load("gone")


def test_a_dependency_of_the_wrong_version_is_named_with_the_one_installed(fault, install):
    install("backend", "0.1", modules={"backend": ""})
    message = str(fault("from backend import New", requires=["backend>=2"]))
    assert "does not fit the installed backend (backend 0.1 is installed)" in message
    assert message.endswith("pip install --upgrade 'backend>=2'")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom (bad_plugin.py, line 1)"),
        ("import sys; sys.exit('no')", "SystemExit: no (bad_plugin.py, line 1)"),
        ("raise ImportError('wants a GPU')", "ImportError: wants a GPU"),
        ("x = = 1", "SyntaxError: invalid syntax (bad_plugin.py, line 1)"),
    ],
)
def test_a_plugin_that_raises_at_import_is_one_line(fault, source, words):
    error = fault(source)
    assert str(error).startswith(
        f"plugin 'bad' (ducho-bad 1.0) fails when it is imported: {words}"
    )
    assert "DUCHO_DISABLE_PLUGINS=bad" in str(error)
    assert "\n" not in str(error)
    assert error.__cause__ is not None


def test_what_a_plugin_prints_at_import_stays_out_of_stdout(plugin, capsys):
    plugin(
        "loud",
        HOOK.format(f"print('hello'); return [{spec()}]").replace(
            "    from", "    print('hi'); from", 1
        ),
    )
    Registry.discover(env={}).extractor("loud")
    assert capsys.readouterr().out == ""


def test_a_hook_that_raises_leaves_the_other_hooks_alone(plugin):
    plugin(
        "half",
        """
        from ducho_core import LoaderSpec, hookimpl
        @hookimpl
        def ducho_loaders():
            return [LoaderSpec(name="rows", summary="s", implementation="m:C")]
        @hookimpl
        def ducho_extractors():
            yield from ()
            raise KeyError("k")
        """,
    )
    registry = Registry.discover(env={})
    assert registry.loader("half/rows").canonical == "half/rows"
    assert registry.loader("rows").canonical == "half/rows"
    for ask in (registry.extractor, registry.load):
        with pytest.raises(PluginLoadError, match="its hook ducho_extractors fails: KeyError"):
            ask("half")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("['x']", "returned str 'x', not ExtractorSpec"),
        ("7", "returned int '7', not a list of specs"),
        (spec(), "returned ExtractorSpec 'x', not a list of specs"),
        (
            "[LoaderSpec(name='x', summary='s', implementation='m:C')]",
            "returned LoaderSpec 'x', not ExtractorSpec",
        ),
        (f"[{spec()}, {spec()}]", "returned the name 'x' twice"),
        (f"[{spec(batch_size=0)}]", "batch_size must be a whole number of at least 1"),
        (f"[{spec(default_precision='half')}]", "default_precision 'half' is none of"),
        (f"[{spec(options='m.Options')}]", "options must be an import string"),
        (f"[{spec(implementation='m')}]", "implementation must be an import string"),
        (f"[{spec(inputs=('video',))}]", "inputs must be a tuple of"),
        (f"[{spec(inputs=())}]", "inputs must be a tuple of"),
        (f"[{spec(summary='')}]", "its summary must be one line"),
    ],
)
def test_what_a_hook_may_not_return(fault, expression, words):
    error = fault(returning(expression))
    assert isinstance(error, ContractError)
    assert words in str(error)
    assert "ducho-bad 1.0" in str(error)


def test_a_spec_with_an_impossible_name_is_refused(plugin):
    plugin("bad", returning(f"[{spec(name='X y')}]"))
    with pytest.raises(ContractError, match="a name is lower-case letters"):
        Registry.discover(env={}).load("bad")


def test_a_wrong_spec_leaves_the_sound_ones_alone(plugin):
    wrong = spec(batch_size=0)
    sound = spec(name="y")
    plugin("half", returning(f"[{wrong}, {sound}]"))
    registry = Registry.discover(env={})
    assert registry.extractor("half/y").canonical == "half/y"
    with pytest.raises(ContractError):
        registry.extractor("half/x")


def test_a_newer_api_version_names_the_core_that_is_needed(fault):
    error = fault(returning(f"[{spec(api_version=99)}]"), requires=["ducho-core>=9.1"])
    assert "needs ducho-core >=9.1" in str(error)
    assert "plugin API 99" in str(error)
    assert str(error).endswith("pip install --upgrade 'ducho-core>=9.1'")


@pytest.mark.parametrize(
    "source",
    [
        returning(f"[{spec(tomorrow=1)}]"),
        "from ducho_core import Tomorrow",
        "from ducho_core import hookimpl\n@hookimpl\ndef ducho_extractors(context): return []\n",
    ],
)
def test_a_plugin_for_a_later_core_is_told_to_need_it(fault, source):
    error = fault(source)
    assert isinstance(error, PluginLoadError)
    assert "needs a newer ducho-core" in str(error)
    assert "pip install --upgrade ducho-core" in str(error)


def test_unknown_hooks_are_tolerated(plugin):
    plugin(
        "own",
        """
        from ducho_core import hookimpl
        @hookimpl
        def ducho_own_things(whatever): return 1
        @hookimpl
        def ducho_reporters(): raise RuntimeError
        """,
    )
    assert Registry.discover(env={}).load("own").extractors == ()


def test_a_hook_without_its_marker_is_not_silently_ignored(fault):
    error = fault("def ducho_extractors(): return []")
    assert "its ducho_extractors lacks @hookimpl" in str(error)


@pytest.mark.parametrize("entry", [{"Bad Name": "good_mod"}, {"fine": "not a module!"}])
def test_an_impossible_entry_point_is_broken_and_harms_nothing(install, entry):
    install("ducho-odd", plugins=entry, modules={"good_mod": ""})
    registry = Registry.discover(env={})
    record = next(one for one in registry.plugins() if one.distribution == "ducho-odd")
    assert record.state == "broken"
    with pytest.raises(ContractError, match="its entry point must be"):
        registry.load(record.name)


def test_broken_plugins_are_passed_over_in_a_search_and_said_once(plugin):
    plugin("bad", "import absent_backend")
    plugin("good")
    said = []
    registry = Registry.discover(env={}, warn=said.append)
    assert registry.loader("rows").canonical == "good/rows"
    registry.loader("rows")
    assert len([one for one in said if "absent_backend" in one]) == 1
    with pytest.raises(PluginNotFoundError, match=r"could not be asked: .*bad"):
        registry.loader("missing")


PARTS = """
    from typing import Annotated
    import msgspec, ducho_core
    from ducho_core import Extractor, option
    {}
"""


@pytest.mark.parametrize(
    ("parts", "step", "words"),
    [
        ("import absent_backend", "import_implementation", "needs the package 'absent_backend'"),
        ("", "import_implementation", "module good_parts has no 'Words'"),
        ("class Words: ...", "import_implementation", "is not a subclass of ducho_core.Extractor"),
        ("class Words(Extractor): ...", "import_implementation", "does not define extract, load"),
        ("Options = dict", "options_type", "are no msgspec Struct"),
        (
            "class Options(msgspec.Struct): ...",
            "options_type",
            "must be declared with frozen=True",
        ),
        (
            "class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True): n: int = 1",
            "options_type",
            "option 'n' has no help",
        ),
        (
            """
    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        crop: Annotated[int, option(help='c', inputs=('texts',))] = 1
""",
            "options_type",
            "option 'crop' is about the input 'texts', and the extractor takes text",
        ),
        (
            """
    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        device: Annotated[str, option(help='d')] = 'x'
    class RunOptions(ducho_core.RunOptions, frozen=True): ...
""",
            "run_options_type",
            "'device' is both an option and a run option",
        ),
        (
            """
    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True): ...
    RunOptions = Options
""",
            "run_options_type",
            "is no subclass of ducho_core.RunOptions",
        ),
    ],
)
def test_what_is_wrong_with_the_classes_a_spec_names(plugin, parts, step, words):
    plugin("good", parts=PARTS.format(parts))
    found = Registry.discover(env={}).extractor("good/words")
    with pytest.raises(PluginError) as caught:
        getattr(found, step)()
    assert words in str(caught.value)
    assert "good/words (ducho-good 1.0)" in str(caught.value)


def test_a_spec_may_say_itself_what_brings_a_missing_package(plugin):
    source = returning(f"[{spec(requires='backend-gpu>=3', implementation='good_parts:C')}]")
    plugin("good", source, parts="import absent_backend")
    with pytest.raises(PluginLoadError, match="pip install 'backend-gpu>=3'"):
        Registry.discover(env={}).extractor("good").import_implementation()


def test_an_extraction_imports_no_plugin_but_the_one_it_names(
    plugin, ducho, tmp_path, monkeypatch
):
    plugin("bad", "raise RuntimeError('imported')")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "items.tsv").write_text("item_id\ttext\n1\tred shoe\n", "utf-8")
    result = ducho("extract", "items.tsv", "--plugin", "core/hash")
    assert result.exit_code == 0, result.output
    assert "bad" not in result.output
