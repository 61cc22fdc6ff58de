"""From logits to the next token: the likeliest, or drawn by (seed, item, step)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ducho_lvlm.scripts import Script


class Choosing(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen.

    Attributes:
        temperature: 0 is greedy.
        top_p: total probability of the tokens that are drawn from.
        seed: of the draws.
        penalty: divides what a token is worth that the prompt or the answer has already, as
            Transformers' ``repetition_penalty``; not under a form.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    penalty: float = 1.0


class Chooser:
    """Chooses for the rows of a batch.

    Args:
        choosing: how.
        prompts: token ids of each row's prompt.
        contents: what tells the items apart, by row; draws depend on it and on nothing else.
    """

    def __init__(
        self, choosing: Choosing, prompts: Sequence[Sequence[int]], contents: Sequence[bytes]
    ) -> None:
        self._choosing = choosing
        self._prompts = [torch.tensor(sorted(set(one))) for one in prompts]
        self._random = [
            np.random.default_rng(
                list(hashlib.sha256(choosing.seed.to_bytes(16, "big") + one).digest())
            )
            for one in contents
        ]

    def choose(
        self, logits: torch.Tensor, rows: Sequence[int], scripts: Sequence[Script]
    ) -> list[int]:
        """The next token of each row.

        Args:
            logits: shape (n, vocabulary), float32; changed in place.
            rows: which row of the batch each is.
            scripts: the answers of these rows.
        """
        for at, (row, script) in enumerate(zip(rows, scripts, strict=True)):
            allowed = script.allowed()
            if allowed is not None:
                logits[at].masked_fill_(~allowed.to(logits.device), float("-inf"))
            elif self._choosing.penalty != 1.0:
                self._penalise(logits[at], row, script)
        if not self._choosing.temperature:
            return [int(one) for one in logits.argmax(1).tolist()]
        values = logits.double().cpu().numpy()
        return [self._draw(one, self._random[row]) for one, row in zip(values, rows, strict=True)]

    def _penalise(self, logits: torch.Tensor, row: int, script: Script) -> None:
        answer = torch.tensor(script.tokens, dtype=torch.long)
        seen = torch.unique(torch.cat([self._prompts[row], answer])).to(logits.device)
        worth = logits[seen]
        penalty = self._choosing.penalty
        logits[seen] = torch.where(worth < 0, worth * penalty, worth / penalty)

    def _draw(self, logits: npt.NDArray[np.float64], random: np.random.Generator) -> int:
        weights = np.exp((logits - logits.max()) / self._choosing.temperature)
        order = np.argsort(-weights, kind="stable")
        shares = weights[order] / weights.sum()
        total = np.cumsum(shares)
        kept = int(np.searchsorted(total, self._choosing.top_p)) + 1
        total = total[:kept]
        drawn = random.random() * total[-1]
        return int(order[min(int(np.searchsorted(total, drawn, side="right")), len(total) - 1)])
