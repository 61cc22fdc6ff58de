"""What the exporters for recommender frameworks share: a split gives the items and the users."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ducho_core import Exporter, ExportNotes, Universe, UsageError
from ducho_recsys.exporters.numbering import Numbered, add_new, seen_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ducho_core import ExportContext, ExportFolder, ExportInput, ExportRows
    from ducho_recsys import Split
    from ducho_recsys.exporters.matrix import Survey

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
USERS = "users"


class SplitExporter(Exporter):
    """An exporter whose rows are the items of a split.

    Attributes:
        framework: how the framework is called in messages.
        needs: the parts of a split that it cannot run without.
    """

    framework: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("train", "test")

    def __init__(self, options: Any, context: ExportContext, split: Split) -> None:
        self._options = options
        self._context = context
        self._split = split

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:
        """See ``Exporter.open``."""
        from ducho_recsys import read_split

        name = getattr(options, "name", "ducho")
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a dataset: a letter, then letters, digits, - and"
                " _; give another -o name="
            )
        split = read_split(options.split)
        for name in cls.needs:
            table = getattr(split, name)
            if name != "train":
                table = table.filter(table["relevant"])
            if not len(table):
                raise UsageError(
                    f"the split has no {name} interactions"
                    f"{'' if name == 'train' else ' that are relevant'}, and {cls.framework}"
                    " cannot run without: split with some"
                )
        found = cls(options, context, split)
        found.check()
        return found

    def check(self) -> None:
        """Hold the options against the inputs.

        Raises:
            UsageError: they do not fit.
        """

    def universe(self) -> Universe:
        """The items of the split, those that are trained on first."""
        items = seen_first(self._split.items, self._split.train["item_id"])
        return Universe.of_items(f"split {self._split.digest[:12]}", items)

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        users = seen_first(self._split.users, self._split.train["user_id"])
        users = add_new(self._context.previous_ids(USERS), users)
        folder.write_ids(USERS, "user_id", users.to_pylist())
        return self.write_numbered(rows, Numbered.of(self._split, rows, users), folder)

    @abstractmethod
    def write_numbered(
        self, rows: ExportRows, numbered: Numbered, folder: ExportFolder
    ) -> ExportNotes:
        """Write all rows and the split in numbers."""

    def dataset_name(
        self,
        numbered: Numbered,
        inputs: Sequence[tuple[str, ExportInput]],
        found: Sequence[Survey],
    ) -> str:
        """A name that no other export has whose files differ.

        Frameworks keep what they compute from features beside them, under names that say nothing
        of the features.

        Args:
            numbered: the split in numbers.
            inputs: what the framework calls each input, and the input.
            found: what the first pass over each found.
        """
        whole = hashlib.sha256(self._split.digest.encode())
        for ids in (numbered.items, numbered.users):
            for one in ids.to_pylist():
                content = one.encode()
                whole.update(len(content).to_bytes(8, "little") + content)
        for (slot, one), survey in zip(inputs, found, strict=True):
            whole.update(f"\n{slot} {one.dim}\n".encode() + survey.digest)
        prints = [f"{slot[0]}{one.fingerprint[:8]}" for slot, one in inputs]
        return "-".join([self._options.name, *prints, whole.hexdigest()[:8]])


def place_inputs(
    inputs: Sequence[ExportInput], slots: Sequence[str], framework: str
) -> list[tuple[str, ExportInput]]:
    """Say which input goes where.

    Raises:
        UsageError: two go to one place, or one goes nowhere.
    """
    used = list(slots[: len(inputs)])
    if len(used) < len(inputs) or len(set(used)) < len(used):
        raise UsageError(
            f"{framework} takes one feature set for each of its slots, and {len(inputs)} sets"
            f" were given for the slots {', '.join(slots)}: name a slot for each with -o slots="
        )
    return list(zip(used, inputs, strict=True))


def tab_separated(rows: Iterable[Sequence[object]]) -> bytes:
    """A table that pandas and Python's csv read back, whatever a text holds."""
    lines = ("\t".join(_field(str(one)) for one in row) + "\n" for row in rows)
    return "".join(lines).encode()


def _field(text: str) -> str:
    # Python's csv, before 3.13, leaves a lone carriage return unquoted, which readers break at.
    if text and not any(mark in text for mark in '\t\n\r"'):
        return text
    return '"' + text.replace('"', '""') + '"'


def told_slots(placed: Sequence[tuple[str, ExportInput]]) -> tuple[str, ...]:
    """Which set stands where, where that is not plain."""
    if all(slot in one.label for slot, one in placed):
        return ()
    return (", ".join(f"{one.name} is the {slot} input" for slot, one in placed),)
