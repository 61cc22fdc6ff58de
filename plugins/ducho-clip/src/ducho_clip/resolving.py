"""What of the options and of a model's files concerns one input, settled before loading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ducho_hf import (
    ModelSource,
    draft_size,
    load_processor,
    locate_tokenizer,
    preprocessing,
    text_limit,
    tower_config,
)

from ducho_core import UsageError

if TYPE_CHECKING:
    from ducho_clip.options import DualOptions
    from ducho_core import ResolveContext

# These were trained, without a mask, on texts that were all padded to one length.
_PADDED = {"siglip", "siglip2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """How images are prepared.

    Attributes:
        source: where the image processor lies.
        scaled: whether JPEGs may be decoded at a reduced scale.
    """

    source: ModelSource
    scaled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """How texts are prepared.

    Attributes:
        source: where the tokenizer lies.
        limit: longest text in tokens, or None.
        padded: whether all texts are padded to it.
    """

    source: ModelSource
    limit: int | None
    padded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What concerns one input.

    Attributes:
        state: what ``load`` needs.
        identity: what enters the SPEC.
        options: options as they enter the SPEC, where that is not as they were given.
    """

    state: Images | Texts
    identity: dict[str, Any]
    options: dict[str, Any]


def settle_images(options: DualOptions, context: ResolveContext, model: ModelSource) -> Settled:
    """Find the image processor and read its settings.

    Raises:
        UsageError: there is none.
    """
    source, identity, changes = _part(options, "image_processor", model)
    processor, backend = load_processor(source)
    scaled = (
        context.precision == "fast" and not options.resize and draft_size(processor) is not None
    )
    identity |= {"preprocessing": preprocessing(processor, backend), "scaled_decode": scaled}
    return Settled(state=Images(source=source, scaled=scaled), identity=identity, options=changes)


def settle_texts(options: DualOptions, config: Any, model: ModelSource) -> Settled:
    """Find the tokenizer, hash its files, settle lengths.

    Raises:
        UsageError: there is none, or a length does not fit the model.
    """
    source, identity, changes = _part(options, "tokenizer", model)
    limit = text_limit(options.max_length, "max_length", tower_config(config, "text"), source)
    padded = config.model_type in _PADDED
    if padded and limit is None:
        raise UsageError(
            f"the model {model.name!r} wants all texts padded to one length and does not say"
            " which; give it, as in -o max_length=64"
        )
    identity |= {
        "tokenizer_sha256": source.tokenizer_digest(),
        "max_length": limit,
        "padding": "max_length" if padded else "longest",
    }
    state = Texts(source=source, limit=limit, padded=padded)
    return Settled(state=state, identity=identity, options=changes)


def _part(
    options: DualOptions, option: str, model: ModelSource
) -> tuple[ModelSource, dict[str, Any], dict[str, Any]]:
    """Where a part of the model lies, and what of that enters identity and options."""
    name = getattr(options, option)
    revision = getattr(options, f"{option}_revision")
    if name is None:
        if revision is not None:
            raise UsageError(f"{option}_revision has a meaning only together with {option}")
        return model, {}, {}
    found = locate_tokenizer(name, revision)
    changes = {option: found.name, f"{option}_revision": found.commit}
    return found, {option: found.identity()}, changes
