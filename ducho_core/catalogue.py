"""Keys and inputs: what a catalogue row is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pyarrow as pa

    from ducho_core.specs import Modality

KEY_COLUMNS = ("user_id", "item_id", "slot")
"""The key columns that exist, in the order in which they are always stored."""

SUBJECTS = ("user_id", "item_id")
"""What a key is about: one of them, or both."""

Storage = Literal["inline", "path", "bytes"]

Slots = Literal["all", "first", "joint"]
"""What becomes of an item's slots: a row each, the first alone, or all of them in one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputField:
    """One input of the catalogue, bound to columns of the source.

    Attributes:
        name: ``image``, ``audio``, ``text``, or the name of a text field.
        modality: image, text or audio.
        storage: what the batches hold: the text itself (``inline``, Arrow string), an
            absolute path (``path``, Arrow string), or the file's content (``bytes``,
            Arrow binary). Null means absent.
        columns: the source columns it is made of, for the SPEC of a text.
        template: the template over those columns, for the SPEC of a text.
        cleaning: names of the text cleanings applied, in order.
        joint: whether the batches hold a list of such values, one a slot, in natural order of
            the slots; null, or an empty list, means absent.
    """

    name: str
    modality: Modality
    storage: Storage
    columns: tuple[str, ...] = ()
    template: str | None = None
    cleaning: tuple[str, ...] = ()
    joint: bool = False


def is_key(columns: Sequence[str]) -> bool:
    """Whether columns make a key: a user, an item or both, in the stored order, and a slot."""
    ordered = [name for name in KEY_COLUMNS if name in columns]
    return list(columns) == ordered and not set(columns).isdisjoint(SUBJECTS)


def arrow_type(field: InputField) -> pa.DataType:
    """The type of an input's column in the batches of a source."""
    import pyarrow as pa

    one = pa.binary() if field.storage == "bytes" else pa.string()
    return pa.list_(one) if field.joint else one


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What the user said about how a source's columns become keys and inputs.

    Attributes:
        accepts: modalities that the extractor can take.
        multiple_texts: whether it takes several named texts.
        keys: key columns, in the order given; empty means the default.
        texts: (name, column or template) pairs; the name is None where not given.
        image: column or path template, or None.
        audio: column or path template, or None.
        slots: ``all``, only the ``first`` in natural order, or all of an item ``joint`` in one
            row.
        root: folder that every referenced path must lie in; None means the source's folder.
        nulls: cell contents that mean null beside the empty cell.
        cleaning: text cleanings to apply, in order.
        other_flags: the rest of the user's command, for messages with a command to paste.
    """

    accepts: tuple[Modality, ...]
    multiple_texts: bool = False
    keys: tuple[str, ...] = ()
    texts: tuple[tuple[str | None, str], ...] = ()
    image: str | None = None
    audio: str | None = None
    slots: Slots = "all"
    root: str | None = None
    nulls: tuple[str, ...] = ()
    cleaning: tuple[str, ...] = ()
    other_flags: str = "…"

    def narrowed(self, modalities: Collection[Modality]) -> Binding:
        """What is left of it for some of the modalities that it accepts."""
        return replace(
            self,
            accepts=tuple(one for one in self.accepts if one in modalities),
            texts=self.texts if "text" in modalities else (),
            image=self.image if "image" in modalities else None,
            audio=self.audio if "audio" in modalities else None,
        )
