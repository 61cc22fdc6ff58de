"""torchvision's classification models, and the weights that it knows of them."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from ducho_torch import ensure_torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from ducho_core import KnownModel, UsageError

ensure_torchvision()

from torchvision import models  # noqa: E402 - it may need the guard above

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Weightless",
    "classifier_name",
    "known_models",
    "megabytes",
    "model_name",
    "models",
    "quiet_arguments",
    "weights_entry",
]

_GOOD = {
    "mobilenet_v3_large": "quick, also on a CPU",
    "resnet50": "the baseline that most papers compare with",
    "vit_b_16": "a vision transformer, slow on a CPU",
}


def model_name(given: str | None) -> str:
    """The name under which torchvision has a model; case does not count.

    Raises:
        UsageError: none is given, or torchvision has no classification model of that name.
    """
    if given is None:
        good = (_known(name) for name in _GOOD)
        listed = "".join(f"  {one.name:<22}{one.facts}\n" for one in good)
        raise UsageError(
            f"torchvision/image needs a model: --model NAME. Good ones to start with:\n{listed}"
            "'ducho plugins models torchvision' lists them all; starter/image (ducho-starter)"
            " brings its weights along and needs no download"
        )
    name = given.lower()
    known = models.list_models(module=models)
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "'ducho plugins models torchvision' lists them"
    )
    raise UsageError(f"torchvision has no classification model {given!r}; {hint}")


def weights_entry(model: str, word: str) -> Any:
    """The entry of a model's weights enum.

    Args:
        model: a name that ``model_name`` gave.
        word: ``DEFAULT``, an entry's name, or both names such as
            ``ResNet50_Weights.IMAGENET1K_V2``.

    Raises:
        UsageError: the model has no such entry.
    """
    enum = models.get_model_weights(model)
    kind, _, name = word.rpartition(".")
    if kind in ("", enum.__name__) and name in enum.__members__:
        return enum[name]
    entries = ", ".join(enum.__members__)
    raise UsageError(f"weights={word}: {model} has {entries} (of {enum.__name__})")


def classifier_name(model: nn.Module) -> str:
    """Name of a classification network's last layer with weights.

    That is its last ``nn.Linear``; in a network without any, its last convolution.
    """
    for kind in (nn.Linear, nn.Conv2d):
        names = [name for name, module in model.named_modules() if isinstance(module, kind)]
        if names:
            return str(names[-1])
    raise UsageError(f"{type(model).__name__} has no classifier; name the layers wanted")


@cache
def known_models() -> tuple[KnownModel, ...]:
    """torchvision's own list, good ones first, with the sizes of each model's default weights."""
    names = dict.fromkeys([*_GOOD, *models.list_models(module=models)])
    return tuple(_known(name) for name in names)


def _known(name: str) -> KnownModel:
    enum = models.get_model_weights(name)
    default: Any = enum["DEFAULT"]
    with Weightless():
        network = models.get_model(name, weights=None, **quiet_arguments(name))
    layer: Any = network.get_submodule(classifier_name(network))
    metrics: Mapping[str, Mapping[str, float]] = default.meta.get("_metrics", {})
    accuracy = next((values.get("acc@1") for values in metrics.values()), None)
    entries = ", ".join(
        f"{entry.name} (DEFAULT)" if entry is default else entry.name for entry in enum
    )
    remarks = (
        _GOOD.get(name),
        f"ImageNet accuracy {accuracy} %" if accuracy else None,
        f"has {entries}",
    )
    return KnownModel(
        name=name,
        dim=int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels),
        megabytes=megabytes(default),
        # The licence that torchvision's own table links to is SWAG's.
        licence="CC-BY-NC-4.0" if "license" in default.meta else None,
        remark="; ".join(remark for remark in remarks if remark),
    )


def megabytes(entry: Any) -> float:
    """Size of a weights entry's file in MB; torchvision's own table counts in MiB."""
    return round(float(entry.meta["_file_size"]) * 1.048576, 1)


class Weightless(TorchFunctionMode):
    """Networks built inside have parameters of the right shapes and no memory for them.

    ``torch.device("meta")`` will not do: some builders compute sizes with tensors.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func in (torch.empty, torch.zeros, torch.ones):
            given["device"] = "meta"
        return func(*args, **given)


def quiet_arguments(model: str) -> dict[str, Any]:
    """Arguments that change nothing of a builder's defaults and spare its warnings."""
    return {"init_weights": True} if model in ("googlenet", "inception_v3") else {}
