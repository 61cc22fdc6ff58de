"""What can be wrong with a declaration, the same for every kind."""

from __future__ import annotations

from dataclasses import replace

from ducho_core import ExtractorSpec

STRUCTS = {
    "light-modules": "ducho_wrong.heavy:Options",
    "options-explained": "ducho_wrong.options:Unexplained",
    "options-explained-bounds": "ducho_wrong.options:OutOfBounds",
    "unknown-option-refused": "ducho_wrong.options:Lenient",
    "options-round-trip": "ducho_wrong.options:Growing",
}


def others(kind, implementation, **more):
    """One spec a wrong Struct, and one whose class is abstract."""
    right = kind(
        name="fits-its-spec",
        summary="wrong: no method is defined",
        implementation=f"{implementation.partition(':')[0]}:Unfinished",
        **more,
    )
    wrong = [
        kind(name=name, summary=name, implementation=implementation, options=struct, **more)
        for name, struct in STRUCTS.items()
    ]
    return [right, *wrong]


def extractors():
    specs = others(ExtractorSpec, "ducho_wrong.extractors:Right", inputs=("text",))
    for what in ("texts", "twice", "size"):
        specs.append(
            replace(
                specs[0],
                name=f"known-models-{what}",
                implementation="ducho_wrong.extractors:Right",
                options="ducho_wrong.options:Options",
                models=f"ducho_wrong.models:{what}",
            )
        )
    return specs
