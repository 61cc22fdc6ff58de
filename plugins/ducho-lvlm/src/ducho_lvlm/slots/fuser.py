"""``lvlm/slots``: texts of a feature set as one-hot attributes."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Self

import msgspec
import numpy as np

from ducho_core import Output, RowFuser, UsageError
from ducho_lvlm.slots.clusters import nearest
from ducho_lvlm.slots.mapping import OTHER, SlotMapping, dump, learn, load, slot_word
from ducho_lvlm.slots.vectors import TextVectors
from ducho_lvlm.slots.words import Speller

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from ducho_core import FuserBatch, FuserContext
    from ducho_core.extractor import JSON
    from ducho_core.fuser import State, Texts, Vectors
    from ducho_lvlm.slots.options import SlotsOptions

_OUTPUT = "embedding"
_REMEMBERED = 64 * 2**20
"""Characters of texts whose columns are remembered."""

_ENTRY = 64
"""A text takes as much memory as so many characters more."""


class SlotsFuser(RowFuser):
    """Each text output becomes columns, one for each of its most frequent meanings.

    Values are brought into one spelling (lower case, lemmas), embedded by a text extractor and
    clustered by average linkage on cosine distance; a column is a cluster, named by its most
    frequent value. A value of no such cluster is ``other``; no value at all is ``missing``, or
    zeros. The columns, and which value belongs to which, are the fit: rows to come are put
    into the same columns, values that it does not know into the nearest cluster within the
    threshold.

    Attributes:
        mappings: the clusters of each input; empty until ``restore``.
        columns: names of the output's numbers; empty until ``restore``.
    """

    fitted = True

    def __init__(self, options: SlotsOptions, context: FuserContext) -> None:
        self._options = options
        self._slots = tuple(one.output for one in context.inputs)
        self._spell = Speller(options.language)
        self._vectors = TextVectors(options)
        self.identity: dict[str, JSON] = {
            "spelling": self._spell.identity,
            "text": self._vectors.identity,
        }
        # The identity holds what they resolved to, and a folder's path is not to be recorded.
        self.recorded = msgspec.structs.replace(
            options, text_plugin=str(self._vectors.identity["extractor"]), text_options=()
        )
        self.outputs = (Output(name=_OUTPUT),)
        self.mappings: tuple[SlotMapping, ...] = ()
        self.columns: tuple[str, ...] = ()
        self._starts: list[int] = []
        self._known: list[dict[str, int]] = []
        self._places: list[dict[str | None, int]] = []
        self._remembered = 0

    @classmethod
    def open(cls, options: SlotsOptions, context: FuserContext) -> Self:
        """Find the lemmas and the text extractor. See ``Fuser.open``.

        Raises:
            UsageError: two inputs would give columns of the same names, or the extractor
                cannot be used.
        """
        words = Counter(slot_word(one.output) for one in context.inputs)
        for word, count in words.items():
            if count > 1:
                raise UsageError(
                    f"{count} inputs would make columns called {word}=…; take one of them"
                )
        return cls(options, context)

    def fit(self, batches: Iterable[FuserBatch]) -> State:
        """Count the values of each slot, and cluster them."""
        counters: list[Counter[str]] = [Counter() for _ in self._slots]
        for batch in batches:
            for counter, texts in zip(counters, batch.texts, strict=True):
                for text, count in Counter(texts.tolist()).items():
                    value = self._spell(text)
                    if value is not None:
                        counter[value] += count
        mappings = [
            learn(slot, counter, self._vectors, self._options)
            for slot, counter in zip(self._slots, counters, strict=True)
        ]
        self._vectors.close()
        return dump(mappings, self.identity)

    def restore(self, state: State) -> None:
        """See ``RowFuser.restore``.

        Raises:
            UsageError: it was made for other slots, or with another text model or other lemmas.
        """
        mappings, identity = load(state)
        slots = tuple(one.slot for one in mappings)
        if slots != self._slots:
            raise UsageError(
                f"the mapping is for {', '.join(slots)}, not for {', '.join(self._slots)}: name"
                " the same outputs in the same order"
            )
        for part, what in (("spelling", "lemmas"), ("text", "text extractor")):
            if identity.get(part) != self.identity[part]:
                raise UsageError(
                    f"the mapping was made with another {what}, {identity.get(part)}, not"
                    f" {self.identity[part]}: use the same, or make a new mapping"
                )
        self.mappings = mappings
        flag = self._options.flag_missing
        names = [one.columns(self._options.top, flag_missing=flag) for one in mappings]
        self.columns = tuple(name for each in names for name in each)
        self._starts = [0, *accumulate(len(each) for each in names)]
        self._known = [one.numbers() for one in mappings]
        self._places = [{} for _ in mappings]
        self.outputs = (Output(name=_OUTPUT, dim=len(self.columns)),)

    def transform(self, batch: FuserBatch) -> Mapping[str, Vectors]:
        """A one for each slot that has a value, else for its ``missing``."""
        made = np.zeros((batch.keys.num_rows, len(self.columns)), np.float32)
        for at, texts in enumerate(batch.texts):
            places = self._columns_of(at, texts)
            rows = np.flatnonzero(places >= 0)
            made[rows, places[rows]] = 1
        return {_OUTPUT: made}

    def _columns_of(self, at: int, texts: Texts) -> npt.NDArray[np.int64]:
        """The column of each text, -1 where all are zero."""
        places = self._places[at]
        if self._remembered > _REMEMBERED:
            self._remembered = 0
            self._known = [one.numbers() for one in self.mappings]
            for one in self._places:
                one.clear()
        listed: list[str | None] = texts.tolist()
        fresh = {text: self._spell(text) for text in dict.fromkeys(listed) if text not in places}
        known = self._known[at]
        self._assign(at, sorted({one for one in fresh.values() if one and one not in known}))
        self._remembered += sum(_ENTRY + len(text or "") for text in fresh)
        first, end = self._starts[at], self._starts[at + 1]
        flag = self._options.flag_missing
        other = end - 2 if flag else end - 1
        for text, value in fresh.items():
            if value is None:
                places[text] = end - 1 if flag else -1
            else:
                number = known[value]
                inside = number != OTHER and first + number < other
                places[text] = first + number if inside else other
        return np.array([places[text] for text in listed], np.int64)

    def _assign(self, at: int, values: Sequence[str]) -> None:
        """Settle the clusters of values that were not seen in the fit."""
        if not values:
            return
        mapping = self.mappings[at]
        numbers = [OTHER] * len(values)
        if mapping.clusters:
            found = nearest(self._vectors(values), mapping.vectors, self._options.threshold)
            numbers = found.tolist()
        self._known[at].update(zip(values, numbers, strict=True))
