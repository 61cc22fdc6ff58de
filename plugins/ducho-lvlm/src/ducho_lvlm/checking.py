"""What ``ducho lvlm prompt check`` shows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ducho_core import Media, UsageError
from ducho_lvlm.options import PromptedOptions
from ducho_lvlm.prompts import read_prompt, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image

_GREY = (448, 448)


def checked(
    named: str,
    *,
    model: str | None = None,
    revision: str | None = None,
    image: str | None = None,
    texts: Sequence[str] = (),
    sees: bool = True,
) -> Iterator[str]:
    """Lines about a prompt: what it asks, how it is rendered, how many tokens that is.

    Args:
        named: a preset or a TOML file.
        model: hub id or folder; None to show the instruction alone.
        revision: of the model.
        image: the item's image file; a grey image where None.
        texts: ``NAME=TEXT`` pairs.
        sees: whether there is an image.

    Raises:
        UsageError: the prompt is none, or does not suit the model or the texts.
        ItemError: the image or a text cannot be used.
    """
    prompt = read_prompt(named)
    given = _pairs(texts)
    parts = prompt.text(list(given))
    yield f"prompt:      {prompt.name}"
    yield f"order:       {prompt.order}"
    for slot in prompt.slots:
        values = ", ".join(slot.values) or "any value"
        yield f"slot:        {slot.label} -> {slot.column} ({values})"
    if model is None:
        yield f"instruction:\n{shown(parts)}"
        yield "(give --model to see it as a model gets it, and its tokens)"
        return
    from ducho_hf import locate, read_config

    from ducho_lvlm.chat import Chat, ChatSettings, Question
    from ducho_lvlm.network import check_architecture

    options = PromptedOptions(model=model, revision=revision)
    source = locate(options, suggestions=())
    config = read_config(source)
    _, takes_images = check_architecture(source, config, images=image is not None)
    with_image = sees and takes_images
    chat = Chat(source, ChatSettings(images=takes_images, max_pixels=options.max_pixels))
    question = Question(
        parts=parts,
        system=prompt.system,
        image_first=prompt.order == "image_first",
        with_image=with_image,
    )
    cut = {name: chat.cut(text) for name, text in given.items()}
    rendered = chat.render(question, {name: text for name, (text, _) in cut.items()})
    pictures = [chat.fit(_picture(image))] if with_image else []
    tokens, _ = chat.encode(rendered, pictures)
    ids = tokens["input_ids"].tolist()
    token = getattr(config, "image_token_id", getattr(config, "image_token_index", None))
    yield f"model:       {source.name}"
    yield f"rendered chat:\n{rendered}"
    yield f"tokens:      {len(ids)}, of them {ids.count(token)} of the image"
    for name, (text, shortened) in cut.items():
        count = len(chat.tokenizer(text, add_special_tokens=False)["input_ids"])
        yield f"text {name}: {count} tokens{', cut' if shortened else ''}"
    identity = chat.identity(question)
    yield f"sha256 of the rendered template: {identity['rendered_sha256']}"


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in texts:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--text is written NAME=TEXT, not {pair!r}")
        found[name] = text
    return found


def _picture(path: str | None) -> Image.Image:
    from PIL import Image as Pillow

    if path is None:
        return Pillow.new("RGB", _GREY, (127, 127, 127))
    try:
        with open(path, "rb") as file:
            return Media(file.read(), os.path.basename(path)).image()
    except OSError as error:
        raise UsageError(f"--image {path}: {error.strerror}") from error
