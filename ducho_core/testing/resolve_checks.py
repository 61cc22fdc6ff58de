"""Checks of ``resolve``: what is known of the numbers before a model is loaded."""

from __future__ import annotations

import copy
import getpass
import os
import pickle
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from ducho_core.options import spec_options
from ducho_core.store.spec import canonical_json, check_spec, differences
from ducho_core.testing.checks import CheckFailed, NotApplicable, check, expect

if TYPE_CHECKING:
    from ducho_core.extractor import Resolved
    from ducho_core.testing.extractor_case import ExtractorCase

MAX_PICKLE = 4 * 2**20
"""Bytes that ``Resolved`` may have; more of it would be weights."""

_COMMON_USERS = {"root", "user", "admin", "test", "runner", "ubuntu", "docker"}


@check("resolve builds no network", "extractor")
def resolve_builds_no_network(case: ExtractorCase) -> None:
    """No instance of the extractor, and of torch no parameter that takes memory."""
    built: list[str] = []
    with _watched(case.implementation, built):
        case.resolve()
    expect(
        not built,
        f"resolve built {built[0] if built else ''}: what is known only after loading belongs"
        " into load (an output's dim may be None until then)",
    )


@check("resolve finds the same when it is called again", "extractor")
def resolve_repeats(case: ExtractorCase) -> None:
    """In this process; ``same-in-another-process`` is about others."""
    first, second = facts(case.resolved), facts(case.resolve())
    for name, value in first.items():
        expect(
            second[name] == value,
            f"resolve gives another {name} when it is called again: {value}, then {second[name]}",
        )


@check("Resolved can be sent to a worker: it pickles, and holds no weights", "extractor")
def resolved_pickles(case: ExtractorCase) -> None:
    """Over a pickle and back."""
    sent = pickle.dumps(case.resolved)
    again = pickle.loads(sent)  # noqa: S301 - made a line above
    expect(
        facts(again) == facts(case.resolved),
        f"after a pickle Resolved says {facts(again)}, before {facts(case.resolved)}",
    )
    expect(
        len(sent) <= MAX_PICKLE,
        f"Resolved has {len(sent)} bytes as a pickle; it holds paths and settings, and load"
        " reads the weights",
    )


@check("the SPEC is plain JSON, its outputs and columns fit a feature set", "extractor")
def spec_is_plain(case: ExtractorCase) -> None:
    """Every feature set that it would make."""
    resolved = case.resolved
    expect(
        isinstance(resolved.label, str) and resolved.label.strip(),
        f"the label {resolved.label!r} says nothing",
    )
    for group in case.declared_groups():
        canonical_json(group.spec)
        check_spec(group.spec)
        for output in group.outputs:
            expect(
                output.kind != "embedding" or output.dtype in ("float32", "float16"),
                f"output {output.name!r} is an embedding of {output.dtype}; it may be float32 or"
                " float16",
            )


@check("no path, user or host name is in the SPEC or in the circumstances", "extractor")
def spec_names_no_place(case: ExtractorCase) -> None:
    """Every text in them."""
    for group in case.declared_groups():
        for where, text in texts_within(group.spec, "SPEC"):
            expect(not place_in(text), f"{where} names {place_in(text)}: {text!r}")
    circumstances = dict(case.extractor.circumstances)
    canonical_json(circumstances)
    for where, text in texts_within(circumstances, "circumstances"):
        expect(not place_in(text), f"{where} names {place_in(text)}: {text!r}")


@check(
    "load gives the outputs that resolve named, with every dim, and changes nothing", "extractor"
)
def resolve_and_load_agree(case: ExtractorCase) -> None:
    """Names, kinds, dtypes, required inputs and dims."""
    resolved = case.resolve()
    before = copy.deepcopy(facts(resolved))
    loaded = case.implementation.load(resolved, case.run_options)
    try:
        expect(
            facts(resolved) == before,
            f"load changes what resolve found: {before} became {facts(resolved)}",
        )
        planned = {one.name: one for one in resolved.outputs}
        given = {one.name: one for one in loaded.outputs}
        expect(
            list(planned) == list(given),
            f"resolve names the outputs {', '.join(planned)}, load gives {', '.join(given)}",
        )
        for name, output in given.items():
            for field in ("kind", "dtype", "requires"):
                now, then = getattr(output, field), getattr(planned[name], field)
                expect(
                    now == then,
                    f"output {name!r}: {field} is {then!r} in resolve, {now!r} in load",
                )
            if output.kind != "embedding":
                continue
            expect(
                isinstance(output.dim, int) and output.dim > 0,
                f"output {name!r} has dim {output.dim!r} after load",
            )
            expect(
                planned[name].dim in (None, output.dim),
                f"output {name!r}: dim is {planned[name].dim} in resolve, {output.dim} in load",
            )
    finally:
        loaded.close()


@check("a feature set is the same whether or not others are made beside it", "extractor")
def sets_stand_alone(case: ExtractorCase) -> None:
    """The SPEC of each, with all inputs bound and with its own alone."""
    groups = case.declared_groups()
    if len(groups) < 2:
        raise NotApplicable("it makes one feature set at a time")
    for group in groups:
        (alone,) = case.only(group.requires).declared_groups()
        changed = differences(group.spec, alone.spec)
        expect(
            not changed,
            f"the set of {group.label} has another SPEC where only that is bound:"
            f" {'; '.join(changed[:3])}. What concerns one input alone belongs into"
            " input_identity",
        )


@check("what resolve has to say is lines, to be said aloud before anything is loaded", "extractor")
def remarks_are_lines(case: ExtractorCase) -> None:
    """Every remark of ``Resolved``."""
    remarks: object = case.resolved.remarks
    if not isinstance(remarks, tuple):
        raise CheckFailed(f"remarks are a {type(remarks).__name__}, not a tuple")
    for one in remarks:
        expect(isinstance(one, str) and one.strip() and "\n" not in one, f"{one!r} is no remark")


def facts(resolved: Resolved) -> dict[str, Any]:
    """All of ``resolved`` that enters a SPEC."""
    return {
        "label": resolved.label,
        "identity": dict(resolved.identity),
        "input_identity": {name: dict(one) for name, one in resolved.input_identity.items()},
        "precision": dict(resolved.precision),
        "outputs": tuple(resolved.outputs),
        "options": spec_options(resolved.options),
    }


@contextmanager
def _watched(implementation: type, built: list[str]) -> Iterator[None]:
    """Note instances of the extractor, and torch parameters that take memory."""
    init = implementation.__init__  # type: ignore[misc]

    def noting(self: Any, *arguments: Any, **more: Any) -> None:
        built.append(f"a {type(self).__name__}")
        init(self, *arguments, **more)

    with mock.patch.object(implementation, "__init__", noting):
        module = getattr(sys.modules.get("torch.nn"), "Module", None)
        if module is None:
            yield
            return
        register = module.register_parameter

        def registering(self: Any, name: str, param: Any) -> None:
            if param is not None and not param.is_meta:
                built.append(f"a torch {type(self).__name__}")
            register(self, name, param)

        with mock.patch.object(module, "register_parameter", registering):
            yield


def texts_within(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield f"{where}, name of a field", str(name)
            yield from texts_within(inner, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from texts_within(inner, f"{where}[{at}]")


def place_in(text: str) -> str:
    """What place a text names; empty where it names none."""
    folders = {os.getcwd(): "the working folder", tempfile.gettempdir(): "the temporary folder"}
    folders[str(Path.home())] = "the home folder"
    # One may lie in another: the innermost says most.
    for folder, what in sorted(folders.items(), key=lambda one: -len(one[0])):
        if len(folder) > 1 and folder in text:
            return what
    if os.path.isabs(text) and (os.path.exists(text) or text.count(os.sep) > 1):
        return "an absolute path"
    for name, what in ((socket.gethostname(), "this machine"), (_user(), "the user")):
        if len(name) > 2 and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
            return what
    return ""


def _user() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return ""
    return "" if name in _COMMON_USERS else name
