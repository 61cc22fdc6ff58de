"""Models of pictures: ``torchvision/image``, ``keras/image``, ``custom/model``, ``hf/vision``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ducho_core.ducho2.custom import custom_options
from ducho_core.ducho2.texts import pooled_outputs
from ducho_core.ducho2.translated import Translated

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Model
    from ducho_core.ducho2.places import Places
    from ducho_core.ducho2.remarks import Remarks

_SIDE = (224, 224)
_WEIGHTS = {"weights", "weights_file", "pretrained"}


def picture_model(model: Model, places: Places, remarks: Remarks) -> Translated | None:
    """Translate one model; None where nothing of it can be done."""
    if model.backend == "transformers":
        return _transformers(model, remarks)
    layers = tuple(str(layer) for layer in model.layers)
    options: dict[str, Any] = {"layers": layers, "pooling": "none-flatten"}
    if model.backend == "tensorflow":
        if model.reshape is None:
            remarks.say(
                f"{model.path}.reshape", "not given, so the model's own size; Ducho 2.0 stops here"
            )
        options = {"model": model.name, **options, "resize": model.reshape}
        return Translated(plugin="keras/image", options=options, outputs=_same(layers))
    if model.reshape is None:
        remarks.say(
            f"{model.path}.reshape",
            "not given, so 224 x 224; Ducho 2.0 takes each picture in its own size then",
        )
    options |= {
        "preprocessing": model.preprocessing or "none",
        "resize": model.reshape or _SIDE,
        "mean": model.mean,
        "std": model.std,
    }
    file = places.model_file(model)
    if file is not None:
        own = custom_options(model, file, remarks)
        return Translated(plugin="custom/model", options={**own, **options}, outputs=_same(layers))
    name = model.name.lower()
    if not _WEIGHTS & set(model.options):
        remarks.say(
            f"{model.path}.model_name",
            f"torchvision's {name} with its DEFAULT weights, those that torchvision recommends"
            f" now: `ducho plugins models torchvision {name}` says which, and so does the run",
        )
    return Translated(
        plugin="torchvision/image", options={"model": name, **options}, outputs=_same(layers)
    )


def _transformers(model: Model, remarks: Remarks) -> Translated | None:
    outputs = pooled_outputs(model, remarks)
    if not outputs:
        return None
    if model.image_processor is not None:
        remarks.say(
            f"{model.path}.image_processor_name",
            f"taken: {model.image_processor}; Ducho 2.0 reads another key for pictures alone",
        )
    return Translated(
        plugin="hf/vision",
        options={
            "model": model.name,
            "pooling": tuple(dict.fromkeys(output for _, output in outputs)),
            "resize": model.reshape,
            "image_processor": model.image_processor,
        },
        outputs=outputs,
    )


def _same(layers: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((layer, layer) for layer in layers)
