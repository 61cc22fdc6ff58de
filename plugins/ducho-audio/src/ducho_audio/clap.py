"""``audio/clap``: CLAP's two towers, sounds and texts in one space, a feature set for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
from ducho_hf import (
    Side,
    SidedExtractor,
    check_dual,
    load_tokenizer,
    load_towers,
    locate,
    read_config,
    text_limit,
    tower_config,
    tower_width,
)
from ducho_torch import Precision, checkpoint_dtype, resolve_device, resolve_precision

from ducho_audio.clap_sides import ClapFrontend, SoundSide, TextSide
from ducho_audio.division import Division
from ducho_audio.frontend import load_feature_extractor
from ducho_audio.models import CLAP_MODELS
from ducho_audio.passes import Passes
from ducho_core import Output, ResolveContext, Resolved, UsageError

if TYPE_CHECKING:
    from ducho_audio.options import AudioRunOptions, ClapOptions

_TOWERS: tuple[Literal["audio", "text"], ...] = ("audio", "text")


class ClapExtractor(SidedExtractor):
    """Vectors of sounds and of texts in the space that the two share, each of length 1.

    Only the towers whose inputs are bound are loaded; each runs in the pass of its own set.
    CLAP's feature extractor crops long sounds at random. Here nothing is random: long sounds
    are cut into windows whose vectors are averaged, or one crop of a stated place is taken.
    """

    @classmethod
    def resolve(cls, options: ClapOptions, context: ResolveContext) -> Resolved:
        """Find the model, check windows and limits, hash its files.

        Raises:
            UsageError: it is no CLAP model, or an option does not fit it.
        """
        bound = {field.name for field in context.inputs}
        towers = [name for name in _TOWERS if name in bound]
        source = locate(options, suggestions=CLAP_MODELS)
        config = read_config(source)
        if config.model_type != "clap":
            raise UsageError(
                f"{source.name!r} is a {config.model_type} model, not CLAP; models of sounds alone"
                " are audio/encoder's"
            )
        check_dual(source, config, [])
        precision = resolve_precision(
            context.precision,
            resolve_device(context.run_options.device),
            checkpoint_dtype(source.paths(source.weight_files()))
            if context.precision == "native"
            else None,
        )
        identity: dict[str, dict[str, Any]] = {}
        limit = None
        if "audio" in towers:
            frontend = ClapFrontend(load_feature_extractor(source), config)
            division = _division(frontend, options)
            identity["audio"] = {
                "preprocessing": {**frontend.settings(), **division.settings()},
            }
        if "text" in towers:
            text_config = tower_config(config, "text")
            limit = text_limit(options.max_length, "max_length", text_config, source)
            identity["text"] = {
                "tokenizer_sha256": source.tokenizer_digest(),
                "max_length": limit,
            }
        return Resolved(
            label=source.label,
            identity={
                **source.identity(),
                **source.digests(),
                "architecture": config.model_type,
            },
            input_identity=identity,
            outputs=tuple(
                Output(name=f"{name}_embeds", dim=tower_width(config, name), requires=(name,))
                for name in towers
            ),
            options=msgspec.structs.replace(options, model=source.name, revision=source.commit),
            precision=precision.values(),
            state=(source, tuple(towers), limit),
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: AudioRunOptions) -> Self:
        """Load the towers of the inputs that are bound.

        Raises:
            UsageError: the checkpoint is not whole.
        """
        source, towers, limit = resolved.state
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        config = read_config(source)
        model = load_towers(source, config, towers, precision, device)
        sides: dict[str, Side] = {}
        if "audio" in towers:
            frontend = ClapFrontend(load_feature_extractor(source), config)
            sides["audio"] = SoundSide(
                model,
                frontend,
                _division(frontend, resolved.options),
                precision,
                device,
                passes=Passes(int(run_options.pass_seconds * frontend.rate)),
            )
        if "text" in towers:
            sides["text"] = TextSide(model, load_tokenizer(source, limit), precision, device)
        return cls(sides)


def _division(frontend: ClapFrontend, options: ClapOptions) -> Division:
    return Division.of(
        options,
        frontend.rate,
        length=frontend.length,
        fixed=True,
        minimum=frontend.minimum,
        part=options.long_sounds,
    )
