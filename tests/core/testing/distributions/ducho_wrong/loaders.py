"""Loaders of lines ``KEY<tab>TEXT``: ``Right``, and one for each rule that can be broken."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pyarrow as pa

from ducho_core import InputField, Loader, SourceError, UsageError

COLUMNS = ("item_id", "text")


class Unfinished(Loader):
    """Defines nothing."""


class Right(Loader):
    """Two columns, eight rows a batch."""

    rows = 8
    text_type = pa.string()

    def __init__(self, source, binding):
        self.source = source
        self.keys = ("item_id",)
        self.inputs = (InputField(name="text", modality="text", storage="inline"),)
        self.root = None
        self.remarks = ("two columns: item_id and text",)
        self.identity = {"reader": "lines"}

    @classmethod
    def open(cls, source, binding, options):
        if not os.path.isfile(source):
            raise SourceError(f"there is no file {source}")
        cls.check(binding)
        return cls(source, binding)

    @classmethod
    def check(cls, binding):
        if "text" not in binding.accepts:
            raise UsageError("there are texts only")
        for name in (*binding.keys, *(text for _, text in binding.texts)):
            if name not in COLUMNS:
                raise UsageError(f"there is no column {name!r}; there are item_id and text")

    def lines(self):
        with open(self.source, encoding="utf-8") as file:
            for line in file:
                key, _, text = line.rstrip("\n").partition("\t")
                yield key, text or None

    def schema(self):
        return pa.schema(
            [pa.field(name, pa.string(), nullable=False) for name in self.keys]
            + [pa.field(self.inputs[0].name, self.text_type)]
        )

    def batches(self):
        held = []
        for line in self.lines():
            held.append(line)
            if len(held) == self.rows:
                yield self.batch(held)
                held = []
        if held:
            yield self.batch(held)

    def batch(self, held):
        columns = list(zip(*held, strict=True))
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, self.schema(), strict=True)
        ]
        return pa.record_batch(arrays, schema=self.schema())


class Files(Right):
    """The second column names files below the source's folder."""

    def __init__(self, source, binding):
        super().__init__(source, binding)
        self.inputs = (InputField(name="image", modality="image", storage="path"),)
        self.root = Path(source).resolve().parent

    @classmethod
    def check(cls, binding):
        if "image" not in binding.accepts or binding.texts or binding.keys:
            raise UsageError("there are images only")

    def lines(self):
        for key, name in super().lines():
            yield key, name and self.place(name)

    def place(self, name):
        return str(self.root / name)


class OtherKeys(Right):
    def __init__(self, source, binding):
        super().__init__(source, binding)
        self.keys = ("id",)


class UnorderedKeys(Right):
    def __init__(self, source, binding):
        super().__init__(source, binding)
        self.keys = ("slot", "item_id")


class SameNames(Right):
    def __init__(self, source, binding):
        super().__init__(source, binding)
        self.inputs = self.inputs * 2


class TakesAnything(Right):
    """Has a sound, whatever is accepted."""

    def __init__(self, source, binding):
        super().__init__(source, binding)
        self.inputs = (*self.inputs, InputField(name="audio", modality="audio", storage="path"))


class GuessesColumns(Right):
    @classmethod
    def check(cls, binding):
        pass


class EmptyWhereMissing(Right):
    @classmethod
    def open(cls, source, binding, options):
        cls.check(binding)
        return cls(source, binding)

    def lines(self):
        return super().lines() if os.path.exists(self.source) else iter(())


class PlainError(EmptyWhereMissing):
    def lines(self):
        with open(self.source, encoding="utf-8"):
            return super().lines()


class AllAtOnce(Right):
    def batches(self):
        return list(super().batches())


class OneBigBatch(Right):
    rows = 70_000

    def lines(self):
        for _ in range(35_000):
            yield from (("a", "text"), ("b", "text"))


class ReadsAhead(Right):
    @classmethod
    def open(cls, source, binding, options):
        opened = super().open(source, binding, options)
        list(opened.batches())
        return opened


class OneRemark(Right):
    def __init__(self, source, binding):
        super().__init__(source, binding)
        self.remarks = "two columns: item_id and text"


class NamesItsFile(Right):
    def __init__(self, source, binding):
        super().__init__(source, binding)
        self.identity = {"file": os.path.abspath(source)}


class AsksAHost(Right):
    def lines(self):
        socket.getaddrinfo("tables.invalid", 443)
        return super().lines()


class NumberKeys(Right):
    def schema(self):
        return pa.schema([pa.field("item_id", pa.int64()), pa.field("text", pa.string())])

    def lines(self):
        for number, (_, text) in enumerate(super().lines()):
            yield number, text


class NullKeys(Right):
    def schema(self):
        return pa.schema([pa.field("item_id", pa.string()), pa.field("text", pa.string())])

    def lines(self):
        yield None, "a text without a key"
        yield from super().lines()


class OneMore(Right):
    def batch(self, held):
        return super().batch(held).append_column("length", pa.array([0] * len(held)))


class LargeStrings(Right):
    text_type = pa.large_string()


class EmptyTexts(Right):
    def lines(self):
        for key, text in super().lines():
            yield key, text or ""


class RelativePaths(Files):
    def place(self, name):
        return name


class NoRoot(Files):
    def __init__(self, source, binding):
        super().__init__(source, binding)
        self.folder, self.root = self.root, None

    def place(self, name):
        return str(self.folder / name)


class FirstOfAKey(Right):
    def lines(self):
        seen = set()
        for key, text in super().lines():
            if key not in seen:
                seen.add(key)
                yield key, text


class ReadsOnce(Right):
    """One open file for all who read."""

    def lines(self):
        if not hasattr(self, "_lines"):
            self._lines = super().lines()
        return self._lines
