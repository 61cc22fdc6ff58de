"""Checks of an opened loader: what it declares, refuses and says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from unittest import mock

from ducho_core.catalogue import KEY_COLUMNS
from ducho_core.errors import DuchoError, SourceError, UsageError
from ducho_core.store.spec import canonical_json
from ducho_core.testing.checks import CheckFailed, NotApplicable, check, expect
from ducho_core.testing.network import no_network
from ducho_core.testing.resolve_checks import place_in, texts_within

if TYPE_CHECKING:
    from ducho_core.testing.loader_case import LoaderCase

_STORAGES = ("inline", "path", "bytes")


@check(
    "its keys are some of user_id, item_id and slot, in that order, item_id among them", "loader"
)
def keys_are_known(case: LoaderCase) -> None:
    """The keys that it settled on."""
    keys = case.open().keys
    expect(isinstance(keys, tuple), f"keys are a {type(keys).__name__}, not a tuple")
    ordered = tuple(name for name in KEY_COLUMNS if name in keys)
    expect(
        keys == ordered and "item_id" in keys,
        f"keys are {keys!r}; they are [user_id,] item_id [, slot], stored under these names",
    )


@check("its inputs are declared: different names, modalities that the extractor accepts", "loader")
def inputs_are_declared(case: LoaderCase) -> None:
    """Every input, and once more where only one modality is accepted."""
    loader = case.open()
    expect(loader.inputs, "it has no input; say so with a UsageError in open")
    names = [one.name for one in loader.inputs]
    expect(len(set(names)) == len(names), f"its inputs are called {', '.join(names)}")
    for one in loader.inputs:
        where = f"input {one.name!r}"
        expect(
            one.name.isidentifier() and one.name not in KEY_COLUMNS,
            f"{where}: a name is a plain word, and no key's",
        )
        expect(one.storage in _STORAGES, f"{where}: storage {one.storage!r} is unknown")
        expect(
            one.modality in case.binding.accepts,
            f"{where} is of modality {one.modality!r}; accepted are"
            f" {', '.join(case.binding.accepts)}",
        )
        expect(
            one.modality == "text" or one.storage != "inline",
            f"{where}: {one.modality} cannot lie in the table as text; its storage is path or"
            " bytes",
        )
    only = loader.inputs[0].modality
    try:
        narrow = case.open(accepts=(only,))
    except UsageError:
        return  # what else the binding names is not accepted any more
    others = [one.name for one in narrow.inputs if one.modality != only]
    expect(not others, f"where only {only} is accepted it still has {', '.join(others)}")


@check("a column that is not there is refused before anything is read", "loader")
def unknown_column_refused(case: LoaderCase) -> None:
    """A key, and an input, by a name that no column has."""
    wrong = "no_such_column"
    for what, binding in (("key", {"keys": (wrong,)}), ("input", {"texts": ((None, wrong),)})):
        try:
            case.open(**binding)
        except UsageError:
            continue
        except Exception as error:
            raise CheckFailed(
                f"the {what} {wrong!r} is refused with {type(error).__name__} ({error}); raise a"
                " UsageError with the columns that there are"
            ) from error
        raise CheckFailed(f"the {what} {wrong!r} is taken, and there is no such column")


@check("a source that is not there is refused, by name", "loader")
def missing_source_refused(case: LoaderCase) -> None:
    """The source with something added to its name."""
    missing = f"{case.source}-not-there"
    if not case.found.spec.schemes and "." in case.source.rpartition("/")[2]:
        stem, dot, suffix = case.source.rpartition(".")
        missing = f"{stem}-not-there{dot}{suffix}"
    try:
        list(case.open_source(missing).batches())
    except (SourceError, UsageError, DuchoError) as error:
        name = missing.replace(":", "/").rpartition("/")[2]
        expect(
            name in str(error), f"there is no {missing}, and the message does not say so: {error}"
        )
    except Exception as error:
        raise CheckFailed(
            f"there is no {missing}, and that raises {type(error).__name__} ({error}); raise a"
            " SourceError"
        ) from error
    else:
        raise CheckFailed(f"there is no {missing}, and it is opened and read without a word")


@check("batches streams: an iterator over record batches of bounded size", "loader")
def batches_stream(case: LoaderCase) -> None:
    """No list, and no batch of more than 65,536 rows."""
    batches = case.open().batches()
    expect(
        isinstance(batches, Iterator),
        f"batches() returned a {type(batches).__name__}, not an iterator: the whole source would"
        " be in memory",
    )
    for batch in batches:
        expect(batch.num_rows <= 65_536, f"a batch has {batch.num_rows} rows; 65,536 is the limit")


@check("open reads the header alone: no row is read before batches is asked", "loader")
def open_reads_no_rows(case: LoaderCase) -> None:
    """Opening must not call ``batches``, and what it opened gives all rows afterwards."""
    implementation = case.found.import_implementation()
    called: list[bool] = []
    own = implementation.batches

    def noting(self: object) -> object:
        called.append(True)
        return own(self)

    with mock.patch.object(implementation, "batches", noting):
        case.open()
    expect(not called, "open calls batches: a source of millions of rows would be read twice")


@check("remarks are lines to be said aloud", "loader")
def remarks_are_lines(case: LoaderCase) -> None:
    """Every remark."""
    remarks = case.open().remarks
    expect(isinstance(remarks, tuple), f"remarks are a {type(remarks).__name__}, not a tuple")
    for one in remarks:
        expect(isinstance(one, str) and one.strip(), f"{one!r} is no remark")


@check("what it adds to the SPEC is plain JSON without a path, user or host name", "loader")
def identity_is_plain(case: LoaderCase) -> None:
    """Its ``identity``."""
    identity = dict(case.open().identity)
    if not identity:
        raise NotApplicable("it adds nothing to the SPEC")
    canonical_json(identity)
    for where, text in texts_within(identity, "identity"):
        expect(not place_in(text), f"{where} names {place_in(text)}: {text!r}")


@check("no network is needed to read what lies on this machine", "loader")
def no_network_needed(case: LoaderCase) -> None:
    """Opened and read with no way out of this machine."""
    with no_network() as tried:
        try:
            case.read()
        except Exception as error:
            expect(
                not tried,
                f"it needs a network: {', '.join(dict.fromkeys(tried))} was tried, and then it"
                f" failed with {type(error).__name__}: {str(error)[:300]}",
            )
            raise
