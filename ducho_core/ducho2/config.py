"""A configuration, checked: every key that Ducho 2.0 knows, as one type each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Backend = Literal["tensorflow", "torch", "transformers", "sentence_transformers"]
Fusion = Literal["sum", "concat", "mul", "mean"]
Modality = Literal["visual", "textual", "visual_textual", "audio"]
Origin = Literal["items", "interactions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of a list ``model``.

    Attributes:
        path: its key, such as ``visual.items.model.0``.
        name: ``model_name``.
        backend: which library runs it.
        layers: ``output_layers``, always a list.
        reshape: width and height, or None for each picture's own.
        preprocessing: how torch's pixels are normalised, or None.
        mean, std: of ``zscore``; None means those of ImageNet.
        clear_text: whether texts are cleaned.
        tokenizer: another tokenizer than the model's own.
        image_processor: another image processor than the model's own.
        batch_size: items a batch, where it is given.
        fusion: how the vectors of picture and text become one, or None.
        options: further options of the extractor; a key that Ducho 2.0 does not have.
    """

    path: str
    name: str
    backend: Backend
    layers: tuple[str | int, ...]
    reshape: tuple[int, int] | None = None
    preprocessing: Literal["zscore", "minmax"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    clear_text: bool = False
    tokenizer: str | None = None
    image_processor: str | None = None
    batch_size: int | None = None
    fusion: Fusion | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One modality and source, such as ``visual.items``.

    Attributes:
        path: its key.
        modality: its modality.
        origin: items or interactions.
        inputs: kind of input (``visual``, ``textual``, ``audio``) to file or folder, below
            ``dataset_path``.
        outputs: the same for the folders that are written.
        keys: the key columns of its table; empty where there is none.
        text: the text column of its table, where there is one.
        models: what to extract with.
    """

    path: str
    modality: Modality
    origin: Origin
    inputs: dict[str, str]
    outputs: dict[str, str]
    keys: tuple[str, ...] = ()
    text: str | None = None
    models: tuple[Model, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration.

    Attributes:
        dataset: ``dataset_path`` as it is written.
        gpus: the GPUs listed; empty means the CPU.
        sections: what to extract, in the order of the file.
    """

    dataset: str
    gpus: tuple[int, ...] = ()
    sections: tuple[Section, ...] = ()
