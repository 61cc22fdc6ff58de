"""Exporters of lines: a right one, and one for each rule that can be broken."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from ducho_core import Exporter, ExportNotes, Universe, UsageError

ITEMS = ("b", "a", "ünï", "c")


class Unfinished(Exporter):
    """Defines nothing."""


class Right(Exporter):
    """A file ``LABEL.jsonl`` an input: ``[KEY, NUMBERS]`` a line, rows that are there alone."""

    @classmethod
    def open(cls, options, context):
        return cls()

    def write(self, rows, folder):
        for at, one in enumerate(rows.inputs):
            with folder.open(f"{one.label}.jsonl") as file:
                file.write(self.head())
                for batch in rows.batches():
                    columns = [batch.keys[name].to_pylist() for name in rows.keys]
                    keys = list(zip(*columns, strict=True))
                    for row in np.flatnonzero(batch.present[at]):
                        numbers = self.numbers(batch, at)[row].tolist()
                        file.write((json.dumps([self.key(keys[row]), numbers]) + "\n").encode())
        return self.notes()

    def head(self):
        return b""

    def key(self, key):
        return key

    def numbers(self, batch, at):
        return batch.values[at]

    def notes(self):
        return ExportNotes(remarks=("one file a set",), next_step="cat model-0.jsonl")


def read(folder):
    """What ``Right`` and its kin wrote."""
    found = {}
    for path in Path(folder).glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        found[path.stem] = {tuple(key): numbers for key, numbers in lines}
    return found


class WritesAtOpen(Right):
    @classmethod
    def open(cls, options, context):
        Path("log.txt").write_text("opened", "utf-8")
        return cls()


class SaysNothing(Right):
    def notes(self):
        return None


class OneRemark(Right):
    def notes(self):
        return ExportNotes(remarks="one file a set")


class WritesNothing(Right):
    def write(self, rows, folder):
        return self.notes()


class ItemsAlone(Right):
    @classmethod
    def open(cls, options, context):
        if context.keys != ("item_id",):
            raise UsageError("only items are exported")
        return cls()


class MakesPaths(Right):
    def write(self, rows, folder):
        for batch in rows.key_batches():
            for key in batch["item_id"].to_pylist():
                if key.isprintable() and 0 < len(key) < 100 and not key.startswith("/"):
                    Path("out", key.replace("\\", "/")).parent.mkdir(parents=True, exist_ok=True)
                    Path("out").joinpath(f"{key}.txt").write_text(key, "utf-8")
        return super().write(rows, folder)


class RefusesVaguely(Right):
    def key(self, key):
        if "/" in key[0]:
            raise UsageError("some id cannot be written")
        return key


class NamesTheTime(Right):
    def head(self):
        return json.dumps([["time"], [time.perf_counter()]]).encode() + b"\n"


class Normalises(Right):
    def numbers(self, batch, at):
        values = batch.values[at]
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        return values


class DropsABatch(Right):
    def numbers(self, batch, at):
        return batch.values[at] * (batch.start < 14)


class CutsIds(Right):
    def key(self, key):
        return [part.partition(".")[0] for part in key]


class Rounds(Right):
    def numbers(self, batch, at):
        return np.round(batch.values[at], 2)


class NamesItsFolder(Right):
    def head(self):
        return json.dumps([[os.getcwd()], []]).encode() + b"\n"


class AsksAHost(Right):
    def head(self):
        socket.getaddrinfo("exports.invalid", 443)
        return b""


class OfUniverse(Right):
    items = staticmethod(lambda: ITEMS)

    @classmethod
    def open(cls, options, context):
        return cls()

    def universe(self):
        return Universe.of_items("four", pa.array(self.items(), pa.string()))


class RepeatsAKey(OfUniverse):
    items = staticmethod(lambda: (*ITEMS, "a"))


class Shuffles(OfUniverse):
    items = staticmethod(lambda: [f"{time.perf_counter_ns()}", *ITEMS])


class NeedsARow(Right):
    def write(self, rows, folder):
        first = next(rows.batches())
        if not len(first):
            raise UsageError("no rows")
        return super().write(rows, folder)
