"""Checks of what a plugin declares: its light modules, its class, its options."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from ducho_core.errors import OptionError
from ducho_core.option_fields import OptionTable, builtins, check_rules, in_words
from ducho_core.options import restore_options, spec_options
from ducho_core.plugin_faults import import_attribute
from ducho_core.specs import KnownModel
from ducho_core.store.spec import canonical_json
from ducho_core.testing.checks import KINDS, NotApplicable, check, expect
from ducho_core.testing.network import no_network
from ducho_core.testing.part_case import python_path

if TYPE_CHECKING:
    from ducho_core.testing.part_case import PartCase

_LIGHT = ("ducho_core", "click", "pluggy", "msgspec", "typing_extensions")
"""What a light module may import beside the standard library and its own package."""

_IMPORT = """
import contextlib, importlib, json, sys
before = set(sys.modules)
with contextlib.redirect_stdout(sys.stderr):
    for name in {modules!r}:
        importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@check("its class can be imported, is what the spec says and defines every method", *KINDS)
def fits_its_spec(case: PartCase) -> None:
    """The class and both option Structs, as the registry imports them."""
    case.found.import_implementation()
    case.structs()


@check("the plugin's module and its options import nothing heavy", *KINDS)
def light_modules(case: PartCase) -> None:
    """In a fresh interpreter, so that nothing is there already."""
    spec = case.found.spec
    targets = (case.found.claim.module, spec.options, getattr(spec, "run_options", None))
    modules = [target.partition(":")[0] for target in targets if target]
    done = subprocess.run(  # noqa: S603 - this interpreter, on our own program
        [sys.executable, "-c", _IMPORT.format(modules=modules)],
        env=python_path(),
        capture_output=True,
        text=True,
        check=False,
    )
    expect(
        done.returncode == 0,
        f"{', '.join(modules)} cannot be imported by a fresh Python: {done.stderr.strip()[-500:]}",
    )
    own = {module.partition(".")[0] for module in modules}
    tops = {name.partition(".")[0] for name in json.loads(done.stdout)}
    heavy = {
        name
        for name in tops - own - {*_LIGHT, *sys.stdlib_module_names}
        if not name.startswith(("ducho_", "__"))
    }
    expect(
        not heavy,
        f"importing {', '.join(modules)} imports {', '.join(sorted(heavy))} too; a light module"
        f" imports the standard library and {', '.join(_LIGHT[:1])} alone: move the import into"
        " the module of the implementation",
    )


@check("each option has a help text and a default that keeps its own bounds", *KINDS)
def options_explained(case: PartCase) -> None:
    """Every option of both Structs."""
    for struct in case.structs():
        table = OptionTable()
        table.add(struct, in_spec=True)
        for name, leaf in table.leaves.items():
            expect(
                len(leaf.info.help.split()) > 1, f"option {name!r}: {leaf.info.help!r} is no help"
            )
            if leaf.info.required:
                continue
            try:
                check_rules(leaf.info.default, leaf.rules)
                msgspec.convert(leaf.info.default, leaf.kind)
            except (ValueError, msgspec.ValidationError) as error:
                expect(
                    holds=False,
                    message=f"option {name!r}: its own default"
                    f" {in_words(leaf.info.default)} is refused: {error}",
                )


@check("an unknown option is refused, with the nearest that there is", *KINDS)
def unknown_option_refused(case: PartCase) -> None:
    """On the command line and in a recorded SPEC."""
    table = OptionTable()
    for struct in case.structs():
        table.add(struct, in_spec=True)
    near = next(iter(table.leaves), None)
    wrong = f"{near}_x" if near else "no_such_option"
    try:
        case.build({**case.given, wrong: "1"})
    except OptionError as error:
        expect(
            near is None or f"did you mean {near!r}?" in str(error),
            f"{wrong}=1 is refused without saying that {near!r} might be meant: {error}",
        )
    else:
        expect(holds=False, message=f"-o {wrong}=1 is taken without a word")
    if case.options is None:
        return
    recorded = {**spec_options(case.options), "no_such_option": 1}
    try:
        restore_options(type(case.options), recorded)
    except OptionError:
        return
    expect(
        holds=False,
        message="an unknown field in recorded options is passed over: declare the Struct with"
        " forbid_unknown_fields=True",
    )


@check("options survive the way through a SPEC: parsed, recorded, read back, the same", *KINDS)
def options_round_trip(case: PartCase) -> None:
    """The options as given, and as ``resolve`` settled them."""
    every: list[tuple[str, Any]] = [("as given", case.options)]
    if case.kind == "extractor":
        resolved: Any = getattr(case, "resolved", None)
        every.append(("as resolve settles them", resolved.options))
    for which, options in every:
        if options is None:
            continue
        recorded = json.loads(canonical_json(spec_options(options)))
        again = restore_options(type(options), recorded)
        expect(
            canonical_json(spec_options(again)) == canonical_json(recorded),
            f"options {which}: recorded as {recorded}, and read back they would be recorded as"
            f" {spec_options(again)}",
        )
    if case.options is not None:
        given = dict(builtins(case.options))
        if case.found.run_options_type() is not None:
            given |= builtins(case.run_options)
        second, _ = case.build(given)
        expect(
            second == case.options,
            f"the options {case.options} are not the same when they are given as a recipe has"
            f" them: {second}",
        )


@check("the models that it lists are KnownModels, listed without a network", "extractor")
def known_models(case: PartCase) -> None:
    """What ``ducho plugins models`` prints."""
    target = case.found.spec.models
    if target is None:
        raise NotApplicable("it lists no models")
    function = import_attribute(case.found.claim, target, what=case.name)
    with no_network():
        models = list(function())
    expect(models, f"{target} lists no model")
    for one in models:
        expect(isinstance(one, KnownModel), f"{target} lists {one!r}, which is no KnownModel")
        expect(one.name and "\n" not in one.name, f"{target} lists a model called {one.name!r}")
        expect(
            (one.dim is None or one.dim > 0) and (one.megabytes is None or one.megabytes > 0),
            f"model {one.name}: {one.dim} numbers and {one.megabytes} MB cannot be",
        )
        if one.as_of:
            try:
                datetime.date.fromisoformat(one.as_of)
            except ValueError:
                expect(holds=False, message=f"model {one.name}: {one.as_of!r} is no ISO date")
    names = [one.name for one in models]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(names) < 5000 else []
    expect(not twice, f"{target} lists {', '.join(twice)} twice")
