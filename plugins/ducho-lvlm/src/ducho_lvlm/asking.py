"""A loaded model and what its prompts have in common: one batch, all questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from ducho_torch import computing

from ducho_lvlm.answering import Vectors, answer, read, shared_prefix
from ducho_lvlm.batch import join_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ducho_torch import Precision

    from ducho_lvlm.answering import Prefix
    from ducho_lvlm.choosing import Chooser
    from ducho_lvlm.network import Network
    from ducho_lvlm.preparing import Prepared
    from ducho_lvlm.scripts import Script

_SHORTEST = 4
_EQUAL = {torch.float32: 1e-4, torch.float64: 1e-6}
_NEARLY = 0.05


class Asker:
    """Asks a model some prompts about batches of items.

    Args:
        network: the model.
        precision: what it computes in.
        pad: token that padding is made of.
    """

    def __init__(self, network: Network, precision: Precision, pad: int) -> None:
        self.network = network
        self._precision = precision
        self._pad = pad
        self._prefixes: dict[str, Prefix] = {}

    @property
    def shared(self) -> dict[str, int]:
        """By prompt, how many tokens of it are read once for all items."""
        return {name: len(prefix.ids) for name, prefix in self._prefixes.items()}

    def share(self, probes: Sequence[Prepared]) -> None:
        """Read what the prompts of all items begin with, where that gives the same numbers.

        Args:
            probes: two items that have nothing in common.
        """
        if self.network.sliding:
            return  # with a cache that starts with it, padding would lie inside the window
        for name in probes[0].prompts:
            ids = [list(map(int, one.prompts[name]["input_ids"])) for one in probes]
            length = 0
            for one, other in zip(*ids, strict=False):
                if one != other or one == self.network.image_token:
                    break
                length += 1
            # The last of them may be cut differently before another text.
            length = min(length - 1, min(map(len, ids)) - 1)
            if length < _SHORTEST:
                continue
            with computing(self._precision, self.network.device):
                prefix = shared_prefix(self.network, ids[0][:length])
            assert prefix is not None
            if self._proves_equal(name, probes, prefix):
                self._prefixes[name] = prefix

    def ask(
        self,
        items: Sequence[Prepared],
        name: str,
        seen: dict[str, Any],
        images: dict[str, torch.Tensor],
        scripts: Sequence[Script] | None,
        chooser: Callable[[], Chooser] | None,
    ) -> Vectors:
        """Ask one prompt about a batch; call it under ``computing``.

        Args:
            items: the batch.
            name: of the prompt.
            seen: from ``look``.
            images: from ``look``.
            scripts: how each answer comes about; None where none is wanted.
            chooser: makes what chooses the tokens; None where no answer is wanted.
        """
        prompts = [one.prompts[name] for one in items]
        prefix = self._prefixes.get(name)
        if prefix is not None and not all(_begins(one["input_ids"], prefix) for one in prompts):
            prefix = None
        forced = scripts is not None and all(script.given for script in scripts)
        begun = read(
            self.network,
            prompts,
            images,
            seen,
            prefix,
            self._pad,
            going_on=scripts is not None,
            logits=scripts is not None and not forced,
        )
        vectors = dict(begun.vectors)
        if scripts is not None and chooser is not None:
            vectors |= answer(self.network, begun, scripts, chooser(), self._pad)
        return vectors

    def look(self, items: Sequence[Prepared]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Run the vision tower over a batch's images, once for all prompts."""
        if not items[0].pixels:
            return {}, {}
        images = join_images(
            [one.pixels for one in items], self.network.device, self._precision.dtype
        )
        return self.network.look(images), images

    def _proves_equal(self, name: str, probes: Sequence[Prepared], prefix: Prefix) -> bool:
        prompts = [one.prompts[name] for one in probes]
        found = []
        with computing(self._precision, self.network.device):
            seen, images = self.look(probes)
            for one in (None, prefix):
                begun = read(
                    self.network,
                    prompts,
                    images,
                    dict(seen),
                    one,
                    self._pad,
                    going_on=False,
                    logits=False,
                )
                found.append(begun.vectors)
            plain, reused = found
            limit = _EQUAL.get(self._precision.dtype, _NEARLY)
            return all(
                bool((reused[key] - one).abs().max() <= limit * one.abs().max())
                for key, one in plain.items()
            )


def _begins(ids: Any, prefix: Prefix) -> bool:
    count = len(prefix.ids)
    return len(ids) > count and ids[:count].tolist() == prefix.ids
