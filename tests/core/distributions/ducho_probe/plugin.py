from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors():
    shared = {"run_options": "ducho_probe.options:ProbeRunOptions", "batch_size": 8}
    return [
        ExtractorSpec(
            name="text",
            summary="character counts; misbehaves on request",
            inputs=("text",),
            implementation="ducho_probe.extractor:TextProbe",
            options="ducho_probe.options:ProbeOptions",
            default=True,
            **shared,
        ),
        ExtractorSpec(
            name="image",
            summary="mean colour",
            inputs=("image",),
            implementation="ducho_probe.extractor:ImageProbe",
            options="ducho_probe.options:ProbeOptions",
            **shared,
        ),
        ExtractorSpec(
            name="dual",
            summary="two towers: an image's mean colour, a text's character counts",
            inputs=("image", "text"),
            implementation="ducho_probe.extractor:DualProbe",
            options="ducho_probe.options:DualOptions",
            **shared,
        ),
    ]
