"""What keras.applications has: models, their input sizes, and where their weights are.

``applications.json`` holds it, read out of Keras 3.15, since Keras itself says it only while it
builds a network.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from importlib.resources import files
from typing import TypeAlias

import msgspec

from ducho_core import KnownModel, UsageError

_GOOD = {
    "MobileNetV2": "quick, also on a CPU",
    "ResNet50": "the baseline that most papers compare with",
    "EfficientNetB0": "better than both at the size",
}
_AS_OF = "2026-11-25"


class Application(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of keras.applications.

    Attributes:
        family: module of keras.applications with its ``preprocess_input``.
        file: name of the pretrained weights, classifier included, in Keras' cache.
        url: where they are fetched.
        digest: md5 or sha256 of that file, or None.
        size: width and height of its input.
        dim: how many numbers the classifier takes.
        parameters: how many there are.
    """

    family: str
    file: str
    url: str
    digest: str | None
    size: tuple[int, int]
    dim: int
    parameters: int

    @property
    def megabytes(self) -> float:
        """Size of the weights in MB."""
        return round(self.parameters * 4 / 1e6, 1)


Table: TypeAlias = dict[str, Application]


@cache
def applications() -> Table:
    """Name to model, for all of keras.applications."""
    text = files("ducho_keras").joinpath("applications.json").read_text(encoding="utf-8")
    return msgspec.convert(json.loads(text), Table)


def application_name(given: str | None) -> str:
    """The name under which Keras has a model; case does not count.

    Raises:
        UsageError: none is given, or keras.applications has no model of that name.
    """
    if given is None:
        listed = "".join(f"  {one.name:<18}{one.facts}\n" for one in known_models()[: len(_GOOD)])
        raise UsageError(
            f"keras/image needs a model: --model NAME. Good ones to start with:\n{listed}"
            "'ducho plugins models keras' lists them all; starter/image (ducho-starter) brings its"
            " weights along and needs no download"
        )
    known = {name.lower(): name for name in applications()}
    if given.lower() in known:
        return known[given.lower()]
    if given.lower() == "nasnetmobile":
        raise UsageError("Keras 3 does not build NASNetMobile on torch; NASNetLarge it does")
    near = difflib.get_close_matches(given.lower(), known, n=3, cutoff=0.6)
    hint = (
        f"did you mean {' or '.join(known[name] for name in near)}?"
        if near
        else "'ducho plugins models keras' lists them"
    )
    raise UsageError(f"keras.applications has no model {given!r}; {hint}")


def known_models() -> tuple[KnownModel, ...]:
    """All of keras.applications, good ones first, with sizes."""
    return tuple(_known(name) for name in dict.fromkeys([*_GOOD, *applications()]))


def _known(name: str) -> KnownModel:
    one = applications()[name]
    pixels = f"{one.size[0]} x {one.size[1]} pixels"
    return KnownModel(
        name=name,
        dim=one.dim,
        megabytes=one.megabytes,
        remark=f"{_GOOD[name]}; {pixels}" if name in _GOOD else pixels,
        as_of=_AS_OF,
    )
