from __future__ import annotations

import time

import numpy as np

from ducho_core import DeviceMemoryError, Extractor, ItemError, Output, Resolved, Sample


class TextProbe(Extractor):
    """The output is (length, letters a, letters b, ...); a text tells what goes wrong."""

    def __init__(self, resolved, run_options):
        self.dim = resolved.options.dim
        self.tint = getattr(resolved.options, "tint", 0)
        self.run = run_options
        self.outputs = resolved.outputs
        self.tries = 0

    @classmethod
    def resolve(cls, options, context):
        return Resolved(
            label="probe",
            identity={},
            outputs=(Output(name="counts", dim=options.dim),),
            options=options,
        )

    @classmethod
    def load(cls, resolved, run_options):
        probe = cls(resolved, run_options)
        probe.log("load")
        return probe

    def log(self, line):
        if self.run.log:
            with open(self.run.log, "a", encoding="utf-8") as file:
                file.write(line + "\n")

    def prepare(self, inputs):
        text = inputs["text"]
        self.log(f"prepare {text}")
        if "unpreparable" in text:
            raise ItemError(0, "unpreparable", f"cannot take {text!r}")
        if "surprise" in text:
            raise ValueError("a surprise")
        return Sample(text, notes=("long",) if len(text) > 40 else ())

    def size(self, sample):
        return len(sample.data)

    def counts(self, samples):
        letters = "abcdefghijklmnop"[: self.dim - 1]
        rows = [[len(text), *(text.count(one) for one in letters)] for text in samples]
        return np.array(rows, np.float32)

    def extract(self, samples):
        texts = [sample.data for sample in samples]
        self.log(f"extract {len(texts)}")
        time.sleep(self.run.pause)
        fault = self.run.fault
        if fault == "always":
            raise RuntimeError("the model is broken")
        if fault == "memory" and len(texts) > 3:
            raise DeviceMemoryError("no room")
        if fault == "network":
            raise ConnectionError("no route")
        if fault == "network once" and not self.tries:
            self.tries += 1
            raise ConnectionError("no route")
        for at, text in enumerate(texts):
            if "culprit" in text:
                raise ItemError(at, "culprit", "this one")
            if "poison" in text:
                raise RuntimeError("somewhere in the batch")
        values = self.counts(texts)
        for at, text in enumerate(texts):
            if "infinite" in text:
                values[at, 0] = np.inf
            if "huge" in text:
                values[at, 0] = 1e6
            if "nothing" in text:
                values[at] = 0
        if fault == "few rows":
            values = values[:-1]
        if fault == "wrong dim":
            values = values[:, :-1]
        if fault == "wrong dtype":
            values = values.astype(np.int64)
        if fault == "wrong name":
            return {"count": values}
        return {"counts": values}


class ImageProbe(TextProbe):
    @classmethod
    def resolve(cls, options, context):
        return Resolved(
            label="probe",
            identity={},
            outputs=(Output(name="colour", dim=3),),
            options=options,
        )

    def prepare(self, inputs):
        self.log(f"prepare {inputs['image'].name}")
        pixels = np.asarray(inputs["image"].image())
        return Sample(pixels, notes=tuple(inputs["image"].notes))

    def size(self, sample):
        return 1

    def extract(self, samples):
        self.log(f"extract {len(samples)}")
        rows = [sample.data.reshape(-1, 3).mean(axis=0) for sample in samples]
        return {"colour": np.array(rows, np.float32)}


class DualProbe(TextProbe):
    @classmethod
    def resolve(cls, options, context):
        bound = {field.name for field in context.inputs}
        return Resolved(
            label="probe",
            identity={},
            input_identity={name: {"from": f"the {name}"} for name in bound},
            outputs=(
                Output(name="colour", dim=3, requires=("image",)),
                Output(name="counts", dim=options.dim, requires=("text",)),
            ),
            options=options,
        )

    def prepare(self, inputs):
        self.log(f"prepare {','.join(sorted(inputs))}")
        image = inputs.get("image")
        return Sample((None if image is None else np.asarray(image.image()), inputs.get("text")))

    def size(self, sample):
        return 1

    def extract(self, samples):
        images = [sample.data[0] for sample in samples]
        texts = [sample.data[1] for sample in samples]
        if images[0] is not None:
            rows = [image.reshape(-1, 3).mean(axis=0) + self.tint for image in images]
            return {"colour": np.array(rows, np.float32)}
        return {"counts": self.counts(texts)}
