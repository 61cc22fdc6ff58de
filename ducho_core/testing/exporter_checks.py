"""Checks of exporters: what they write, where, and what they say of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ducho_core.errors import UsageError
from ducho_core.exporter import ExportNotes
from ducho_core.testing.checks import CheckFailed, NotApplicable, check, expect
from ducho_core.testing.exporter_case import HOSTILE_IDS, IDS, Rows, files_in, watched_folder
from ducho_core.testing.network import no_network

if TYPE_CHECKING:
    from ducho_core.testing.exporter_case import ExporterCase

_OURS = {"export.json", "ids.parquet"}


@check("open writes nothing", "exporter")
def open_writes_nothing(case: ExporterCase) -> None:
    """Neither into the working folder nor beside it."""
    with watched_folder() as folder:
        case.open()
        found = sorted(files_in(folder.parent))
    expect(not found, f"open wrote {', '.join(found)}; what write is given is the place for it")


@check("something is written, and told in ExportNotes", "exporter")
def notes_are_told(case: ExporterCase) -> None:
    """Remarks that are sentences, a next step that is a command."""
    with watched_folder() as folder:
        notes: object = case.write(folder / "out")
        found = set(files_in(folder / "out")) - _OURS
    expect(found, "nothing was written")
    if not isinstance(notes, ExportNotes):
        raise CheckFailed(f"write returned {notes!r}, not ExportNotes")
    remarks: object = notes.remarks
    expect(
        isinstance(remarks, tuple) and all(isinstance(one, str) and one for one in remarks),
        f"its remarks are {remarks!r}, not a tuple of sentences",
    )
    step: object = notes.next_step
    expect(
        step is None or (isinstance(step, str) and step.strip()),
        f"its next step is {step!r}, neither a text nor None",
    )


@check("every key that it says it carries is written", "exporter")
def carries_its_keys(case: ExporterCase) -> None:
    """Each combination of the key columns of its spec."""
    for keys in case.key_choices:
        with watched_folder() as folder:
            try:
                case.write(folder / "out", keys=keys)
            except UsageError as error:
                raise CheckFailed(
                    f"its spec says that it carries {', '.join(keys)}, which it refuses: {error}"
                ) from error


@check("no id leads out of the folder, whatever it looks like", "exporter")
def ids_stay_inside(case: ExporterCase) -> None:
    """Ids with separators, dots, control characters, in capitals, empty and endless.

    An id that a format cannot hold may be refused, by its name.
    """
    for ids in (HOSTILE_IDS, *((one, "other") for one in HOSTILE_IDS)):
        with watched_folder() as folder:
            try:
                case.write(folder / "out", ids=ids)
            except UsageError as error:
                shown = [one for one in ids if one and one[:20] in str(error)]
                refused = [one for one in ids if repr(one)[1:-1][:20] in str(error)]
                expect(shown or refused, f"an id is refused without saying which: {error}")
            found = files_in(folder.parent)
        outside = [name for name in found if not name.startswith("here/out/")]
        expect(
            not outside,
            f"beside the folder of the export it wrote {', '.join(outside)}: make files with"
            " folder.open, folder.item_files and folder.tree alone",
        )


@check("the same rows give the same files again", "exporter")
def deterministic(case: ExporterCase) -> None:
    """Byte by byte."""
    with watched_folder() as folder:
        for name in ("first", "second"):
            case.write(folder / name)
        first, second = (files_in(folder / name) for name in ("first", "second"))
    expect(set(first) == set(second), f"the second time it writes {', '.join(second)}")
    for name, content in first.items():
        expect(second[name] == content, f"{name} differs the second time; does it hold the time?")


@check("the rows that it is handed are left as they are", "exporter")
def inputs_left_alone(case: ExporterCase) -> None:
    """The arrays cannot be written to here."""
    with watched_folder() as folder:
        try:
            case.write(folder / "out")
        except ValueError as error:
            if "read-only" in str(error):
                raise CheckFailed(f"it writes into an input: {error}; work on a copy") from error
            raise


@check("what is read back is what was handed over: every row, every key, every number", "exporter")
def reads_back(case: ExporterCase) -> None:
    """With rows that are missing and without, whatever batches they come in."""
    if case.read is None:
        raise NotApplicable("how to read the files was not said: give the test class a `read`")
    for whole in (True, False):
        for size in (1, 7, len(IDS)):
            ids = case.ids(case.open())
            rows = Rows(case.context(), ids, size, whole=whole)
            with watched_folder() as folder:
                case.write(folder / "out", size=size, whole=whole)
                found = case.read(folder / "out")
            what = f"in batches of {size}{'' if whole else ', some rows missing'}"
            for label, expected in rows.expected().items():
                expect(label in found, f"{what}: {label} is not in the files")
                missing = [key for key in expected if key not in found[label]]
                expect(
                    not missing,
                    f"{what}: {label} lacks {len(missing)} of {len(expected)} keys, such as"
                    f" {missing[:1]}",
                )
                more = len(found[label]) - len(expected)
                expect(
                    more in (0, len(ids) - len(expected)),
                    f"{what}: {label} has {more} rows more than there are",
                )
                for key, vector in expected.items():
                    near = np.allclose(found[label][key], vector, rtol=1e-6, atol=1e-7)
                    expect(near, f"{what}: {label} has other numbers for {key}")


@check(
    "the rows that there have to be are said with each key once, and the same again", "exporter"
)
def universe_settled(case: ExporterCase) -> None:
    """Exporters with a universe only."""
    found = []
    for exporter in (case.open(), case.open()):
        universe = exporter.universe()
        if universe is None:
            raise NotApplicable("the sets settle its rows")
        for _ in range(2):
            columns: list[list[tuple[str, ...]]] = []
            for batch in universe.batches():
                names = [batch.schema.field(name) for name in universe.keys]
                expect(
                    all(str(one.type) == "string" for one in names),
                    f"the keys of {universe.name} are no strings",
                )
                keys = zip(*(batch[one.name].to_pylist() for one in names), strict=True)
                columns.append(list(keys))
            found.append([key for some in columns for key in some])
    first = found[0]
    expect(first, "its universe is empty")
    expect(all(None not in key for key in first), "a key of its universe is null")
    expect(len(set(first)) == len(first), "a key comes twice in its universe")
    expect(all(one == first for one in found), "its universe has other keys the second time")


@check("an export of no rows is written, or refused in words", "exporter")
def no_rows_written(case: ExporterCase) -> None:
    """As where nothing differs from an earlier export."""
    if case.open().universe() is not None:
        raise NotApplicable("its rows are those of its universe")
    with watched_folder() as folder:
        try:
            case.write(folder / "out", ids=())
        except UsageError as error:
            expect(str(error).strip(), "no rows are refused without a word")


@check("no path, user or host name is in a file that it writes", "exporter")
def files_name_no_place(case: ExporterCase) -> None:
    """The home folder, the working folder and the folder of the export."""
    with watched_folder() as folder:
        case.write(folder / "out")
        found = files_in(folder / "out")
        places = {str(folder), str(Path.home()), tempfile.gettempdir()}
    for name, content in found.items():
        for place in places:
            expect(
                place == os.sep or place.encode() not in content,
                f"{name} names a folder of this machine: {place}",
            )


@check("no network is needed", "exporter")
def no_network_needed(case: ExporterCase) -> None:
    """To open and to write."""
    with no_network() as tried, watched_folder() as folder:
        try:
            case.write(folder / "out")
        except Exception as error:
            expect(
                not tried,
                f"it needs a network: {', '.join(dict.fromkeys(tried))} was tried, and then it"
                f" failed with {type(error).__name__}: {str(error)[:300]}",
            )
            raise
