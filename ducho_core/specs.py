"""The light, frozen descriptors that plugin hooks return.

A spec names its implementation as ``"package.module:Attribute"``; nothing heavy is imported
until the implementation is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

API_VERSION = 1

Modality = Literal["image", "text", "audio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSpec:
    """What every kind of spec has.

    Attributes:
        name: lower-case name within the plugin; the canonical name is ``PLUGIN/NAME``.
        summary: one line for listings.
        implementation: import string of the class, ``"package.module:Class"``.
        options: import string of a msgspec Struct whose fields enter the SPEC, or None.
        api_version: version of this contract that the plugin was written for.
        requires: the pip requirement that brings a missing dependency, where it is not the
            plugin's own distribution.
    """

    name: str
    summary: str
    implementation: str
    options: str | None = None
    api_version: int = API_VERSION
    requires: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderSpec(PluginSpec):
    """A loader.

    Attributes:
        suffixes: lower-case file suffixes (``".tsv"``) that select it without ``--loader``.
        directories: whether it reads a folder without ``--loader``.
        schemes: prefixes of a source (``"set"`` for ``set:NAME``) that select it.
    """

    suffixes: tuple[str, ...] = ()
    directories: bool = False
    schemes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model that an extractor knows by name, for ``ducho plugins models``.

    Attributes:
        name: what ``--model`` takes.
        dim: length of the vector that it gives by default, or None where it is not known.
        megabytes: size of the download in MB (10^6 bytes), or None.
        licence: SPDX identifier or the licence's own name, or None where it is not known.
        remark: one line on what it is good for.
        as_of: ISO date on which size and licence were looked up; empty for a name out of a
            library's own registry.
    """

    name: str
    dim: int | None = None
    megabytes: float | None = None
    licence: str | None = None
    remark: str = ""
    as_of: str = ""

    @property
    def facts(self) -> str:
        """Size, length of the vector and remark in one line, for messages."""
        size = None if self.megabytes is None else f"{self.megabytes:.0f} MB"
        length = None if self.dim is None else f"{self.dim} numbers"
        return ", ".join(fact for fact in (size, length, self.remark) if fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractorSpec(PluginSpec):
    """An extractor.

    Attributes:
        inputs: modalities it can take; at least one of them must be bound.
        multiple_texts: whether it takes several named text fields rather than one text.
        joint: whether it takes all slots of an item at once: an input is then a tuple.
        run_options: import string of the RunOptions Struct (not in the SPEC), or None.
        numerics: raised by the author when default behaviour changes the numbers.
        default: whether ``--plugin PLUGIN`` without a name means this extractor.
        default_precision: what ``--precision`` means where the user does not give it.
        padded: whether a batch costs n * max(size) (True) or the sum of sizes (False).
        batch_size: default cap on the items in a batch.
        batch_budget: default cap on a batch's cost in units of ``Extractor.size``, or None.
        chunk_size: default rows a chunk, the unit of commit.
        models: import string of a function without arguments that returns an iterable of
            ``KnownModel``, or None. It may import heavy libraries and must not use a network.
    """

    inputs: tuple[Modality, ...]
    multiple_texts: bool = False
    joint: bool = False
    run_options: str | None = None
    numerics: int = 1
    default: bool = False
    default_precision: Literal["exact", "fast", "native"] = "exact"
    padded: bool = True
    batch_size: int = 32
    batch_budget: int | None = None
    chunk_size: int = 2048
    models: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FuserSpec(PluginSpec):
    """A fuser: feature sets to a feature set.

    Attributes:
        numerics: raised by the author when default behaviour changes the numbers.
        takes: the kind of output that its inputs are; texts go to row fusers only.
        fewest: how few inputs it takes.
        most: how many inputs it takes, or None for any number.
    """

    numerics: int = 1
    takes: Literal["embedding", "text"] = "embedding"
    fewest: int = 1
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSpec(PluginSpec):
    """An exporter: feature sets to files for another system.

    Attributes:
        keys: key columns that the format can carry; sets with others are refused, with the
            command that pools them.
        most: how many sets it takes at once, or None for any number.
        separate: whether each set is written by itself, so that a key without a row in one
            set is simply not there and needs no policy.
        users: whether a set about users alone is written as one about items is, with user ids
            for item ids.
    """

    keys: tuple[str, ...] = ("item_id",)
    most: int | None = None
    separate: bool = False
    users: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec(PluginSpec):
    """An engine: what carries chunks to workers."""
