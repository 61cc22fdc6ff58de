"""Prompts of a batch through the model: their states, their answers, the answers' states."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ducho_lvlm.batch import Batch, pad_tokens, positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_lvlm.chat import Arrays
    from ducho_lvlm.choosing import Chooser
    from ducho_lvlm.network import Network, States
    from ducho_lvlm.scripts import Script

Vectors = dict[tuple["int | None", str], torch.Tensor]
"""(hidden state, way of pooling) to vectors, shape (n, d), float32."""

_COMPACT = 0.75


@dataclass(slots=True)
class Prefix:
    """What the prompts of all items begin with.

    Attributes:
        ids: its tokens.
        cache: its keys and values, for one row.
        sums: sum of its states, by hidden state, shape (d,), float32.
    """

    ids: list[int]
    cache: Any
    sums: dict[int | None, torch.Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class _Pass:
    """What is known of a batch after its prompts have been read.

    Attributes:
        cache: keys and values, or None where nothing follows.
        mask: which places of the cache hold a token, shape (n, cached).
        next: position of each row's next token, shape (n,).
        axes: how many axes positions have; 0 for plain ones.
        logits: of the next token, or None.
        last: states of the last token, by hidden state, shape (n, d).
        vectors: what the prompts alone give.
    """

    cache: Any
    mask: torch.Tensor
    next: torch.Tensor
    axes: int
    logits: torch.Tensor | None
    last: States
    vectors: Vectors


def shared_prefix(network: Network, ids: Sequence[int]) -> Prefix | None:
    """Read what all prompts begin with, once; None where that is nothing."""
    if not ids:
        return None
    tokens = torch.tensor([list(ids)], device=network.device)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    places = torch.arange(len(ids), device=network.device)[None]
    if hasattr(network.base, "get_rope_index"):
        places = places.expand(3, *places.shape)
    cache = network.new_cache()
    states, _ = network.run({"input_ids": tokens}, mask, places, cache, logits=False)
    sums = {layer: state[0].float().sum(0) for layer, state in states.items()}
    return Prefix(list(ids), cache, sums)


def read(
    network: Network,
    prompts: Sequence[Arrays],
    images: dict[str, torch.Tensor],
    seen: dict[str, Any],
    prefix: Prefix | None,
    pad: int,
    *,
    going_on: bool,
    logits: bool,
) -> _Pass:
    """Read the prompts of a batch.

    Args:
        network: the model.
        prompts: tokens of each, all beginning with the prefix where there is one.
        images: what belongs to their images.
        seen: what ``network.look`` made of them.
        prefix: what has been read already.
        pad: token that padding is made of.
        going_on: whether tokens will follow.
        logits: whether the next token is to be chosen by the model.
    """
    device = network.device
    tokens, mask = pad_tokens(prompts, pad, device)
    batch = Batch(tokens, mask, images)
    places = positions(network.base, batch)
    ends = places.amax(dim=(0, 2)) if places.ndim == 3 else places[:, -1]
    start = len(prefix.ids) if prefix else 0
    cache = None
    if prefix is not None:
        cache = _spread(prefix.cache, len(prompts))
        lengths = torch.tensor([len(one["input_ids"]) for one in prompts], device=device)
        width = mask.shape[1] - start
        columns = torch.arange(width, device=device)
        mask = columns >= (width - (lengths - start))[:, None]
        tokens = {name: one[:, start:] for name, one in tokens.items()}
        tokens["input_ids"] = tokens["input_ids"].masked_fill(~mask, pad)
        places = places[..., start:].masked_fill(~mask, 0)
    elif going_on:
        cache = network.new_cache()
    whole = torch.cat([mask.new_ones(len(prompts), start), mask], 1)
    given = {name: one for name, one in tokens.items() if name != "mm_token_type_ids"}
    states, chances = network.run(given, whole, places, cache, seen, logits=logits)
    vectors: Vectors = {}
    count = whole.sum(1, keepdim=True)
    shown = tokens["input_ids"] == network.image_token if network.image_token is not None else None
    for layer, state in states.items():
        vectors[layer, "last"] = state[:, -1].float()
        total = torch.where(mask[..., None], state.float(), 0).sum(1)
        if prefix is not None:
            total = total + prefix.sums[layer]
        vectors[layer, "mean_prompt"] = total / count
        if shown is not None and images:
            total = torch.where(shown[..., None], state.float(), 0).sum(1)
            vectors[layer, "mean_image"] = total / shown.sum(1, keepdim=True).clamp(min=1)
    return _Pass(
        cache=cache,
        mask=whole,
        next=ends + 1,
        axes=3 if places.ndim == 3 else 0,
        logits=chances,
        last={layer: state[:, -1].float() for layer, state in states.items()},
        vectors=vectors,
    )


def _spread(cache: Any, count: int) -> Any:
    """The cache of one row as one of many, without copying: what is added makes new tensors."""
    found = copy.copy(cache)
    found.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in found.layers:
        layer.keys = layer.keys.expand(count, *layer.keys.shape[1:])
        layer.values = layer.values.expand(count, *layer.values.shape[1:])
    return found


def answer(
    network: Network,
    begun: _Pass,
    scripts: Sequence[Script],
    chooser: Chooser,
    pad: int,
) -> Vectors:
    """Let the answers come about, each until its own end.

    Returns:
        ``eos``, ``answer_last`` and ``mean_answer`` of each hidden state.
    """
    count = len(scripts)
    last = {layer: one.clone() for layer, one in begun.last.items()}
    eos = {layer: torch.zeros_like(one) for layer, one in last.items()}
    sums = {layer: torch.zeros_like(one) for layer, one in last.items()}
    lengths = torch.zeros(count, device=network.device)
    rows = list(range(count))
    cache, mask, places = begun.cache, begun.mask, begun.next
    queues = _first_blocks(begun, scripts, chooser)
    # A sliding window is counted in places of the cache: there must be no gap in it.
    most = 1 if network.sliding else None
    while True:
        blocks = [queue[:most] for queue in queues]
        queues = [queue[len(block) :] for queue, block in zip(queues, blocks, strict=True)]
        width = max(len(one) for one in blocks)
        ids = torch.full((len(rows), width), pad)
        fresh = torch.zeros((len(rows), width), dtype=torch.bool)
        ended = torch.zeros((len(rows), width), dtype=torch.bool)
        for at, block in enumerate(blocks):
            if block:
                ids[at, width - len(block) :] = torch.tensor(block)
                fresh[at, width - len(block) :] = True
                ended[at, -1] = scripts[rows[at]].done and not queues[at]
        ids, fresh, ended = (one.to(network.device) for one in (ids, fresh, ended))
        offsets = fresh.long().cumsum(1).sub(1).clamp(min=0)
        now = places[:, None] + offsets
        places = places + fresh.sum(1)
        mask = torch.cat([mask, fresh], 1)
        going_on = [at for at, row in enumerate(rows) if queues[at] or not scripts[row].done]
        asked = [at for at in going_on if not queues[at]]
        given = now.expand(begun.axes, *now.shape) if begun.axes else now
        states, logits = network.run({"input_ids": ids}, mask, given, cache, logits=bool(asked))
        where = torch.tensor(rows, device=network.device)
        of_answer = fresh & ~ended
        lengths[where] += of_answer.sum(1)
        for layer, state in states.items():
            wide = state.float()
            sums[layer][where] += torch.where(of_answer[..., None], wide, 0).sum(1)
            columns = torch.arange(width, device=network.device) * of_answer
            found = wide[torch.arange(len(rows), device=network.device), columns.amax(1)]
            last[layer][where] = torch.where(
                of_answer.any(1, keepdim=True), found, last[layer][where]
            )
            eos[layer][where] = torch.where(
                ended.any(1, keepdim=True), wide[:, -1], eos[layer][where]
            )
        if not going_on:
            break
        if asked:
            assert logits is not None
            chosen = chooser.choose(
                logits[asked], [rows[at] for at in asked], [scripts[rows[at]] for at in asked]
            )
            for at, token in zip(asked, chosen, strict=True):
                queues[at] = scripts[rows[at]].take(token)
        if len(going_on) <= _COMPACT * len(rows):
            kept = torch.tensor(going_on, device=network.device)
            cache.batch_select_indices(kept)
            mask, places = mask[kept], places[kept]
            rows = [rows[at] for at in going_on]
            queues = [queues[at] for at in going_on]
    vectors: Vectors = {}
    for layer, state in last.items():
        vectors[layer, "eos"] = eos[layer]
        vectors[layer, "answer_last"] = state
        mean = sums[layer] / lengths.clamp(min=1)[:, None]
        vectors[layer, "mean_answer"] = torch.where(lengths[:, None] > 0, mean, state)
    return vectors


def _first_blocks(begun: _Pass, scripts: Sequence[Script], chooser: Chooser) -> list[list[int]]:
    blocks = [script.begin() for script in scripts]
    asked = [at for at, block in enumerate(blocks) if not block]
    if asked:
        assert begun.logits is not None
        chosen = chooser.choose(begun.logits[asked], asked, [scripts[at] for at in asked])
        for at, token in zip(asked, chosen, strict=True):
            blocks[at] = scripts[at].take(token)
    return blocks
