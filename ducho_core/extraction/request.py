"""What the user asks of an extraction, whether by command line, recipe or Python."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from ducho_core.catalogue import Binding
from ducho_core.errors import UsageError
from ducho_core.options import option

if TYPE_CHECKING:
    from ducho_core.specs import ExtractorSpec

Names = tuple[str, ...]

DEFAULT_STORE = "features"

NOTHING = "none"
"""What ``--image``, ``--audio`` or ``--text`` take where a column of that name is not meant."""

_FLAGS = {"options": "-o", "loader_options": "-l"}
_ELSEWHERE = {
    "source", "plugin", "key", "text", "image", "audio", "slots", "root", "null", "clean",
}  # fmt: skip
"""Fields that a loader writes into its messages by itself."""


class ExtractionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One extraction: a source, an extractor and how the one meets the other.

    The fields are the flags of ``ducho extract`` and the keys of a recipe's extraction.
    """

    source: Annotated[str, option(help="a folder, a table, or set:NAME:OUTPUT")]
    plugin: Annotated[str, option(help="PLUGIN or PLUGIN/NAME")]
    model: Annotated[str | None, option(help="short for the option model")] = None
    options: Annotated[
        Mapping[str, Any] | Names, option(help="the extractor's options; key=value pairs or a map")
    ] = ()
    name: Annotated[str | None, option(help="a name of your own for the feature set")] = None
    catalogue: Annotated[str, option(help="the collection that the keys belong to")] = "main"
    variant: Annotated[str, option(help="keeps repeated measurements apart")] = ""
    loader: Annotated[str | None, option(help="a loader, where the source does not tell")] = None
    loader_options: Annotated[
        Mapping[str, Any] | Names, option(help="the loader's options; key=value pairs or a map")
    ] = ()
    key: Annotated[Names, option(help="key columns")] = ()
    text: Annotated[Names, option(help="[NAME=]COLUMN or template")] = ()
    image: Annotated[str | None, option(help="column or path template")] = None
    audio: Annotated[str | None, option(help="column or path template")] = None
    slots: Annotated[
        Literal["all", "first", "joint"],
        option(help="an item's slots: a row each, the first alone, or all in one row"),
    ] = "all"
    root: Annotated[str | None, option(help="folder that every path must lie in")] = None
    null: Annotated[Names, option(help="cell contents that mean nothing")] = ()
    clean: Annotated[Names, option(help="text cleanings, in order")] = ()
    precision: Annotated[
        Literal["exact", "fast", "native"] | None, option(help="default: the extractor's")
    ] = None
    dtype: Annotated[
        Literal["float32", "float16", "int8"], option(help="how embeddings are stored")
    ] = "float32"
    device: Annotated[str | None, option(help="auto, cpu, cuda, cuda:N, mps")] = None
    batch_size: Annotated[int | None, option(help="cap on items in a batch", ge=1)] = None
    batch_budget: Annotated[int | None, option(help="cap on a batch's cost", ge=1)] = None
    chunk_size: Annotated[int | None, option(help="rows a chunk", ge=1, le=1_000_000)] = None
    workers: Annotated[int | None, option(help="threads that prepare items", ge=1, le=256)] = None
    engine: Annotated[str, option(help="what carries chunks to workers")] = "core/local"
    retry_failed: Annotated[bool, option(help="try failed items again")] = False
    rehash: Annotated[bool, option(help="hash every input again")] = False

    def binding(self, spec: ExtractorSpec, store: str) -> Binding:
        """The flags about keys and inputs, as a loader takes them.

        Args:
            spec: the extractor, which says what inputs it can take.
            store: the store's folder, for messages with a command to paste.

        Raises:
            UsageError: every input that the extractor takes is left out.
        """
        accepts = tuple(one for one in spec.inputs if one not in self._left_out)
        if not accepts:
            raise UsageError(f"{self.plugin}: everything that it takes is left out")
        whole = self._binding(spec, store)
        return whole if accepts == spec.inputs else whole.narrowed(accepts)

    @property
    def _left_out(self) -> tuple[str, ...]:
        given = {"text": self.text, "image": (self.image,), "audio": (self.audio,)}
        return tuple(name for name, value in given.items() if value == (NOTHING,))

    def _binding(self, spec: ExtractorSpec, store: str) -> Binding:
        return Binding(
            accepts=spec.inputs,
            multiple_texts=spec.multiple_texts,
            keys=self.key,
            texts=tuple(_named_text(text) for text in self.text if self.text != (NOTHING,)),
            image=None if self.image == NOTHING else self.image,
            audio=None if self.audio == NOTHING else self.audio,
            slots=self.slots,
            root=self.root,
            nulls=self.null,
            cleaning=self.clean,
            other_flags=self._other_flags(store),
        )

    def _other_flags(self, store: str) -> str:
        flags = ["--plugin", self.plugin]
        if store != DEFAULT_STORE:
            flags += ["--store", store]
        # Of these the loader knows nothing.
        for name in self._left_out:
            flags += [f"--{name}", NOTHING]
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            if field.name in _ELSEWHERE or value == field.default:
                continue
            flag = _FLAGS.get(field.name, f"--{field.name.replace('_', '-')}")
            if value is True:
                flags.append(flag)
            elif isinstance(value, Mapping):
                for key, one in value.items():
                    flags += [flag, f"{key}={one if isinstance(one, str) else json.dumps(one)}"]
            elif isinstance(value, tuple):
                flags += [part for one in value for part in (flag, one)]
            else:
                flags += [flag, str(value)]
        return shlex.join(flags)


def merge_options(
    options: Mapping[str, Any] | Sequence[str], **extra: Any
) -> Mapping[str, Any] | tuple[str, ...]:
    """Add the options that have a flag of their own to those given as options.

    Raises:
        UsageError: one is given both ways.
    """
    given = {name: value for name, value in extra.items() if value is not None}
    if isinstance(options, Mapping):
        names = set(options)
        merged: Mapping[str, Any] | tuple[str, ...] = {**options, **given}
    else:
        names = {pair.partition("=")[0].strip() for pair in options}
        merged = (*options, *(f"{name}={value}" for name, value in given.items()))
    for name in given:
        if name in names:
            raise UsageError(
                f"{name!r} is given twice, as a flag of its own and as an option: keep one"
            )
    return merged


def _named_text(text: str) -> tuple[str | None, str]:
    name, equals, rest = text.partition("=")
    if equals and name.isidentifier() and rest:
        return name, rest
    return None, text
