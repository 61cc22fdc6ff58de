"""``recsys/elliot``: a dataset and a configuration of Elliot, as "Ducho meets Elliot" uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from ducho_core import ExportNotes, UsageError, npy_header
from ducho_recsys.exporters.base import SplitExporter, place_inputs, told_slots
from ducho_recsys.exporters.matrix import filled_rows, survey
from ducho_recsys.exporters.numbering import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ducho_core import ExportBatch, ExportFolder, ExportInput, ExportRows
    from ducho_recsys.exporters.numbering import Numbered, Numbers

_FILES = {"train": "train.tsv", "validation": "val.tsv", "test": "test.tsv"}
_LOADERS = {
    "visual": ("VisualAttribute", "visual_features"),
    "textual": ("TextualAttribute", "textual_features"),
}
_CONFIG = """\
# Made by Ducho. Lists of values, such as lr: [0.0001, 0.001], make Elliot search among them.
experiment:
  backend: pytorch
  data_config:
    strategy: fixed
    train_path: ../data/{{0}}/train.tsv
{validation}    test_path: ../data/{{0}}/test.tsv
    side_information:
{side_information}  dataset: {name}
  binarize: True
  top_k: {top}
  evaluation:
    cutoffs: [{top}]
    simple_metrics: [Recall, Precision, nDCG, HR]
  gpu: 0
  external_models_path: ../external/models/__init__.py
  models:
    external.VBPR:
      meta:
        hyper_opt_alg: grid
        verbose: True
        save_weights: False
        save_recs: False
        validation_rate: 10
        validation_metric: Recall@{top}
        restore: False
      lr: 0.001
      epochs: 200
      factors: 64
      batch_size: 1024
      l_w: 0.00001
      comb_mod: concat
      modalities: {modalities}
      loaders: {loaders}
      seed: 123
"""


class ElliotExporter(SplitExporter):
    """``data/NAME/`` and ``config_files/NAME.yml``, as they lie in a checkout.

    ``train.tsv``, ``val.tsv`` and ``test.tsv`` have no header: user, item, rating, and the time
    where all have one. ``visual/`` and ``textual/`` have a float32 (dim,) array ``N.npy`` for
    item N. Rows without a vector, and those of length 0, are the mean of the others.

    The fork (https://github.com/sisinflab/Ducho-meets-Elliot) numbers the features it has loaded
    only where it had to leave an item out; where every item has features it trains on memory that
    was never written (``modular_loaders/visual/visual_attribute.py``: ``item_mapping`` is filled
    in ``filter`` alone). So one row of ``train.tsv`` is with an item that does not exist, which
    the fork leaves out.
    """

    framework: ClassVar[str] = "Elliot"

    def check(self) -> None:
        """See ``SplitExporter.check``."""
        place_inputs(self._context.inputs, self._options.slots, self.framework)

    def write_numbered(
        self, rows: ExportRows, numbered: Numbered, folder: ExportFolder
    ) -> ExportNotes:
        """See ``SplitExporter.write_numbered``."""
        placed = place_inputs(rows.inputs, self._options.slots, self.framework)
        _check_order(numbered.trained_items)
        found = survey(rows)
        name = self.dataset_name(numbered, placed, found)
        where = f"data/{name}"
        sentinel = len(rows)
        remarks = [*told_slots(placed), *numbered.remarks()]
        for (slot, one), some in zip(placed, found, strict=True):
            with folder.open(f"{where}/missed_{slot}.txt") as file:
                file.write("".join(f"{row}\n" for row in some.filled.tolist()).encode())
            remarks += some.remark(one, f"missed_{slot}.txt")
        by_number = _ByNumber(rows)
        files = [folder.item_files(["data", name, slot], ".npy", by_number) for slot, _ in placed]
        headers = [npy_header("<f4", (one.dim,)) for one in rows.inputs]
        for start, vectors in filled_rows(rows, found):
            for into, header, block in zip(files, headers, vectors, strict=True):
                for at, vector in enumerate(block):
                    into.write((str(start + at),), header + vector.tobytes())
        for part, listed in _FILES.items():
            if part == "train" or len(numbered.parts[part]):
                with folder.open(f"{where}/{listed}") as file:
                    file.writelines(numbered.parts[part].lines())
                    if part == "train":
                        file.writelines(_sentinel(numbered.parts[part], sentinel).lines())
        remarks.append(
            f"the last row of train.tsv is with item {sentinel}, which does not exist: Elliot's"
            " loaders number the features only where an item has none, and drop that row; without"
            " it they hand out memory that was never written"
        )
        with folder.open(f"config_files/{name}.yml") as file:
            file.write(_config(name, placed, numbered).encode())
        return ExportNotes(
            remarks=tuple(remarks),
            next_step="cp -r data config_files ELLIOT/ && cd ELLIOT &&"
            f" python start_experiments.py --config {name}",
        )


class _ByNumber:
    """The rows of an export, each under its number."""

    keys: tuple[str, ...] = ("item_id",)

    def __init__(self, rows: ExportRows) -> None:
        self._rows = rows
        self.inputs = rows.inputs
        self.filled = rows.filled

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self) -> Iterator[ExportBatch]:
        """As the rows themselves."""
        return self._rows.batches()

    def key_batches(self) -> Iterator[pa.RecordBatch]:
        """The numbers, as texts."""
        for start in range(0, len(self), _BLOCK):
            numbers = range(start, min(start + _BLOCK, len(self)))
            yield pa.record_batch(
                {"item_id": pa.array([str(one) for one in numbers], pa.string())}
            )


_BLOCK = 65_536


def _check_order(trained: Numbers) -> None:
    """Refuse numbers that the fork would put in another order in one place than in another.

    It numbers items twice, each time in the order of a Python set. A set of integers is ascending
    where its table has a place for each of them, and a table of n members has more than 5/3 n.
    """
    highest = int(trained[-1])
    if highest > len(trained) * 5 // 3:
        raise UsageError(
            f"{len(trained)} items are trained on and their numbers reach {highest}: Elliot would"
            " give items each other's features, for it takes the order of a set for that of"
            " numbers; export without --id-map, which then numbers these items first"
        )


def _sentinel(part: Part, item: int) -> Part:
    """One interaction of the first user, with an item that does not exist."""
    one = part.where(np.arange(len(part)) == 0)
    return Part(one.users, np.array([item]), one.ratings, one.times)


def _config(name: str, placed: Sequence[tuple[str, ExportInput]], numbered: Numbered) -> str:
    slots = [slot for slot, _ in placed]
    side = [
        f"      - dataloader: {_LOADERS[slot][0]}\n"
        f"        {_LOADERS[slot][1]}: ../data/{{0}}/{slot}\n"
        for slot in slots
    ]
    validated = "    validation_path: ../data/{0}/val.tsv\n"
    return _CONFIG.format(
        name=name,
        validation=validated if len(numbered.parts["validation"]) else "",
        side_information="".join(side),
        top=min(20, len(numbered.trained_items)),
        modalities=tuple(slots),
        loaders=tuple(_LOADERS[slot][0] for slot in slots),
    )


__all__ = ["ElliotExporter"]
