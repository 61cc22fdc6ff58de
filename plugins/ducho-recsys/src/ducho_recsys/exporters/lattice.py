"""``recsys/lattice``: a dataset of LATTICE."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ducho_core import ExportNotes, UsageError
from ducho_recsys.exporters.base import (
    SplitExporter,
    place_inputs,
    tab_separated,
    told_slots,
)
from ducho_recsys.exporters.matrix import survey, write_matrices
from ducho_recsys.exporters.numbering import PARTS

if TYPE_CHECKING:
    from ducho_core import ExportFolder, ExportRows
    from ducho_recsys.exporters.numbering import Numbered, Part

_FILES = {"train": "train.json", "validation": "val.json", "test": "test.json"}


class LatticeExporter(SplitExporter):
    """``data/NAME/``, as it lies in a checkout.

    ``5-core/train.json``, ``val.json`` and ``test.json`` have of each user the items, in the order
    of the split. Row k of ``image_feat.npy`` and ``text_feat.npy`` is item k; rows without a
    vector, and those of length 0, are the mean of the others and listed in ``missed_image.txt``
    and ``missed_text.txt``. ``item_list.txt`` and ``user_list.txt`` have the numbers of ids, in
    order, where LATTICE's own have the order of a set.

    The files' form is that of LATTICE (https://github.com/CRIPAC-DIG/LATTICE, data/build_data.py
    and codes/utility/load_data.py), which MMSSL and others share.
    """

    framework: ClassVar[str] = "LATTICE"
    needs: ClassVar[tuple[str, ...]] = PARTS

    def check(self) -> None:
        """See ``SplitExporter.check``."""
        if len(self._context.inputs) != 2:
            raise UsageError(
                "LATTICE needs two feature sets, one for images and one for texts: name the"
                " second too; MMRec's LATTICE (--to mmrec) runs with one"
            )
        place_inputs(self._context.inputs, self._options.slots, self.framework)

    def write_numbered(
        self, rows: ExportRows, numbered: Numbered, folder: ExportFolder
    ) -> ExportNotes:
        """See ``SplitExporter.write_numbered``."""
        placed = place_inputs(rows.inputs, self._options.slots, self.framework)
        found = survey(rows)
        name = self.dataset_name(numbered, placed, found)
        where = f"data/{name}"
        remarks = [*told_slots(placed), *numbered.remarks()]
        numbered, left = numbered.of_trained_users()
        if left:
            remarks.append(
                f"{left} interactions to validate and test on are of users without any to train"
                " on, whom LATTICE cannot hold, and left out"
            )
        count = numbered.counted_items
        if count < len(rows):
            remarks.append(
                f"the last {len(rows) - count} items are in no interaction and left out: LATTICE"
                " takes the highest number in the interactions for the number of items"
            )
        write_matrices(
            rows, found, folder, [f"{where}/{slot}_feat.npy" for slot, _ in placed], count
        )
        for (slot, one), some in zip(placed, found, strict=True):
            with folder.open(f"{where}/missed_{slot}.txt") as file:
                missed = some.filled[some.filled < count]
                file.write("".join(f"{row}\n" for row in missed.tolist()).encode())
            remarks += some.remark(one, f"missed_{slot}.txt")
        for part, listed in _FILES.items():
            with folder.open(f"{where}/5-core/{listed}") as file:
                file.write(json.dumps(_by_user(numbered.parts[part])).encode())
        for ids, listed in ((numbered.items, "item_list.txt"), (numbered.users, "user_list.txt")):
            numbers = [(one, number) for number, one in enumerate(ids.to_pylist())]
            with folder.open(f"{where}/5-core/{listed}") as file:
                file.write(tab_separated(numbers))
        return ExportNotes(
            remarks=tuple(remarks),
            next_step="cp -r data LATTICE/ && cd LATTICE/codes &&"
            f" python main.py --dataset {name}",
        )


def _by_user(part: Part) -> dict[int, list[int]]:
    order = np.argsort(part.users, kind="stable")
    users, starts = np.unique(part.users[order], return_index=True)
    items = np.split(part.items[order], starts[1:])
    return {
        user: list(dict.fromkeys(some.tolist()))
        for user, some in zip(users.tolist(), items, strict=True)
    }


__all__ = ["LatticeExporter"]
