"""Fusers: right ones of each kind, and one for each rule that can be broken."""

from __future__ import annotations

import itertools
import random
import socket

import numpy as np

from ducho_core import Output, UsageError
from ducho_core.fuser import Fuser, GroupFuser, RelabelFuser, RowFuser

_calls = itertools.count()


class Unfinished(RowFuser):
    """Defines nothing."""


class Right(RowFuser):
    """The sum of the inputs without their means."""

    fitted = True

    def __init__(self, context):
        self.outputs = (Output(name="sum", dim=context.inputs[0].dim),)
        self.identity = {"centred": True}
        self.means = None

    @classmethod
    def open(cls, options, context):
        if len({one.dim for one in context.inputs}) > 1:
            raise UsageError("vectors of one length are summed")
        return cls(context)

    def fit(self, batches):
        sums = [
            np.concatenate(parts) for parts in zip(*(one.values for one in batches), strict=True)
        ]
        return {"means": np.stack([one.astype(np.float64).mean(axis=0) for one in sums])}

    def restore(self, state):
        if "means" not in state:
            raise UsageError("the fit holds no means")
        self.means = state["means"]

    def transform(self, batch):
        centred = [one - mean for one, mean in zip(batch.values, self.means, strict=True)]
        return {"sum": sum(centred).astype(np.float32)}


class OfNoKind(Fuser):
    @classmethod
    def open(cls, options, context):
        found = cls()
        found.outputs = (Output(name="sum", dim=8),)
        return found


class UnknownDim(Right):
    def __init__(self, context):
        super().__init__(context)
        self.outputs = (Output(name="sum"),)


class TwiceTheName(Right):
    def __init__(self, context):
        super().__init__(context)
        self.outputs = self.outputs * 2


class NamesItsFile(Right):
    def __init__(self, context):
        super().__init__(context)
        self.identity = {"weights": __file__}


class Changed(Right):
    """Changes the rows that are right."""

    def changed(self, rows):
        raise AssertionError

    def transform(self, batch):
        return {"sum": self.changed(super().transform(batch)["sum"])}


class Double(Changed):
    def changed(self, rows):
        return rows.astype(np.float64)


class OtherDim(Changed):
    def changed(self, rows):
        return rows[:, 1:]


class NotFinite(Changed):
    def changed(self, rows):
        return np.where(rows > 1, np.float32(np.inf), rows)


class CentresTheBatch(Changed):
    def changed(self, rows):
        return rows - rows.mean(axis=0)


class Noisy(Changed):
    def changed(self, rows):
        return rows * np.float32(1 + random.random())


class WritesItsInput(Right):
    def transform(self, batch):
        for values in batch.values:
            np.subtract(values, 1, out=values)
        return super().transform(batch)


class NoisyFit(Right):
    def fit(self, batches):
        return {"means": super().fit(batches)["means"] + next(_calls)}


class FitsTheFirstBatch(Right):
    def fit(self, batches):
        return super().fit(itertools.islice(batches, 1))


class KeepsSomethingBack(Right):
    """Needs a shift that only the instance that fitted has."""

    shift = 0.0

    def fit(self, batches):
        self.shift = 1.0
        return super().fit(batches)

    def transform(self, batch):
        return {"sum": super().transform(batch)["sum"] + np.float32(self.shift)}


class StateIsNoArray(Right):
    def fit(self, batches):
        return {"means": super().fit(batches)["means"].tolist()}


class TakesAnyFit(Right):
    def restore(self, state):
        self.means = state.get("means")


class AsksAHost(Right):
    def transform(self, batch):
        socket.getaddrinfo("sums.invalid", 443)
        return super().transform(batch)


class Shuffle(RelabelFuser):
    @classmethod
    def open(cls, options, context):
        found = cls()
        found.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)
        return found

    def sources(self, digests):
        return np.roll(np.arange(len(digests)), 1)


class SortsItsKeys(Shuffle):
    def sources(self, digests):
        digests.sort(axis=0)
        return super().sources(digests)


class ShufflesAnew(Shuffle):
    def sources(self, digests):
        return np.random.default_rng().permutation(len(digests))


class CountsFromOne(Shuffle):
    def sources(self, digests):
        return super().sources(digests) + 1


class Pool(GroupFuser):
    @classmethod
    def open(cls, options, context):
        found = cls()
        found.outputs = (Output(name="mean", dim=context.inputs[0].dim),)
        return found

    def pool(self, batch):
        sums = np.add.reduceat(batch.values.astype(np.float64), batch.starts[:-1], axis=0)
        return {"mean": (sums / np.diff(batch.starts)[:, None]).astype(np.float32)}


class PoolsTheBatch(Pool):
    def pool(self, batch):
        return {"mean": super().pool(batch)["mean"] - batch.values.mean(axis=0)}


class KeepsTheSlot(Pool):
    keeps = ("item_id", "slot")


class TakesSome(Pool):
    takes_only = "rows of every other item"

    def takes(self, keys):
        return np.array([int(one) % 2 == 0 for one in keys["item_id"].to_pylist()], np.bool_)


class TakesTheFirst(Pool):
    takes_only = "rows that come first"

    def takes(self, keys):
        return np.arange(keys.num_rows) < 3


class TakesNumbers(Pool):
    takes_only = "rows that are numbered"

    def takes(self, keys):
        return np.arange(keys.num_rows)
