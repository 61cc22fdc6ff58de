"""What a model's processor brings: its image processor, and what it takes for more than text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ducho_hf import load_processor, preprocessing

from ducho_core import UsageError

if TYPE_CHECKING:
    from ducho_hf import ModelSource

    from ducho_lvlm.chat import ChatSettings


def load_images(source: ModelSource, settings: ChatSettings) -> tuple[Any, dict[str, Any], bool]:
    """The model's image processor under the settings.

    Returns:
        The processor, what of it enters the SPEC, and whether it keeps ``max_pixels`` itself.

    Raises:
        UsageError: the model has none, or one that cuts no images.
    """
    processor, backend = load_processor(source)
    stated = processor.to_dict()
    changed: dict[str, Any] = {}
    own_budget = False
    size = stated.get("size") or {}
    if settings.max_pixels is not None and "merge_size" in stated and "longest_edge" in size:
        own_budget = True
        budget = {
            name: min(int(size[name]), settings.max_pixels)
            for name in ("shortest_edge", "longest_edge")
            if size.get(name)
        }
        if settings.min_pixels:
            budget["shortest_edge"] = min(settings.min_pixels, settings.max_pixels)
        changed["size"] = budget
        for name in ("min_pixels", "max_pixels"):
            if stated.get(name):
                changed[name] = min(int(stated[name]), settings.max_pixels)
    if settings.split_images is not None:
        if "do_image_splitting" not in stated:
            raise UsageError(
                f"split_images: the image processor of {source.name!r} cuts no images"
            )
        changed["do_image_splitting"] = settings.split_images
    if changed:
        processor = type(processor).from_dict({**stated, **changed})
    recorded = {
        **preprocessing(processor, backend),
        **{
            name: value
            for name, value in processor.to_dict().items()
            if name in ("do_image_splitting", "max_image_size", "merge_size") and value is not None
        },
    }
    return processor, recorded, own_budget


def markers(processor: Any, tokenizer: Any) -> re.Pattern[str]:
    """What in a text the tokenizer or the processor would take for more than text."""
    found = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if token.special or re.search(r"[<\[|]", token.content)
    }
    for name in ("image_token", "video_token", "audio_token", "boi_token", "fake_image_token"):
        token = getattr(processor, name, None)
        if token is not None:
            found.add(getattr(token, "content", token))
    written = sorted((one for one in found if len(one.strip()) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, written)) or r"(?!)")
