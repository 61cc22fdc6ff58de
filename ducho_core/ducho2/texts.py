"""Models of texts: ``hf/text`` and ``hf/sentence``."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ducho_core.ducho2.translated import Translated

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Model
    from ducho_core.ducho2.remarks import Remarks

POOLING = {"pooler_output": "pooler", "last_hidden_state": "mean"}
"""What Ducho 2.0 takes of a Transformers model's output to how it becomes one vector."""

_BASE = re.compile(
    r"(albert|bert|camembert|ctrl|distilbert|distilgpt2|distilroberta|gpt2|openai-gpt|roberta|t5"
    r"|transfo-xl|xlm-clm|xlm-mlm|xlm-roberta|xlnet)\b"
)
_FOR_SENTENCES = re.compile(r"-nli-|stsb|paraphrase|msmarco|quora|tokens|wikipedia")


def text_model(model: Model, remarks: Remarks) -> Translated | None:
    """Translate one model; None where nothing of it can be done."""
    clean = ("ducho2",) if model.clear_text else ()
    if model.backend == "sentence_transformers":
        return Translated(
            plugin="hf/sentence",
            options={"model": _with_organisation(model, remarks)},
            outputs=tuple((str(layer), "embedding") for layer in model.layers),
            clean=clean,
        )
    outputs = pooled_outputs(model, remarks)
    if not outputs:
        return None
    return Translated(
        plugin="hf/text",
        options={
            "model": model.name,
            "pooling": tuple(dict.fromkeys(output for _, output in outputs)),
            "tokenizer": model.tokenizer,
        },
        outputs=outputs,
        clean=clean,
    )


def pooled_outputs(model: Model, remarks: Remarks) -> tuple[tuple[str, str], ...]:
    """Layer and output of what can be had of a Transformers encoder."""
    found = []
    for layer in model.layers:
        where = f"{model.path}.output_layers"
        how = POOLING.get(layer.lower()) if isinstance(layer, str) else None
        if how is None:
            remarks.leave_out(
                where,
                f"{layer!r} cannot be had of {model.name}; there are {', '.join(POOLING)}",
            )
            continue
        if layer == "last_hidden_state":
            remarks.say(
                where,
                "last_hidden_state is one vector for each token, of which a recommender needs"
                " one for each item: their mean is taken, where Ducho 2.0 kept them all",
            )
        found.append((str(layer), how))
    return tuple(found)


def _with_organisation(model: Model, remarks: Remarks) -> str:
    """A sentence model's whole name on the hub; sentence-transformers completes it so."""
    name = model.name
    if "/" in name or os.path.isdir(name):
        return name
    if _BASE.match(name) and not _FOR_SENTENCES.search(name):
        return name
    whole = f"sentence-transformers/{name}"
    remarks.say(f"{model.path}.model_name", f"{whole} on the hub")
    return whole
