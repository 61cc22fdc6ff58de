"""Extractors of texts: ``Right``, and one for each rule that can be broken."""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
import time
import zlib
from dataclasses import replace

import numpy as np

from ducho_core import Extractor, ItemError, Output, Resolved, Sample

_calls = itertools.count()


def counted(text, bins=64):
    """How often each letter stands in a text, letters shared out among some bins."""
    counts = np.zeros(bins, np.float32)
    for letter, count in zip(*np.unique(list(text), return_counts=True), strict=True):
        counts[zlib.crc32(letter.encode()) % bins] += count
    return counts


class Unfinished(Extractor):
    """Defines nothing."""


class Right(Extractor):
    """Letter counts, projected; the number of letters; the first letter."""

    def __init__(self, outputs, dim):
        self.outputs = outputs
        self.dim = dim
        self.weights = np.random.default_rng(0).normal(size=(64, 8192)).astype(np.float32)

    @classmethod
    def resolve(cls, options, context):
        return Resolved(
            label="letters",
            identity={"bins": 64},
            outputs=cls.declared(options),
            options=options,
        )

    @classmethod
    def declared(cls, options):
        return (
            Output(name="letters"),
            Output(name="count", kind="scalar", dtype="int64"),
            Output(name="first", kind="text", dtype="string"),
        )

    @classmethod
    def load(cls, resolved, run_options):
        dim = resolved.options.dim
        first, *rest = resolved.outputs
        return cls((Output(name=first.name, dim=dim), *rest), dim)

    def prepare(self, inputs):
        text = inputs["text"]
        if not text.strip():
            raise ItemError(0, "blank", "the text is blank")
        notes = ("long",) if len(text) > 100 else ()
        return Sample((counted(text), text[0]), notes)

    def size(self, sample):
        return int(sample.data[0].sum())

    def vectors(self, samples):
        counts = np.stack([sample.data[0] for sample in samples])
        # Row by row, so that no batch changes how a sum is rounded.
        return np.stack([row @ self.weights[:, : self.dim] for row in counts])

    def extract(self, samples):
        return {
            "letters": self.vectors(samples),
            "count": np.array([int(sample.data[0].sum()) for sample in samples]),
            "first": [sample.data[1] for sample in samples],
        }

    def close(self):
        del self.weights


class ResolveBuilds(Right):
    @classmethod
    def resolve(cls, options, context):
        found = super().resolve(options, context)
        dim = cls.load(found, context.run_options).outputs[0].dim
        return Resolved(
            label="letters",
            identity={"dim": dim},
            outputs=found.outputs,
            options=options,
        )


class Identity(Right):
    """Says something else in its identity."""

    says = None

    @classmethod
    def resolve(cls, options, context):
        found = super().resolve(options, context)
        return Resolved(
            label=found.label,
            identity={"bins": cls.says()},
            outputs=found.outputs,
            options=options,
        )


class ResolveCounts(Identity):
    says = staticmethod(lambda: next(_calls))


class NotJson(Identity):
    says = staticmethod(lambda: np.float32(64))


class NamesAFile(Identity):
    says = staticmethod(lambda: __file__)


class NamesTheHome(Right):
    def __init__(self, outputs, dim):
        super().__init__(outputs, dim)
        self.circumstances = {"models": os.path.expanduser("~/models")}


class KeyColumn(Right):
    @classmethod
    def declared(cls, options):
        return (Output(name="item_id", dim=options.dim),)


class State(Right):
    state = None

    @classmethod
    def resolve(cls, options, context):
        found = super().resolve(options, context)
        return Resolved(
            label=found.label,
            identity=found.identity,
            outputs=found.outputs,
            options=options,
            state=cls.state(),
        )


class HoldsAFunction(State):
    state = staticmethod(lambda: lambda: None)


class HoldsWeights(State):
    state = staticmethod(lambda: np.zeros((64, 32768), np.float32))


class OneRemark(Right):
    @classmethod
    def resolve(cls, options, context):
        return replace(super().resolve(options, context), remarks="letters are counted")


class OtherName(Right):
    def __init__(self, outputs, dim):
        super().__init__(outputs, dim)
        self.outputs = outputs[:2]


class OtherDim(Right):
    @classmethod
    def declared(cls, options):
        return (Output(name="letters", dim=options.dim + 1), *super().declared(options)[1:])


class ChangesResolved(Right):
    @classmethod
    def load(cls, resolved, run_options):
        resolved.identity["loaded"] = True
        return super().load(resolved, run_options)


class Sorts(Right):
    def extract(self, samples):
        return super().extract(sorted(samples, key=self.size))


class DropsRepeats(Right):
    def extract(self, samples):
        return super().extract(
            list({sample.data[0].tobytes(): sample for sample in samples}.values())
        )


class Centres(Right):
    def vectors(self, samples):
        found = super().vectors(samples)
        return found - found.mean(axis=0) * 1e-3


class Double(Right):
    def vectors(self, samples):
        return super().vectors(samples).astype(np.float64)


class NotFinite(Right):
    def vectors(self, samples):
        found = super().vectors(samples)
        found[0, 0] = np.nan
        return found


class TooLong(Right):
    def vectors(self, samples):
        return np.repeat(super().vectors(samples), 2, axis=1)


class NumberAsText(Right):
    def extract(self, samples):
        return {**super().extract(samples), "first": list(range(len(samples)))}


class Noisy(Right):
    def vectors(self, samples):
        return super().vectors(samples) * np.float32(1 + random.random() * 1e-3)


class ChangesSamples(Right):
    def vectors(self, samples):
        found = super().vectors(samples)
        for sample in samples:
            sample.data[0].__imul__(np.float32(2))
        return found


class OneOutputACall(Right):
    def extract(self, samples):
        return {"letters": self.vectors(samples)}


class Undeclared(Right):
    def extract(self, samples):
        return {**super().extract(samples), "secret": [1] * len(samples)}


class LowersInMany(Right):
    def prepare_many(self, inputs):
        return [self.prepare({"text": one["text"].upper()}) for one in inputs]


class Joint(Right):
    def prepare(self, inputs):
        text = inputs["text"]
        whole = text if isinstance(text, str) else self.joined(text)
        return super().prepare({"text": whole})

    def joined(self, texts):
        return " ".join(texts)


class JointChangesOne(Joint):
    def joined(self, texts):
        return " ".join([*texts, "end"])


class JointTakesNone(Joint):
    joined = None


class RaisesAnything(Right):
    def prepare(self, inputs):
        if not inputs["text"].strip():
            raise ValueError("blank")
        return super().prepare(inputs)


class FailsTheBatch(Right):
    def prepare(self, inputs):
        return Sample((counted(inputs["text"]), inputs["text"][0]))

    def extract(self, samples):
        if any(sample.data[1] == " " for sample in samples):
            raise RuntimeError("something in this batch")
        return super().extract(samples)


class BlamesTheFirst(FailsTheBatch):
    def extract(self, samples):
        if any(sample.data[1] == " " for sample in samples):
            raise ItemError(0, "blank", "the text is blank")
        return Right.extract(self, samples)


class TakesTheInput(Right):
    def prepare(self, inputs):
        text = inputs.pop("text")
        return super().prepare({"text": text})


class Unpicklable(Right):
    def prepare(self, inputs):
        sample = super().prepare(inputs)
        counts, first = sample.data
        return Sample(_Lazy(lambda: counts, first), sample.notes)


class _Lazy:
    def __init__(self, make, first):
        self.make, self.first = make, first

    def __getitem__(self, at):
        return self.make() if at == 0 else self.first


class NoSize(Right):
    def size(self, sample):
        return 0


class FractionalSize(Right):
    def size(self, sample):
        return float(sample.data[0].sum())


class Sentences(Right):
    def prepare(self, inputs):
        sample = super().prepare(inputs)
        return Sample(sample.data, (f"The text has {len(inputs['text'])} letters.",))


class SharedBuffer(Right):
    def prepare(self, inputs):
        self.text = inputs["text"]
        time.sleep(0.002)
        return super().prepare({"text": self.text})


class AsksAHost(Right):
    @classmethod
    def load(cls, resolved, run_options):
        socket.getaddrinfo("models.invalid", 443)
        return super().load(resolved, run_options)


class SharedWeights(Right):
    """The weights belong to the class, and whoever closes takes them away."""

    loaded = None

    @classmethod
    def load(cls, resolved, run_options):
        loaded = super().load(resolved, run_options)
        cls.loaded = loaded.__dict__.pop("weights")
        return loaded

    @property
    def weights(self):
        return type(self).loaded

    @weights.setter
    def weights(self, value):
        self.__dict__["weights"] = value

    def close(self):
        type(self).loaded = None


class HashesTexts(Right):
    def prepare(self, inputs):
        sample = super().prepare(inputs)
        counts = sample.data[0] + np.float32(hash(inputs["text"]) % 1000)
        return Sample((counts, sample.data[1]), sample.notes)


class KeepsEverything(Right):
    def close(self):
        pass


class BoundToItsThread(Right):
    """As a connection to SQLite, say."""

    def __init__(self, outputs, dim):
        super().__init__(outputs, dim)
        self.thread = threading.get_ident()

    def prepare(self, inputs):
        if threading.get_ident() != self.thread:
            raise RuntimeError("made in another thread")
        return super().prepare(inputs)
