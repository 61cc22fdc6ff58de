"""The models that timm has weights of, for ``ducho plugins models``; good ones first.

Names and licences are those of timm's own registry. Of the good ones, sizes are the tensors of
the architecture that timm makes, at four bytes a value, and ``dim`` is the length of ``pooled``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ducho_torch import ensure_torchvision

from ducho_core import KnownModel

if TYPE_CHECKING:
    from collections.abc import Iterator

_AS_OF = "2026-11-25"

GOOD_MODELS = (
    KnownModel(
        name="mobilenetv3_large_100.ra_in1k",
        dim=1280,
        megabytes=22.0,
        licence="Apache-2.0",
        remark="quick, also on a CPU",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="resnet50.a1_in1k",
        dim=2048,
        megabytes=102.4,
        licence="Apache-2.0",
        remark="the baseline that most papers compare with",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="vit_small_patch14_dinov2.lvd142m",
        dim=384,
        megabytes=88.2,
        licence="Apache-2.0",
        remark="finds look-alikes best, slow on a CPU",
        as_of=_AS_OF,
    ),
)


def known_models() -> Iterator[KnownModel]:
    """The good ones, then every other name for which timm has weights on the hub."""
    ensure_torchvision()
    import timm

    yield from GOOD_MODELS
    told = {model.name for model in GOOD_MODELS}
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name)
        if name not in told and config is not None and config.hf_hub_id:
            yield KnownModel(name=name, licence=config.license)
