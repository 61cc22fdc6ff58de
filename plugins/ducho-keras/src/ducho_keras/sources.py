"""Where a network's weights come from, settled without building the network."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ducho_core import UsageError
from ducho_keras.applications import application_name, applications
from ducho_keras.fetching import cache_folder, fetch, is_official

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ducho_keras.options import KerasOptions

SUFFIXES = (".weights.h5", ".h5", ".hdf5", ".keras")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """A model of keras.applications and where its weights are. Picklable.

    Attributes:
        model: its name there.
        label: short name for the feature set's slug.
        file: the weights file, hashed and then loaded; None means random weights.
        built_for_own_weights: whether Keras builds another network for its own weights, which
            it then reads from its cache (the first EfficientNets rescale their input).
        identity: what beside the file's digest says which weights these are. Enters the SPEC.
        seed: seed of random weights.
    """

    model: str
    label: str
    file: str | None = None
    built_for_own_weights: bool = False
    identity: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


def keras_source(options: KerasOptions, weights_file: str | None) -> WeightsSource:
    """Settle where the weights come from, fetching them where need be.

    Raises:
        UsageError: no model given, an unknown one, no such file or not one of weights.
        TransientError: the weights cannot be fetched.
        SourceError: a file in Keras' cache is damaged.
    """
    model = application_name(options.model)
    if not options.pretrained:
        if weights_file is not None:
            raise UsageError("weights_file and pretrained=false contradict each other: drop one")
        return WeightsSource(
            model=model,
            label=f"{model}-random",
            identity={"random": True, "seed": options.seed},
            seed=options.seed,
        )
    application = applications()[model]
    rescales = application.family == "efficientnet"
    if weights_file is None:
        path = fetch(model, application)
        return WeightsSource(
            model=model,
            label=model,
            file=path,
            built_for_own_weights=rescales,
            identity={"entry": "imagenet", "file": os.path.basename(path)},
        )
    path = os.path.abspath(os.path.expanduser(weights_file))
    if not os.path.isfile(path):
        raise UsageError(f"weights_file={weights_file}: there is no such file")
    if not path.endswith(SUFFIXES):
        raise UsageError(
            f"weights_file={os.path.basename(path)}: Keras keeps weights in files that end in"
            f" {', '.join(SUFFIXES)}; save it with model.save_weights('NAME.weights.h5')"
        )
    if rescales and is_official(path, application):
        raise UsageError(
            f"weights_file={os.path.basename(path)} holds Keras' own weights of {model}, for which"
            f" Keras builds another network than for others: put it into {cache_folder()}/models"
            " and drop weights_file"
        )
    return WeightsSource(
        model=model, label=model, file=path, identity={"file": os.path.basename(path)}
    )
