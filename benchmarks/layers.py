"""Four layers in one pass against the deepest of them alone, and against four passes.

Run as ``python benchmarks/layers.py [--quick]``. Random weights; the cells are ``extract`` on
the same prepared batch, pooling and copying out included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from _common import arguments, interleave, report
from _loading import load_extractor

from ducho_core import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from ducho_core import Extractor

LAYERS = {
    ("timm", "resnet50"): ("layer1", "layer2", "layer3", "layer4"),
    ("timm", "vit_small_patch16_224"): ("blocks.2", "blocks.5", "blocks.8", "blocks.11"),
    ("torchvision", "resnet50"): ("layer1", "layer2", "layer3.5.relu_2", "avgpool"),
}
ONE_PASS_RATIO = 1.10


def loaded(plugin: str, model: str, layers: tuple[str, ...], precision: str) -> Extractor:
    """The extractor with random weights."""
    options = {"model": model, "pretrained": False, "layers": layers}
    return load_extractor(f"{plugin}/image", options, precision=precision)


def main() -> None:
    """Measure and print."""
    args = arguments("four layers in one pass against one layer")
    items = 8 if args.quick else 32
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (items, 224, 224, 3), dtype=np.uint8)
    samples = [Sample(one) for one in pixels]
    rows = []
    for (plugin, model), layers in LAYERS.items():
        for precision in ("exact", "fast"):
            together = loaded(plugin, model, layers, precision)
            alone = [loaded(plugin, model, (layer,), precision) for layer in layers]
            check(together, alone, samples)
            cells: dict[str, Callable[[], object]] = {
                "four": lambda one=together: one.extract(samples),
                "deepest": lambda one=alone[-1]: one.extract(samples),
                "passes": lambda each=alone: [one.extract(samples) for one in each],
            }
            name = f"{plugin} {model}, {precision}"
            rounds = interleave(cells, rounds=args.rounds, title=name)
            rows.append(
                rounds.row(
                    f"{name}: 4 layers / 1",
                    "four",
                    "deepest",
                    goal=ONE_PASS_RATIO,
                    higher_is_better=False,
                )
            )
            rows.append(rounds.row(f"{name}: against 4 passes", "four", "passes"))
    report("layers", rows, args)


def check(together: Extractor, alone: list[Extractor], samples: list[Sample]) -> None:
    """One pass gives what the passes give."""
    found = together.extract(samples[:2])
    for one in alone:
        for name, values in one.extract(samples[:2]).items():
            np.testing.assert_array_equal(found[name], values)


if __name__ == "__main__":
    main()
