"""One encoder out of a Transformers checkpoint: the tower that is wanted, whole, checked."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any, Literal

from ducho_torch import memory_errors, pack_linears

from ducho_core import UsageError
from ducho_hf.silence import quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from ducho_torch import Precision

    from ducho_hf.source import ModelSource

Tower = Literal["text", "vision", "audio"]

_TOWERS = {
    "text": ("text_config", ("text_model",)),
    "vision": ("vision_config", ("vision_model", "vision_tower", "visual")),
    "audio": ("audio_config", ("audio_model", "audio_tower")),
}
_TRAINING_ONLY = ("masked_spec_embed",)
_POOLERS = ("pooler", "head.")

# Position 0 of these models' tables is not the first token: pad_token_id + 1 rows are unused.
_OFFSET_POSITIONS = {
    "altclip_text_model",
    "camembert",
    "clap_text_model",
    "data2vec-text",
    "esm",
    "ibert",
    "layoutlm",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


def read_config(source: ModelSource) -> Any:
    """The model's configuration, with Transformers' defaults filled in.

    Raises:
        UsageError: there is none, Transformers does not know the architecture, or it needs code
            that the model brings.
    """
    with quiet():
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(
                source.folder, trust_remote_code=source.code, local_files_only=True
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise UsageError(
                f"Transformers cannot read the configuration of {source.name!r}: {_first(error)}"
            ) from error


def tower_config(config: Any, tower: Tower) -> Any:
    """The part of a configuration that describes one tower, or all of it where it has one."""
    return getattr(config, _TOWERS[tower][0], None) or config


def tower_modules(tower: Tower) -> tuple[str, ...]:
    """Names under which models of several towers may keep one."""
    return _TOWERS[tower][1]


def layer_count(config: Any) -> int | None:
    """Blocks of the encoder; hidden states are one more. None where the model does not say."""
    repeats = getattr(config, "num_block_repeats", None)
    if repeats:  # EfficientNet and ALIGN's, whose num_hidden_layers is another count
        return int(sum(math.ceil(config.depth_coefficient * one) for one in repeats))
    for name in ("encoder_layers", "num_hidden_layers"):
        count = getattr(config, name, None)
        if isinstance(count, int):
            return count
    depths = getattr(config, "depths", None)
    return len(depths) if isinstance(depths, list | tuple) else None


def position_limit(config: Any) -> int | None:
    """Longest text in tokens that the model has positions for, or None."""
    limit = getattr(config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        return None
    if config.model_type in _OFFSET_POSITIONS:
        limit -= (config.pad_token_id or 0) + 1
    return limit


def load_encoder(
    source: ModelSource,
    tower: Tower,
    precision: Precision,
    device: torch.device,
    *,
    pooler: bool,
    state: Mapping[str, torch.Tensor] | None = None,
) -> Any:
    """Load one tower, in evaluation mode, in the precision's dtype, on the device.

    Of an encoder-decoder it is the encoder; of a model of several towers the wanted one.
    Attention is Transformers' default (scaled dot product where the model has it). Weights are
    read from safetensors, or where there are none with torch's ``weights_only`` loading.

    Args:
        source: where the model lies.
        tower: which part is wanted.
        precision: its dtype is the one that the weights are loaded in.
        device: where it will run.
        pooler: whether the model's own pooled output is wanted.
        state: weights to take instead of those in the model's folder.

    Raises:
        UsageError: the checkpoint lacks weights that would be used, or has no such tower.
    """
    config = read_config(source)
    with quiet(), memory_errors():
        model = _load_part(source, config, tower, precision, pooler=pooler, state=state)
        if getattr(model.config, "is_encoder_decoder", False) and hasattr(model, "get_encoder"):
            model = model.get_encoder()
        if hasattr(model.config, "use_cache"):
            model.config.use_cache = False
        # Loaded in its dtype already: another cast would also round the tables of rotary
        # positions, which Transformers keeps in float32.
        model = model.eval().requires_grad_(False).to(device)  # noqa: FBT003
        pack_linears(model, precision, device)
        return model


def refused_pickle(source: ModelSource) -> UsageError:
    """The error for pickled weights that hold more than tensors."""
    return UsageError(
        f"the weights of {source.name!r} are pickled and hold more than tensors, which would run"
        " code when loaded, and are refused; take a revision with model.safetensors, or save the"
        " model as such (save_pretrained)"
    )


def _load_part(
    source: ModelSource,
    config: Any,
    tower: Tower,
    precision: Precision,
    *,
    pooler: bool,
    state: Mapping[str, torch.Tensor] | None,
) -> Any:
    from transformers import MODEL_MAPPING

    part = tower_config(config, tower)
    if part is not config and type(part) in MODEL_MAPPING:
        model, missing = load_checkpoint(source, part, precision, state)
        if not _used(missing, pooler=pooler):
            return model
    model, missing = load_checkpoint(source, config, precision, state)
    for name in _TOWERS[tower][1] if part is not config else ():
        inner = getattr(model, name, None)
        if inner is not None:
            model, missing = inner, {key for key in missing if key.startswith(name)}
            break
    else:
        if tower != "text" and part is not config:
            raise UsageError(f"no {tower} encoder was found inside the model {source.name!r}")
    used = _used(missing, pooler=pooler)
    if used:
        advice = (
            "; without its pooler it gives no pooled output: choose another pooling"
            if all(_of_pooler(key) for key in used)
            else "; is it the whole model?"
        )
        raise UsageError(
            f"the checkpoint of {source.name!r} lacks {len(used)} weights that would be used"
            f" ({', '.join(used[:3])}{', ...' if len(used) > 3 else ''}){advice}"
        )
    return model


def load_checkpoint(
    source: ModelSource,
    config: Any,
    precision: Precision,
    state: Mapping[str, torch.Tensor] | None = None,
    kind: Any = None,
) -> tuple[Any, set[str]]:
    """Load a model of a configuration from a checkpoint that may hold more.

    Args:
        source: where the checkpoint lies.
        config: of the model, or of a part of it.
        precision: its dtype is the one that the weights are loaded in.
        state: weights to take instead of those in the model's folder.
        kind: the model's class; the one that Transformers has for the configuration if None.

    Returns:
        The model, and the names of its weights that the checkpoint lacks.

    Raises:
        UsageError: the checkpoint cannot be read, or is a pickle of more than tensors.
    """
    from transformers import MODEL_MAPPING, AutoModel

    settings = {"config": config, "dtype": precision.dtype, "output_loading_info": True}
    try:
        if state is not None:
            kind = kind or MODEL_MAPPING[type(config)]
            model, report = kind.from_pretrained(None, state_dict=dict(state), **settings)
        else:
            model, report = (kind or AutoModel).from_pretrained(
                source.folder, trust_remote_code=source.code, local_files_only=True, **settings
            )
    except pickle.UnpicklingError as error:
        raise refused_pickle(source) from error
    except (ValueError, KeyError, OSError, ImportError) as error:
        raise UsageError(
            f"Transformers cannot load the model {source.name!r}: {_first(error)}"
        ) from error
    return model, set(report["missing_keys"])


def _used(missing: set[str], *, pooler: bool) -> list[str]:
    return sorted(
        key
        for key in missing
        if (pooler or not _of_pooler(key)) and not key.endswith(_TRAINING_ONLY)
    )


def _of_pooler(key: str) -> bool:
    return any(part in key for part in _POOLERS)


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
