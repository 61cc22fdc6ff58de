"""``hf/text``: pooled layers of any Transformers text encoder."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Self

import msgspec
import torch
from ducho_torch import (
    Precision,
    checkpoint_dtype,
    computing,
    memory_errors,
    resolve_device,
    resolve_precision,
    to_numpy,
)

from ducho_core import Extractor, Output, ResolveContext, Resolved, Sample, UsageError
from ducho_hf.encoder import (
    layer_count,
    load_encoder,
    position_limit,
    read_config,
    tower_config,
)
from ducho_hf.hidden import HiddenStates, States
from ducho_hf.models import TEXT_MODELS
from ducho_hf.padding import TextPasses
from ducho_hf.pooling import output_names, outputs, pool, resolve_layers
from ducho_hf.silence import quiet
from ducho_hf.source import ModelSource, locate, locate_tokenizer
from ducho_hf.tokens import UNLIMITED, BatchTokenizer, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from ducho_core import RunOptions
    from ducho_core.extractor import InputValue
    from ducho_hf.options import TextOptions

_PROBES = ("A red shoe", "Blue running shoes for women, size 38")


class TextExtractor(Extractor):
    """Token vectors of an encoder, pooled: an output for each layer and pooling.

    Batches are padded on the right and masked, so a text's numbers do not depend on the texts
    beside it, in decoder-only models too; where a model masks no padding, only texts of one
    length share a pass. Texts longer than the model takes are cut, with the
    note ``truncated``.
    """

    def __init__(
        self,
        tokenizer: BatchTokenizer,
        model: Any,
        names: dict[str, tuple[int | None, str]],
        precision: Precision,
        device: torch.device,
    ) -> None:
        self._tokenizer = tokenizer
        self._names = names
        self._precision = precision
        self._device = device
        self._accepts = frozenset(inspect.signature(model.forward).parameters)
        layers = sorted({layer for layer, _ in names.values() if layer is not None})
        probe = tokenizer.samples(_PROBES)
        with computing(precision, device):
            self._states = HiddenStates(model, layers, self._inputs(probe))
        self._passes = TextPasses(self._pass, tokenizer, precision)
        self.circumstances = self._passes.circumstances
        found = self.extract(probe)
        self.outputs = tuple(
            Output(name=name, dim=int(vectors.shape[1])) for name, vectors in found.items()
        )

    @classmethod
    def resolve(cls, options: TextOptions, context: ResolveContext) -> Resolved:
        """Find the model, check layers and limits, hash its files."""
        source = locate(options, suggestions=TEXT_MODELS)
        config = tower_config(read_config(source), "text")
        layers = resolve_layers(options.layers, layer_count(config), source.name)
        names = output_names(layers, options.pooling)
        tokens_from = source
        if options.tokenizer is not None:
            tokens_from = locate_tokenizer(options.tokenizer, options.tokenizer_revision)
        elif options.tokenizer_revision is not None:
            raise UsageError("tokenizer_revision has a meaning only together with tokenizer")
        limit = text_limit(options.max_length, "max_length", config, tokens_from)
        digests = source.digests()
        precision = resolve_precision(
            context.precision,
            resolve_device(context.run_options.device),
            checkpoint_dtype(source.paths(source.weight_files()))
            if context.precision == "native"
            else None,
        )
        identity: dict[str, Any] = {
            **source.identity(),
            **digests,
            "architecture": config.model_type,
            "tokenizer_sha256": tokens_from.tokenizer_digest(),
            "max_length": limit,
        }
        if options.tokenizer is not None:
            identity["tokenizer"] = tokens_from.identity()
        hidden = getattr(config, "hidden_size", None)
        return Resolved(
            label=source.label,
            identity=identity,
            outputs=outputs(names, hidden if isinstance(hidden, int) else None),
            options=msgspec.structs.replace(
                options,
                model=source.name,
                revision=source.commit,
                layers=layers,
                tokenizer=None if options.tokenizer is None else tokens_from.name,
                tokenizer_revision=tokens_from.commit if options.tokenizer is not None else None,
            ),
            precision=precision.values(),
            state=(source, tokens_from, limit),
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: RunOptions) -> Self:
        """Load tokenizer and encoder."""
        source, tokens_from, limit = resolved.state
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        names = output_names(resolved.options.layers, resolved.options.pooling)
        tokenizer = load_tokenizer(tokens_from, limit)
        model = load_encoder(
            source, "text", precision, device, pooler="pooler" in resolved.options.pooling
        )
        return cls(tokenizer, model, names, precision, device)

    def prepare(self, inputs: Mapping[str, InputValue]) -> Sample:
        """Tokenize one text."""
        return self.prepare_many([inputs])[0]

    def prepare_many(self, inputs: Sequence[Mapping[str, InputValue]]) -> list[Sample]:
        """Tokenize a slice of texts at once.

        Raises:
            ItemError: ``no_tokens``.
        """
        return self._tokenizer.samples([only_text(one) for one in inputs])

    def size(self, sample: Sample) -> int:
        """Tokens of a text."""
        return len(sample.data.ids)

    def extract(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.floating[Any]]]:
        """One pass over a padded batch, every output pooled from it."""
        return self._passes.run(samples)

    def close(self) -> None:
        """Let the model go."""
        del self._states

    def _pass(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.floating[Any]]]:
        with memory_errors(), computing(self._precision, self._device):
            inputs = self._inputs(samples)
            states = self._states.run(inputs)
            return self._pooled(states, inputs["attention_mask"])

    def _inputs(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        batch: list[Tokens] = [sample.data for sample in samples]
        return {
            name: torch.from_numpy(array).to(self._device)
            for name, array in self._tokenizer.pad(batch).items()
            if name in self._accepts or name != "token_type_ids"
        }

    def _pooled(
        self, states: States, mask: torch.Tensor
    ) -> dict[str, npt.NDArray[np.floating[Any]]]:
        return {
            name: to_numpy(pool(states, layer, how, mask))
            for name, (layer, how) in self._names.items()
        }


def only_text(inputs: Mapping[str, InputValue]) -> str:
    """The text of an item that has one input."""
    (text,) = inputs.values()
    return str(text)


def text_limit(asked: int | None, option: str, config: Any, tokens: ModelSource) -> int | None:
    """Longest text in tokens: what was asked for, else the tokenizer's and the model's limit.

    Raises:
        UsageError: more is asked for than the model has positions.
    """
    positions = position_limit(config)
    if asked is not None:
        if positions is not None and asked > positions:
            raise UsageError(f"{option}={asked}: the model has positions for {positions} tokens")
        return asked
    settings = tokens.read_json("tokenizer_config.json") or {}
    stated = settings.get("model_max_length")
    limits = [positions] if positions is not None else []
    if isinstance(stated, int | float) and 0 < stated < UNLIMITED:
        limits.append(int(stated))
    return min(limits, default=None)


def load_tokenizer(source: ModelSource, limit: int | None) -> BatchTokenizer:
    """Load a tokenizer for texts of up to ``limit`` tokens.

    Raises:
        UsageError: Transformers cannot load it.
    """
    with quiet():
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                source.folder, trust_remote_code=source.code, local_files_only=True
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise UsageError(
                f"Transformers cannot load the tokenizer of {source.name!r}: {error}"
            ) from error
        return BatchTokenizer(tokenizer, limit)
