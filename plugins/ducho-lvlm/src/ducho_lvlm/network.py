"""A causal model with or without eyes: loaded, run for states, logits only where wanted."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from ducho_hf import layer_count, load_checkpoint, quiet, read_config
from ducho_torch import memory_errors, pack_linears

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_hf import ModelSource
    from ducho_torch import Precision

States = dict["int | None", torch.Tensor]

_RECURRENT = ("linear_attention", "mamba", "recurrent", "conv")


def text_config(config: Any) -> Any:
    """The part of a configuration that describes the language model."""
    return config.get_text_config(decoder=True)


def check_architecture(source: ModelSource, config: Any, *, images: bool) -> tuple[int, bool]:
    """Number of the language model's layers, and whether the model takes images.

    Raises:
        UsageError: the model is none that answers prompts, takes no images though there are
            some, or cannot run on padded batches.
    """
    with quiet():
        from transformers import (
            MODEL_FOR_CAUSAL_LM_MAPPING,
            MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
            MODEL_FOR_MASKED_LM_MAPPING,
        )

        sees = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        # Transformers can make a decoder of BERT and its kin; their checkpoints are none.
        masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING
        decodes = not masked or getattr(config, "is_decoder", False)
        reads = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and decodes
    remote = set(getattr(config, "auto_map", None) or {}) if source.code else set()
    sees = sees or "AutoModelForImageTextToText" in remote
    reads = reads or "AutoModelForCausalLM" in remote
    if not sees and not reads:
        raise UsageError(
            f"{source.name!r} ({config.model_type}) is no model that answers prompts; for its"
            " vectors try --plugin hf/text, hf/vision or clip"
        )
    if images and not sees:
        raise UsageError(
            f"{source.name!r} ({config.model_type}) takes texts only; leave the image out"
            " (--image none), or take a vision-language model"
        )
    if getattr(config, "is_encoder_decoder", False):
        raise UsageError(
            f"{source.name!r} is an encoder-decoder, and its prompt has no last token"
        )
    text = text_config(config)
    kinds = set(getattr(text, "layer_types", None) or ())
    if any(kind.startswith(_RECURRENT) for kind in kinds):
        raise UsageError(
            f"{source.name!r} has recurrent layers, which cannot run on padded batches"
        )
    count = layer_count(text)
    if count is None:
        raise UsageError(
            f"the configuration of {source.name!r} does not say how many layers it has"
        )
    return count, sees


class Network:
    """A language model, with a vision tower or without.

    Args:
        model: with its head, in evaluation mode, on its device.
        device: where it is.
        layers: hidden states wanted, from 0; None for the last.
        count: how many layers the model has.
    """

    def __init__(
        self, model: Any, device: torch.device, layers: Sequence[int | None], count: int
    ) -> None:
        self.model = model
        self.base: Any = model.base_model if model.base_model is not model else model.model
        self.device = device
        self.dim = int(model.get_output_embeddings().weight.shape[1])
        self._layers = tuple(layers)
        self._count = count
        self._every = any(layer not in (None, count) for layer in layers)
        text = text_config(model.config)
        kinds = getattr(text, "layer_types", None) or ()
        window = getattr(text, "sliding_window", None)
        self.sliding = "sliding_attention" in kinds or (not kinds and isinstance(window, int))
        found = getattr(model.config, "image_token_id", None)
        self.image_token = (
            found if found is not None else getattr(model.config, "image_token_index", None)
        )
        takes = inspect.signature(self.base.forward).parameters
        self._takes_features = "mm_encoder_outputs" in takes
        self._image_inputs = {"pixel_values", "pixel_attention_mask"}

    def new_cache(self) -> Any:
        """An empty key-value cache."""
        from transformers import DynamicCache

        return DynamicCache(config=text_config(self.model.config))

    def look(self, images: dict[str, torch.Tensor]) -> dict[str, Any]:
        """Run the vision tower once; what it gives is handed to ``run``, once for each prompt."""
        if not images or not self._takes_features:
            return dict(images)
        method = self.base.get_image_features
        takes = inspect.signature(method).parameters
        given = {name: tensor for name, tensor in images.items() if name in takes}
        features = method(**given, return_dict=True)
        rest = {name: one for name, one in images.items() if name not in self._image_inputs}
        return {**rest, "mm_encoder_outputs": features}

    def run(
        self,
        tokens: dict[str, torch.Tensor],
        mask: torch.Tensor,
        positions: torch.Tensor,
        cache: Any,
        seen: dict[str, Any] | None = None,
        *,
        logits: bool,
    ) -> tuple[States, torch.Tensor | None]:
        """One pass over some tokens; the cache takes them.

        Args:
            tokens: ``input_ids`` and the like, each of shape (n, k).
            mask: which tokens there are, those of the cache included, shape (n, cached + k).
            positions: of the k tokens.
            cache: of what came before; None to keep nothing.
            seen: from ``look``, with the pass that holds the image's tokens.
            logits: whether the vocabulary head runs, on the last token of each row.

        Returns:
            Hidden state to its tensor of shape (n, k, d); logits of shape (n, vocabulary), or
            None.
        """
        inputs: dict[str, Any] = {
            **tokens,
            "attention_mask": mask.long(),
            "position_ids": positions,
            "past_key_values": cache,
            "use_cache": cache is not None,
            "output_hidden_states": self._every,
        }
        if seen:
            features = seen.get("mm_encoder_outputs")
            inputs.update(seen)
            if features is not None:
                inputs["mm_encoder_outputs"] = {"image": features}
        if not logits:
            output = self.base(**inputs)
            return self._states(output), None
        kept: list[Any] = []
        handle = self.base.register_forward_hook(lambda *args: kept.append(args[-1]))
        try:
            found = self.model(**inputs, logits_to_keep=1).logits[:, -1].float()
        finally:
            handle.remove()
        return self._states(kept[-1]), found

    def _states(self, output: Any) -> States:
        return {
            layer: (
                output.last_hidden_state
                if layer in (None, self._count)
                else output.hidden_states[layer]
            )
            for layer in self._layers
        }


def load_model(
    source: ModelSource,
    precision: Precision,
    device: torch.device,
    *,
    random_seed: int | None = None,
    headless: bool = False,
) -> Any:
    """Load a model with its head, in evaluation mode, in the precision's dtype, on the device.

    Args:
        source: where it lies.
        precision: its dtype is the one that the weights are loaded in.
        device: where it will run.
        random_seed: None for the checkpoint's weights, else random ones of this seed.
        headless: the vocabulary head is never run, so the checkpoint need not have one.

    Raises:
        UsageError: the checkpoint lacks weights that would be used.
    """
    config = read_config(source)
    with quiet(), memory_errors():
        from transformers import (
            MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
            AutoModelForCausalLM,
            AutoModelForImageTextToText,
        )

        sees = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        kind: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM
        if random_seed is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(random_seed)
                model = kind.from_config(config, trust_remote_code=source.code).to(precision.dtype)
        else:
            model, missing = load_checkpoint(source, config, precision, kind=kind)
            if headless:
                missing = {name for name in missing if not name.startswith("lm_head.")}
            if missing:
                names = ", ".join(sorted(missing)[:3])
                raise UsageError(
                    f"the checkpoint of {source.name!r} lacks {len(missing)} weights that would be"
                    f" used ({names}{', ...' if len(missing) > 3 else ''}); is it the whole model?"
                )
        model = model.eval().requires_grad_(False).to(device)  # noqa: FBT003
        pack_linears(model, precision, device)
        return model
