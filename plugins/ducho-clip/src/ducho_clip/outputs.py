"""Which outputs there are, and how they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ducho_hf import layer_count, resolve_layers, tower_config, tower_width
from ducho_hf import output_names as pooled_names

from ducho_core import Output, UsageError

if TYPE_CHECKING:
    from ducho_hf import Tower

    from ducho_clip.options import DualOptions

TOWERS: dict[str, Tower] = {"image": "vision", "text": "text"}
"""Input to the tower that it runs through."""

Names = dict[str, tuple[int | None, str]]
"""Output name to hidden state (None for the final output) and pooling."""

# Of the final output alone: ``image_layers`` and ``text_layers`` do not concern them.
_FINAL = {"projected": "embeds", "pooler": "pooler"}


def settled_layers(options: DualOptions, name: str, config: Any, model: str) -> tuple[int, ...]:
    """Hidden states wanted of one input's tower, counted from 0.

    Raises:
        UsageError: there is no such hidden state, or none of the poolings takes one.
    """
    layers = getattr(options, f"{name}_layers")
    if layers and set(getattr(options, f"{name}_pooling")) <= set(_FINAL):
        raise UsageError(
            f"{name}_layers: say how hidden states become one vector, as in -o"
            f" {name}_pooling=mean; projected and pooler are of the final output"
        )
    try:
        return resolve_layers(layers, layer_count(tower_config(config, TOWERS[name])), model)
    except UsageError as error:
        raise UsageError(f"{name}_{error}") from error


def output_names(options: DualOptions, name: str, layers: tuple[int, ...]) -> Names:
    """The outputs of one input: ``image_embeds``, ``text_pooler``, ``text_layer11_last``."""
    pooling = dict.fromkeys(getattr(options, f"{name}_pooling"))
    names: Names = {f"{name}_{_FINAL[how]}": (None, how) for how in pooling if how in _FINAL}
    others = pooled_names(layers, [how for how in pooling if how not in _FINAL])
    return names | {f"{name}_{output}": found for output, found in others.items()}


def declared(names: Names, name: str, config: Any) -> tuple[Output, ...]:
    """Outputs before a model is loaded, with the lengths that its configuration tells."""
    tower = TOWERS[name]
    width = getattr(tower_config(config, tower), "hidden_size", None)
    hidden = width if isinstance(width, int) else None
    projected = tower_width(config, tower)

    def dim(layer: int | None, how: str) -> int | None:
        if how == "projected":
            return projected
        return None if layer is None else hidden

    return tuple(
        Output(name=output, dim=dim(layer, how), requires=(name,))
        for output, (layer, how) in names.items()
    )
