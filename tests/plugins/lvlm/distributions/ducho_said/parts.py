"""The extractors of the tests' plugin."""

from __future__ import annotations

import os
import re
import zlib

import msgspec
import numpy as np

from ducho_core import DeviceMemoryError, Extractor, ItemError, Output, Resolved, Sample

SLOTS = {"Color": "slot_color", "Material": "slot_material"}


class Said(Extractor):
    """The values of labelled slots, None where one is not said, and the whole text."""

    outputs = tuple(
        Output(name=one, kind="text", dtype="string")
        for one in (*SLOTS.values(), "pets.slot_kind", "answer")
    )

    @classmethod
    def resolve(cls, options, context):
        return Resolved(label="said", identity={}, outputs=cls.outputs, options=options)

    @classmethod
    def load(cls, resolved, run_options):
        return cls()

    def prepare(self, inputs):
        (text,) = inputs.values()
        return Sample(text)

    def extract(self, samples):
        said = [dict(re.findall(r"\[(\w+)\] \{(.*?)\}", sample.data)) for sample in samples]
        return {
            **{output: [one.get(label) for one in said] for label, output in SLOTS.items()},
            "pets.slot_kind": [one.get("Kind") for one in said],
            "answer": [sample.data for sample in samples],
        }


class Letters(Extractor):
    """Counts of three letters in a row, so that texts of one spelling are near each other."""

    loads = 0
    largest = 0

    def __init__(self, dim):
        self.outputs = (Output(name="embedding", dim=dim),)

    @classmethod
    def resolve(cls, options, context):
        assert context.precision == "exact"
        identity = {"letters": 3}
        if options.model is not None:
            identity["folder"] = os.path.basename(options.model)
            options = msgspec.structs.replace(options, model=os.path.basename(options.model))
        return Resolved(
            label="letters",
            identity=identity,
            input_identity={"text": {"padding": "space"}},
            outputs=(Output(name="embedding"),),
            options=options,
        )

    @classmethod
    def load(cls, resolved, run_options):
        Letters.loads += 1
        return cls(resolved.options.dim)

    def prepare(self, inputs):
        (text,) = inputs.values()
        if "unusable" in text:
            raise ItemError(0, "no_tokens", "this text cannot be used")
        return Sample(f" {text} ")

    def size(self, sample):
        return len(sample.data)

    def extract(self, samples):
        Letters.largest = max(Letters.largest, len(samples))
        for at, sample in enumerate(samples):
            if "too late" in sample.data:
                raise ItemError(at, "no_tokens", "this text cannot be used")
        if len(samples) > 1 and any("enormous" in sample.data for sample in samples):
            raise DeviceMemoryError("one at a time")
        return {"embedding": _counts(samples, self.outputs[0].dim)}


class Twice(Letters):
    """Two embeddings, so that one must be named."""

    @classmethod
    def resolve(cls, options, context):
        outputs = (Output(name="one"), Output(name="two"))
        return Resolved(label="twice", identity={}, outputs=outputs, options=options)

    def __init__(self, dim):
        self.outputs = (Output(name="one", dim=dim), Output(name="two", dim=dim))

    def extract(self, samples):
        counts = _counts(samples, self.outputs[0].dim)
        return {"one": np.zeros_like(counts), "two": counts}


def _counts(samples, dim):
    vectors = np.zeros((len(samples), dim), np.float32)
    for row, sample in enumerate(samples):
        for at in range(len(sample.data) - 2):
            vectors[row, zlib.crc32(sample.data[at : at + 3].encode()) % dim] += 1
    return vectors
