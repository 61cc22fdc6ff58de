"""What tokens are worth in text, for decoding that leaves no other choice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORBIDDEN = frozenset("[]{}\ufffd")


@dataclass(frozen=True, slots=True)
class Masks:
    """Tokens by what they may do, each of shape (vocabulary,), bool.

    Attributes:
        inside: stand in a value.
        opening: begin one.
        closing: close one.
    """

    inside: torch.Tensor
    opening: torch.Tensor
    closing: torch.Tensor


class Vocabulary:
    """Which tokens may stand in the value of a slot, and which may close one.

    Args:
        tokenizer: the model's.
        size: length of the logits.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        self.size = size
        self._tokenizer = tokenizer

    @cached_property
    def masks(self) -> Masks:
        """Which tokens may stand where; looked up once, token by token."""
        tokenizer = self._tokenizer
        special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
        known = min(self.size, len(tokenizer))
        texts = tokenizer.batch_decode(
            [[one] for one in range(known)], clean_up_tokenization_spaces=False
        )
        masks = Masks(*(torch.zeros(self.size, dtype=torch.bool) for _ in range(3)))
        for token, text in enumerate(texts):
            if token in special or not text:
                continue
            if _FORBIDDEN.isdisjoint(text) and text.isprintable():
                masks.inside[token] = True
                masks.opening[token] = any(letter.isalnum() for letter in text)
            masks.closing[token] = text.lstrip(" ").startswith("}")
        return masks

    @cached_property
    def closers(self) -> frozenset[int]:
        """Tokens that close a value."""
        return frozenset(torch.nonzero(self.masks.closing).flatten().tolist())

    def encode(self, text: str) -> list[int]:
        """Tokens of a text by itself, without special ones."""
        made = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return [int(one) for one in made]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        text: str = self._tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def only(self, tokens: Sequence[int]) -> torch.Tensor:
        """A mask that allows some tokens and no others, shape (size,)."""
        mask = torch.zeros(self.size, dtype=torch.bool)
        mask[list(tokens)] = True
        return mask
