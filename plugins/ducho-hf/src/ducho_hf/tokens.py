"""Texts to token ids, many at once and from several threads, and padded batches of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ducho_core import ItemError, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

UNLIMITED = 10**9
"""Tokenizers that know no limit report a larger number than this."""

_PROBES = ("", "Red shoe", "  Größe 42,\tfür Läufer! \n", "word " * 600)


@dataclass(slots=True)
class Tokens:
    """One tokenized text, without padding.

    Attributes:
        ids: token ids, shape (length,), int64.
        types: segment ids of the same shape, or None where all are 0.
    """

    ids: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64] | None = None


class BatchTokenizer:
    """A tokenizer for whole slices of texts, safe to use from several threads.

    A Rust-backed tokenizer is copied, set up once and run without the interpreter's lock; that
    its copy gives what the original gives is checked here, on a few texts. Any other is used
    as it is, one thread at a time.

    Args:
        tokenizer: a Transformers tokenizer.
        max_length: longest text in tokens, special ones included; None for no limit.
    """

    def __init__(self, tokenizer: Any, max_length: int | None) -> None:
        self.max_length = max_length
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        pad = tokenizer.pad_token_id
        self.pad_id = int(pad if pad is not None else tokenizer.eos_token_id or 0)
        self.pad_type = int(getattr(tokenizer, "pad_token_type_id", 0) or 0)
        self.gives_types = "token_type_ids" in tokenizer.model_input_names
        self.gives_mask = "attention_mask" in tokenizer.model_input_names
        self.padding_side: Literal["right", "left"] = tokenizer.padding_side
        self._fast = self._fast_copy()

    @property
    def fast(self) -> bool:
        """Whether the Rust-backed copy is in use."""
        return self._fast is not None

    def encode(self, texts: Sequence[str]) -> list[tuple[Tokens, bool]]:
        """Tokenize texts; with each, whether it had to be cut."""
        if self._fast is not None:
            return [self._tokens(one) for one in self._fast.encode_batch_fast(list(texts))]
        return self._encode_slowly(texts)

    def samples(self, texts: Sequence[str]) -> list[Sample]:
        """Tokenize texts into samples; those that were cut carry the note ``truncated``.

        Raises:
            ItemError: ``no_tokens``: the tokenizer makes nothing of a text.
        """
        samples = []
        for index, (tokens, cut) in enumerate(self.encode(texts)):
            if not len(tokens.ids):
                raise ItemError(index, "no_tokens", "the tokenizer makes no token of the text")
            samples.append(Sample(tokens, ("truncated",) if cut else ()))
        return samples

    def pad(
        self,
        batch: Sequence[Tokens],
        side: Literal["right", "left"] = "right",
        *,
        length: int | None = None,
    ) -> dict[str, npt.NDArray[np.int64]]:
        """Pad to the longest of the batch, or to a length that is never exceeded.

        Returns:
            ``input_ids`` and ``attention_mask``, and ``token_type_ids`` where the model's
            tokenizer gives them, each of shape (n, length), int64.
        """
        shape = (len(batch), length or max(len(one.ids) for one in batch))
        ids = np.full(shape, self.pad_id, np.int64)
        mask = np.zeros(shape, np.int64)
        types = np.full(shape, self.pad_type, np.int64)
        for row, one in enumerate(batch):
            length = len(one.ids)
            place = slice(0, length) if side == "right" else slice(shape[1] - length, shape[1])
            ids[row, place] = one.ids
            mask[row, place] = 1
            types[row, place] = 0 if one.types is None else one.types
        padded = {"input_ids": ids, "attention_mask": mask}
        return {**padded, "token_type_ids": types} if self.gives_types else padded

    def _fast_copy(self) -> Any:
        if not getattr(self._tokenizer, "is_fast", False):
            return None
        from tokenizers import Tokenizer

        backend = self._tokenizer.backend_tokenizer
        try:
            copy = Tokenizer.from_str(backend.to_str())
        except Exception:  # noqa: BLE001 - parts written in Python cannot be copied
            return None
        copy.no_padding()
        copy.no_truncation()
        if self.max_length is not None:
            copy.enable_truncation(
                max_length=self.max_length,
                strategy="longest_first",
                direction=self._tokenizer.truncation_side,
            )
        copy.encode_special_tokens = self._tokenizer.split_special_tokens
        ours = [self._tokens(one)[0] for one in copy.encode_batch_fast(list(_PROBES))]
        theirs = [tokens for tokens, _ in self._encode_slowly(_PROBES)]
        same = all(
            np.array_equal(one.ids, other.ids) and _same_types(one, other)
            for one, other in zip(ours, theirs, strict=True)
        )
        return copy if same else None

    def _tokens(self, encoding: Any) -> tuple[Tokens, bool]:
        ids = np.array(encoding.ids, np.int64)
        types = None
        if self.gives_types:
            types = _unless_zero(np.array(encoding.type_ids, np.int64))
        # A list of what was cut off is made on every access: look only where it can be.
        cut = len(ids) == self.max_length and bool(encoding.overflowing)
        return Tokens(ids, types), cut

    def _encode_slowly(self, texts: Sequence[str]) -> list[tuple[Tokens, bool]]:
        found = []
        with self._lock:
            for text in texts:
                whole = self._tokenizer(text, truncation=False, verbose=False)
                kept, cut = whole, False
                if self.max_length is not None and len(whole["input_ids"]) > self.max_length:
                    kept, cut = (
                        self._tokenizer(text, truncation=True, max_length=self.max_length),
                        True,
                    )
                ids = np.array(kept["input_ids"], np.int64)
                types = kept.get("token_type_ids") if self.gives_types else None
                found.append(
                    (
                        Tokens(
                            ids,
                            None if types is None else _unless_zero(np.array(types, np.int64)),
                        ),
                        cut,
                    )
                )
        return found


def _unless_zero(types: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    return types if types.any() else None


def _same_types(one: Tokens, other: Tokens) -> bool:
    if one.types is None or other.types is None:
        return one.types is other.types
    return np.array_equal(one.types, other.types)
