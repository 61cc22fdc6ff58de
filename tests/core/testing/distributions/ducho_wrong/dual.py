"""A right extractor of two towers: an image's mean colour, a text's letters."""

from __future__ import annotations

import numpy as np

from ducho_core import Extractor, Output, Resolved, Sample
from ducho_wrong.extractors import counted


class Towers(Extractor):
    def __init__(self, outputs):
        self.outputs = outputs

    @classmethod
    def resolve(cls, options, context):
        return Resolved(
            label="towers",
            identity={},
            outputs=(
                Output(name="colour", dim=3, requires=("image",)),
                Output(name="letters", dim=options.dim, requires=("text",)),
            ),
            options=options,
        )

    @classmethod
    def load(cls, resolved, run_options):
        return cls(resolved.outputs)

    def prepare(self, inputs):
        data = {}
        if "image" in inputs:
            pixels = np.asarray(inputs["image"].image(), np.float64)
            data["colour"] = pixels.mean(axis=(0, 1)).astype(np.float32)
        if "text" in inputs:
            data["letters"] = counted(inputs["text"], self.outputs[1].dim)
        return Sample(data)

    def extract(self, samples):
        return {name: np.stack([one.data[name] for one in samples]) for name in samples[0].data}


class OneTower(Towers):
    """Gives the text's tower nothing."""

    def extract(self, samples):
        found = super().extract(samples)
        found.pop("letters", None)
        return found


class ListsItsInputs(Towers):
    """Each tower's identity depends on whether the other is there."""

    @classmethod
    def resolve(cls, options, context):
        found = super().resolve(options, context)
        names = [one.name for one in context.inputs]
        return Resolved(
            label=found.label,
            identity={"inputs": names},
            outputs=found.outputs,
            options=options,
        )
