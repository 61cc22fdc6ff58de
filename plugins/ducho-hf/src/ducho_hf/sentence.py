"""``hf/sentence``: what ``SentenceTransformer.encode`` gives, batched by tokens."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, Self

import msgspec
import torch
from ducho_torch import (
    Precision,
    checkpoint_dtype,
    computing,
    memory_errors,
    pack_linears,
    resolve_device,
    resolve_precision,
    to_numpy,
)

from ducho_core import Extractor, Output, ResolveContext, Resolved, Sample, UsageError
from ducho_hf.encoder import refused_pickle
from ducho_hf.models import SENTENCE_MODELS
from ducho_hf.modules import SentenceSettings, read_settings
from ducho_hf.silence import quiet
from ducho_hf.source import ModelSource, locate
from ducho_hf.text import only_text
from ducho_hf.tokens import UNLIMITED, BatchTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from ducho_core import RunOptions
    from ducho_core.extractor import InputValue
    from ducho_hf.options import SentenceOptions

_PROBES = ["A red shoe", "Blue running shoes for women,\tsize 38 "]

_PROMPT_NOT_POOLED = (
    "hkunlp/instructor-base",
    "hkunlp/instructor-large",
    "hkunlp/instructor-xl",
)


class SentenceExtractor(Extractor):
    """One vector a text, pooled and normalised as the model's own modules say.

    Where the model begins with a plain text transformer, texts are tokenized in ``prepare``
    and padded to the longest of their batch. Any other model (static embeddings, CLIP) does
    its own preprocessing in ``extract``: right, and slower.

    Attributes:
        model: the loaded SentenceTransformer.
    """

    def __init__(
        self,
        model: Any,
        settings: SentenceSettings,
        truncate_dim: int | None,
        precision: Precision,
        device: torch.device,
    ) -> None:
        self.model = model
        self._prompt = settings.prompt
        self._truncate_dim = truncate_dim
        self._precision = precision
        self._device = device
        self._tokenizer = _own_tokenizer(model, settings)
        self._counter = self._tokenizer or _counting_tokenizer(model)
        self._prompt_length: int | None = None
        if self._tokenizer is not None and settings.prompt:
            features = model.preprocess(_PROBES, prompt=settings.prompt)
            self._prompt_length = features.get("prompt_length")
        dim = self.extract(self._samples(_PROBES))["embedding"].shape[1]
        self.outputs = (Output(name="embedding", dim=int(dim)),)

    @classmethod
    def resolve(cls, options: SentenceOptions, context: ResolveContext) -> Resolved:
        """Find the model, read its modules' settings, hash its files."""
        source = locate(options, suggestions=SENTENCE_MODELS)
        return cls.resolve_source(source, options, context)

    @classmethod
    def resolve_source(
        cls, source: ModelSource, options: SentenceOptions, context: ResolveContext
    ) -> Resolved:
        """``resolve`` for a model that has been found already."""
        settings = read_settings(source, options)
        precision = resolve_precision(
            context.precision,
            resolve_device(context.run_options.device),
            checkpoint_dtype(source.paths(source.weight_files()))
            if context.precision == "native"
            else None,
        )
        identity: dict[str, Any] = {
            **source.identity(),
            **source.digests(),
            "tokenizer_sha256": source.tokenizer_digest(),
            "modules": list(settings.modules),
            "modules_sha256": source.modules_digest(),
            "max_seq_length": settings.max_seq_length,
            "prompt": settings.prompt,
        }
        return Resolved(
            label=source.label,
            identity=identity,
            outputs=(Output(name="embedding", dim=settings.dim),),
            options=msgspec.structs.replace(options, model=source.name, revision=source.commit),
            precision=precision.values(),
            state=(source, settings),
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: RunOptions) -> Self:
        """Load the model as sentence-transformers does, from files that are here."""
        source, settings = resolved.state
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        with memory_errors():
            model = _load_model(source, settings, precision, device)
        return cls(model, settings, resolved.options.truncate_dim, precision, device)

    def prepare(self, inputs: Mapping[str, InputValue]) -> Sample:
        """Tokenize one text."""
        return self.prepare_many([inputs])[0]

    def prepare_many(self, inputs: Sequence[Mapping[str, InputValue]]) -> list[Sample]:
        """Tokenize a slice of texts at once.

        Raises:
            ItemError: ``no_tokens``.
        """
        return self._samples([only_text(one) for one in inputs])

    def size(self, sample: Sample) -> int:
        """Tokens of a text."""
        if self._tokenizer is not None:
            return len(sample.data.ids)
        return int(sample.data[1])

    def extract(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.floating[Any]]]:
        """One pass over a batch."""
        with memory_errors(), computing(self._precision, self._device):
            features = self._features(samples)
            for module in self.model:
                features = module(features)
                if self._precision.compute_dtype != "float32":
                    _widen(features)  # pooling and normalising would round again
            vectors = features["sentence_embedding"][:, : self._truncate_dim]
            return {"embedding": to_numpy(vectors)}

    def close(self) -> None:
        """Let the model go."""
        del self.model

    def _samples(self, texts: Sequence[str]) -> list[Sample]:
        prompted = [self._prompt + text for text in texts] if self._prompt else list(texts)
        if self._tokenizer is not None:
            return self._tokenizer.samples(prompted)
        if self._counter is None:
            return [Sample((text, 1 + len(text) // 4)) for text in texts]
        return [
            Sample((text, max(1, len(tokens.ids))), ("truncated",) if cut else ())
            for text, (tokens, cut) in zip(texts, self._counter.encode(prompted), strict=True)
        ]

    def _features(self, samples: Sequence[Sample]) -> dict[str, Any]:
        if self._tokenizer is None:
            from sentence_transformers.util import batch_to_device

            texts = [sample.data[0] for sample in samples]
            features = self.model.preprocess(texts, prompt=self._prompt or None)
            return dict(batch_to_device(features, self._device))
        padded = self._tokenizer.pad(
            [sample.data for sample in samples], self.model.tokenizer.padding_side
        )
        tensors: dict[str, Any] = {
            name: torch.from_numpy(array).to(self._device) for name, array in padded.items()
        }
        tensors["modality"] = "text"
        if self._prompt_length is not None:
            tensors["prompt_length"] = self._prompt_length
        return tensors


def _load_model(
    source: ModelSource, settings: SentenceSettings, precision: Precision, device: torch.device
) -> Any:
    with quiet():
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(
                source.folder,
                device=str(device),
                local_files_only=True,
                trust_remote_code=source.code,
                model_kwargs={"dtype": precision.dtype},
            )
        except pickle.UnpicklingError as error:
            raise refused_pickle(source) from error
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise UsageError(
                f"sentence-transformers cannot load the model {source.name!r}: {error}"
            ) from error
    if settings.max_seq_length is not None:
        model.max_seq_length = settings.max_seq_length
    if source.name in _PROMPT_NOT_POOLED:
        model.set_pooling_include_prompt(include_prompt=False)
    model = model.eval().requires_grad_(False)  # noqa: FBT003
    pack_linears(model, precision, device)
    return model


def _own_tokenizer(model: Any, settings: SentenceSettings) -> BatchTokenizer | None:
    """A tokenizer that gives just what the model's own preprocessing gives, or None."""
    from transformers import PreTrainedTokenizerBase

    first = model[0]
    processor = getattr(first, "processor", None)
    if list(model.modalities) != ["text"] or not isinstance(processor, PreTrainedTokenizerBase):
        return None
    tokenizer = BatchTokenizer(processor, settings.max_seq_length)
    texts = [*_PROBES, "word " * 600]
    expected = model.preprocess(texts, prompt=settings.prompt or None)
    batch = [tokens for tokens, _ in tokenizer.encode([settings.prompt + one for one in texts])]
    ours = tokenizer.pad(batch, processor.padding_side)
    same = all(
        name in expected
        and expected[name].shape == array.shape
        and bool((expected[name].numpy() == array).all())
        for name, array in ours.items()
    )
    return tokenizer if same else None


def _counting_tokenizer(model: Any) -> BatchTokenizer | None:
    """A tokenizer to tell lengths with, where the model has one that Transformers knows."""
    from transformers import PreTrainedTokenizerBase

    tokenizer = getattr(model[0], "tokenizer", None)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        return None
    limit = model.max_seq_length
    return BatchTokenizer(tokenizer, limit if limit and limit < UNLIMITED else None)


def _widen(features: dict[str, Any]) -> None:
    for name in ("token_embeddings", "cls_token_embeddings", "sentence_embedding"):
        if isinstance(features.get(name), torch.Tensor):
            features[name] = features[name].float()
