"""``recsys/mmrec``: a dataset of MMRec."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ducho_core import ExportNotes
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
    from ducho_recsys.exporters.numbering import Numbered

_SETTINGS = """\
# A dataset made by Ducho. Its name holds the features' fingerprints: MMRec keeps the graphs that
# it makes of features beside them, and never looks whether the features have changed.
USER_ID_FIELD: userID
ITEM_ID_FIELD: itemID
TIME_FIELD: timestamp
filter_out_cod_start_users: True
inter_file_name: '{name}.inter'
vision_feature_file: 'image_feat.npy'
text_feature_file: 'text_feat.npy'
user_graph_dict_file: 'user_graph_dict.npy'
field_separator: "\\t"
"""


class MmrecExporter(SplitExporter):
    """``data/NAME/`` and ``src/configs/dataset/NAME.yaml``, as they lie in a checkout.

    ``NAME.inter`` has a row an interaction, ``x_label`` 0, 1 or 2 for train, validation and test.
    Row k of ``image_feat.npy`` and ``text_feat.npy`` is item k. Rows without a vector, and those
    of length 0, which a graph of cosines would make neighbours of every item, are the mean of the
    others and listed in ``missed_img_itemIDs.csv`` and ``missed_txt_itemIDs.csv``.

    The files' form is that of MMRec (https://github.com/enoche/MMRec, src/utils/dataset.py and
    preprocessing/).
    """

    framework: ClassVar[str] = "MMRec"
    needs: ClassVar[tuple[str, ...]] = PARTS

    def check(self) -> None:
        """See ``SplitExporter.check``."""
        place_inputs(self._context.inputs, self._options.slots, self.framework)

    def write_numbered(
        self, rows: ExportRows, numbered: Numbered, folder: ExportFolder
    ) -> ExportNotes:
        """See ``SplitExporter.write_numbered``."""
        placed = place_inputs(rows.inputs, self._options.slots, self.framework)
        found = survey(rows)
        name = self.dataset_name(numbered, placed, found)
        count = numbered.counted_items
        where = f"data/{name}"
        remarks = [*told_slots(placed), *numbered.remarks()]
        write_matrices(
            rows, found, folder, [f"{where}/{slot}_feat.npy" for slot, _ in placed], count
        )
        for (slot, one), some in zip(placed, found, strict=True):
            listed = f"missed_{_SHORT[slot]}_itemIDs.csv"
            missed = some.filled[some.filled < count]
            with folder.open(f"{where}/{listed}") as file:
                file.write("".join(f"{row}\n" for row in missed.tolist()).encode())
            remarks += some.remark(one, listed)
        if count < len(rows):
            remarks.append(
                f"the last {len(rows) - count} items are in no interaction and left out: MMRec"
                " takes the highest number in the interactions for the number of items"
            )
        with folder.open(f"{where}/{name}.inter") as file:
            file.write(_header(numbered))
            for label, part in enumerate(PARTS):
                file.writelines(numbered.parts[part].lines(str(label), ratings=False))
        for ids, listed, head in (
            (numbered.items, "i_id_mapping.csv", ("asin", "itemID")),
            (numbered.users, "u_id_mapping.csv", ("user_id", "userID")),
        ):
            numbers = ((one, number) for number, one in enumerate(ids.to_pylist()))
            with folder.open(f"{where}/{listed}") as file:
                file.write(tab_separated([head, *numbers]))
        with folder.open(f"src/configs/dataset/{name}.yaml") as file:
            file.write(_SETTINGS.format(name=name).encode())
        return ExportNotes(
            remarks=tuple(remarks),
            next_step=f"cp -r data src MMREC/ && cd MMREC/src && python main.py -m VBPR -d {name}",
        )


_SHORT = {"image": "img", "text": "txt"}


def _header(numbered: Numbered) -> bytes:
    train = numbered.parts["train"]
    names = ["userID", "itemID"]
    names += ["rating"] * (train.ratings is not None)
    names += ["timestamp"] * (train.times is not None)
    return ("\t".join([*names, "x_label"]) + "\n").encode()


__all__ = ["MmrecExporter"]
