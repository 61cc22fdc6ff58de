"""Where a network's weights come from, settled without building the network."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ducho_core import UsageError
from ducho_torchvision.fetching import fetch
from ducho_torchvision.registry import model_name, weights_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ducho_torchvision.options import TorchvisionOptions

_REMAPPING = ("googlenet", "inception_v3")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """A torchvision architecture and where its weights are. Picklable.

    Attributes:
        architecture: name for ``torchvision.models.get_model``.
        label: short name for the feature set's slug.
        entry: name of the entry of the model's weights enum whose preprocessing is meant.
        files: weight files, hashed and then loaded; empty means random weights.
        identity: what beside the files' digest says which weights these are. Enters the SPEC.
        seed: seed of random weights.
        model_args: arguments for ``get_model`` that belong to the weights. Enter the SPEC.
    """

    architecture: str
    label: str
    entry: str = "DEFAULT"
    files: tuple[str, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    model_args: Mapping[str, Any] = field(default_factory=dict)


def torchvision_source(options: TorchvisionOptions, weights_file: str | None) -> WeightsSource:
    """Settle where the weights come from, fetching them where need be.

    Args:
        options: the model, the entry of its weights enum, whether it is pretrained.
        weights_file: path of a local file, or None.

    Raises:
        UsageError: no model given, an unknown one, no such weights or file.
        TransientError: the weights cannot be fetched.
        SourceError: a file in torch's cache is damaged.
    """
    model = model_name(options.model)
    entry = weights_entry(model, options.weights)
    if not options.pretrained:
        if weights_file is not None:
            raise UsageError("weights_file and pretrained=false contradict each other: drop one")
        return WeightsSource(
            architecture=model,
            label=f"{model}-random",
            entry=entry.name,
            identity={"random": True, "seed": options.seed},
            seed=options.seed,
        )
    if weights_file is None:
        path = fetch(entry)
        identity = {"entry": repr(entry), "file": os.path.basename(path)}
    else:
        path = os.path.abspath(os.path.expanduser(weights_file))
        identity = {"file": os.path.basename(path)}
        if not os.path.isfile(path):
            raise UsageError(f"weights_file={weights_file}: there is no such file")
    return WeightsSource(
        architecture=model,
        label=model,
        entry=entry.name,
        files=(path,),
        identity=identity,
        # torchvision's pretrained Inceptions expect values in -1..1 and map them themselves.
        model_args={"transform_input": True} if model in _REMAPPING else {},
    )
