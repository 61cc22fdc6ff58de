"""Where a network's weights come from, settled without building the network."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ducho_torch import ensure_torchvision

from ducho_core import UsageError
from ducho_timm import hub
from ducho_timm.models import GOOD_MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ducho_timm.options import TimmOptions

_WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin", "model.pth", "pytorch_model.pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """A timm architecture and where its weights are. Picklable.

    Attributes:
        architecture: name for ``timm.create_model``, with or without a pretrained tag.
        label: short name for the feature set's slug.
        files: weight files, hashed and then loaded; empty means random weights.
        identity: what beside the files' digest says which weights these are, such as the
            repository and commit. Enters the SPEC.
        seed: seed of random weights.
        config: timm's ``pretrained_cfg``, where it is not the architecture's own: a mapping
            with ``input_size``, ``mean``, ``std``, ``crop_pct`` and the rest.
        model_args: arguments for ``timm.create_model`` that belong to the weights.
    """

    architecture: str
    label: str
    files: tuple[str, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    config: Mapping[str, Any] | None = None
    model_args: Mapping[str, Any] = field(default_factory=dict)


def timm_source(options: TimmOptions, weights: str | None) -> WeightsSource:
    """Settle where the weights come from, fetching them where need be.

    Args:
        options: the model, its revision, whether it is pretrained.
        weights: path of a local file or folder, or None.

    Raises:
        UsageError: no model given, an unknown one, or one whose weights are not to be had.
    """
    if weights is not None:
        return _local_source(options, weights)
    if options.model is None:
        listed = "".join(f"  {one.name:<34}{one.facts}\n" for one in GOOD_MODELS)
        raise UsageError(
            f"timm/image needs a model: --model NAME. Good ones to start with:\n{listed}"
            "starter/image (ducho-starter) brings its weights along and needs no download"
        )
    if options.model.startswith(("hf-hub:", "hf_hub:")):
        return _hub_source(options, options.model.partition(":")[2])
    _check_name(options.model)
    return _registry_source(options, options.model)


def base_name(architecture: str) -> str:
    """An architecture without its pretrained tag."""
    return architecture.partition(".")[0]


def _registry_source(options: TimmOptions, model: str) -> WeightsSource:
    ensure_torchvision()
    import timm

    label = base_name(model)
    if not options.pretrained:
        return _random_source(options, model, label)
    config = timm.get_pretrained_cfg(model)
    repository = config.hf_hub_id if config is not None else None
    if not repository:
        near = [
            name
            for name in timm.list_pretrained(f"{label}.*")
            if timm.get_pretrained_cfg(name).hf_hub_id
        ]
        more = f"; there it has {', '.join(near)}" if near else ""
        raise UsageError(
            f"timm has no weights for {model} on the hub{more}. Give a local file with"
            " -o weights=PATH, or random weights with -o pretrained=false"
        )
    names = (config.hf_hub_filename,) if config.hf_hub_filename else _WEIGHT_NAMES
    files, commit = hub.fetch(repository, options.revision, (names,))
    (name, path), *_ = files.items()
    identity = {"repository": repository, "commit": commit, "file": name}
    return WeightsSource(
        architecture=f"{label}.{config.tag}" if config.tag else label,
        label=label,
        files=(path,),
        identity=identity,
    )


def _hub_source(options: TimmOptions, repository: str) -> WeightsSource:
    if not options.pretrained:
        raise UsageError(
            f"hf-hub:{repository} names weights, and pretrained=false wants none of them: give the"
            " architecture's timm name as the model"
        )
    repository, _, at = repository.partition("@")
    revision = options.revision or at or None
    files, commit = hub.fetch(repository, revision, (("config.json",), _WEIGHT_NAMES))
    architecture, config, model_args = _saved_config(files.pop("config.json"))
    (name, path), *_ = files.items()
    return WeightsSource(
        architecture=architecture,
        label=repository.rpartition("/")[2],
        files=(path,),
        identity={"repository": repository, "commit": commit, "file": name},
        config=config,
        model_args=model_args,
    )


def _local_source(options: TimmOptions, weights: str) -> WeightsSource:
    if not options.pretrained:
        raise UsageError("weights=PATH and pretrained=false contradict each other: drop one")
    path = os.path.abspath(os.path.expanduser(weights))
    if os.path.isdir(path):
        return _folder_source(options, path)
    if not os.path.isfile(path):
        raise UsageError(f"weights={weights}: there is no such file or folder")
    if options.model is None:
        raise UsageError(
            f"weights={os.path.basename(path)} needs the architecture that it is for:"
            " --model NAME, a timm name such as resnet50"
        )
    _check_name(options.model)
    return WeightsSource(
        architecture=options.model,
        label=base_name(options.model),
        files=(path,),
        identity={"file": os.path.basename(path)},
    )


def _folder_source(options: TimmOptions, folder: str) -> WeightsSource:
    shown = os.path.basename(folder)
    there = sorted(os.listdir(folder))
    if "config.json" not in there:
        raise UsageError(
            f"weights={shown}: the folder holds no config.json; give the weights file itself, and"
            " its architecture with --model"
        )
    name = next((name for name in _WEIGHT_NAMES if name in there), None)
    if name is None:
        raise UsageError(f"weights={shown}: the folder holds none of {', '.join(_WEIGHT_NAMES)}")
    architecture, config, model_args = _saved_config(os.path.join(folder, "config.json"))
    if options.model is not None and base_name(options.model) != base_name(architecture):
        raise UsageError(
            f"weights={shown} is for {architecture}, not for {options.model}: drop --model"
        )
    return WeightsSource(
        architecture=architecture,
        label=base_name(architecture),
        files=(os.path.join(folder, name),),
        identity={"file": name},
        config=config,
        model_args=model_args,
    )


def _random_source(options: TimmOptions, model: str, label: str) -> WeightsSource:
    return WeightsSource(
        architecture=model,
        label=f"{label}-random",
        identity={"random": True, "seed": options.seed},
        seed=options.seed,
    )


def _saved_config(path: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Architecture, ``pretrained_cfg`` and arguments from a config.json that timm wrote."""
    try:
        with open(path, encoding="utf-8") as file:
            saved = json.load(file)
        architecture = saved["architecture"]
        nested = saved.get("pretrained_cfg")
        config = dict(saved if nested is None else nested)
        if "num_classes" in saved:
            config["num_classes"] = saved["num_classes"]
        model_args = dict(saved.get("model_args") or {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{os.path.basename(path)} is no configuration of a timm model"
            f" ({type(error).__name__}: {error})"
        ) from error
    _check_name(architecture)
    return architecture, config, model_args


def _check_name(model: str) -> None:
    ensure_torchvision()
    import timm

    if "/" in model or os.sep in model or os.path.exists(model):
        raise UsageError(
            f"--model {model} is no timm model name: write hf-hub:{model} for a model on the hub,"
            " or -o weights=PATH for a local file or folder"
        )
    name, _, tag = model.partition(".")
    if not timm.is_model(name):
        known = timm.list_models()
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them"
        raise UsageError(f"timm has no model {name!r}; {hint}")
    registered = timm.list_pretrained(f"{name}.*")
    if tag and model not in registered:
        tags = ", ".join(registered) or "none"
        raise UsageError(f"timm has no weights {tag!r} for {name}; it has {tags}")
