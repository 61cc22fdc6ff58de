"""Models of pictures and texts together: ``clip/dual``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ducho_core.ducho2.places import image_template
from ducho_core.ducho2.translated import Translated

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Model, Section
    from ducho_core.ducho2.places import Places
    from ducho_core.ducho2.remarks import Remarks

_PICTURE = {
    "image_embeds": ("projected", "image_embeds"),
    "vision_model_output.pooler_output": ("pooler", "image_pooler"),
    "vision_model_output.last_hidden_state": ("mean", "image_mean"),
}
_TEXT = {
    "text_embeds": ("projected", "text_embeds"),
    "text_model_output.pooler_output": ("pooler", "text_pooler"),
    "text_model_output.last_hidden_state": ("mean", "text_mean"),
}
"""Layer as Ducho 2.0 names it to the pooling that gives it and the output's name."""

_TWINS = {**dict(zip(_PICTURE, _TEXT, strict=True)), **dict(zip(_TEXT, _PICTURE, strict=True))}


def pair_models(
    section: Section, table: str, places: Places, remarks: Remarks
) -> tuple[dict[str, Any], list[tuple[Model, Translated]]]:
    """Translate the models of a section.

    Returns:
        The fields of each request that say where pictures and texts are, and the models that
        something can be done of.
    """
    images = places.below(section.inputs["visual"])
    base = os.path.dirname(table)
    root = _common(base, images)
    template, several = image_template(
        images, section.keys[-1], root, f"{section.path}.input_path.visual", remarks
    )
    source: dict[str, Any] = {"source": table, "text": (section.text,), "image": template}
    if os.path.normpath(root) != os.path.normpath(base or "."):
        source["root"] = root
    if several:
        source["slots"] = "first"
    found = []
    for model in section.models:
        translated = _translate(model, remarks)
        if translated is not None:
            found.append((model, translated))
    return source, found


def _translate(model: Model, remarks: Remarks) -> Translated | None:
    where = f"{model.path}.output_layers"
    numbers = all(isinstance(layer, int) for layer in model.layers)
    if numbers:
        picture, text = "image_embeds", "text_embeds"
    else:
        names = [str(layer) for layer in model.layers]
        picture, text = names[0], names[-1]
        if len(names) == 1:
            picture = picture if picture in _PICTURE else _TWINS.get(picture, picture)
            text = _TWINS.get(picture, text)
            if picture in _PICTURE:
                remarks.say(where, f"{picture} of the picture and {text} of the text")
    unknown = [
        f"{name!r} (there are {', '.join(known)})"
        for name, known in ((picture, _PICTURE), (text, _TEXT))
        if name not in known
    ]
    if unknown:
        remarks.leave_out(where, f"cannot be had of {model.name}: {' and '.join(unknown)}")
        return None
    for name in (picture, text):
        if name.endswith("last_hidden_state"):
            remarks.say(
                where,
                f"{name} is one vector for each patch or token, of which a recommender needs one"
                " for each item: their mean is taken, where Ducho 2.0 kept them all",
            )
    return Translated(
        plugin="clip/dual",
        options={
            "model": model.name,
            # What a model of both gives as embeds has length 1.
            "normalize": True if picture == "image_embeds" or text == "text_embeds" else None,
            "image_pooling": (_PICTURE[picture][0],),
            "text_pooling": (_TEXT[text][0],),
            "tokenizer": _other(model.tokenizer, model.name),
            "image_processor": _other(model.image_processor, model.name),
        },
        # Ducho 2.0 writes both vectors under the name of each layer.
        pairs=tuple((str(layer), _PICTURE[picture][1], _TEXT[text][1]) for layer in model.layers),
    )


def _other(name: str | None, model: str) -> str | None:
    return None if name == model else name


def _common(base: str, images: str) -> str:
    """The folder that holds both, from the current folder where both are given so."""
    if not os.path.relpath(images, base or ".").startswith(os.pardir):
        return base or "."
    if os.path.isabs(images) or os.path.isabs(base):
        return os.path.commonpath([os.path.abspath(base), os.path.abspath(images)])
    return os.path.relpath(os.path.commonpath([os.path.abspath(base), os.path.abspath(images)]))
