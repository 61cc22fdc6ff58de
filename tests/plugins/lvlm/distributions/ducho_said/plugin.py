"""What the tests' plugin registers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ducho_core import ExtractorSpec, hookimpl, option


class LettersOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``said/letters``."""

    dim: Annotated[int, option(help="length of the vectors", ge=1)] = 509
    model: Annotated[str | None, option(help="a folder; its name is recorded")] = None


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    """Slots out of a text, and vectors of letters."""
    return [
        ExtractorSpec(
            name="slots",
            summary="[Label] {value} in texts",
            implementation="ducho_said.parts:Said",
            inputs=("text",),
            chunk_size=3,
            default=True,
        ),
        ExtractorSpec(
            name="letters",
            summary="three letters at a time",
            implementation="ducho_said.parts:Letters",
            options="ducho_said.plugin:LettersOptions",
            inputs=("text",),
            batch_size=3,
            batch_budget=40,
        ),
        ExtractorSpec(
            name="pictures",
            summary="takes no texts",
            implementation="ducho_said.parts:Letters",
            inputs=("image",),
        ),
        ExtractorSpec(
            name="twice",
            summary="two embeddings",
            implementation="ducho_said.parts:Twice",
            options="ducho_said.plugin:LettersOptions",
            inputs=("text",),
        ),
    ]
