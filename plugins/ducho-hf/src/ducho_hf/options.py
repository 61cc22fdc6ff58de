"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core import option

TextPooling = Literal["mean", "cls", "max", "last", "pooler"]
ImagePooling = Literal["cls", "pooler", "mean"]


class ModelOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model comes from, the same for every extractor of this plugin."""

    model: Annotated[
        str | None,
        option(help="model id on the Hugging Face hub, or a folder that holds one"),
    ] = None
    revision: Annotated[
        str | None,
        option(help="branch, tag or commit on the hub; the newest commit of main if not given"),
    ] = None
    trust_remote_code: Annotated[
        bool,
        option(help="run code that the model brings; only with a 40-digit commit as revision"),
    ] = False


class SentenceOptions(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``hf/sentence``."""

    prompt: Annotated[
        str | None, option(help="text put before every input; '' for none at all")
    ] = None
    prompt_name: Annotated[
        str | None, option(help="one of the model's own prompts, such as query or document")
    ] = None
    truncate_dim: Annotated[
        int | None, option(help="keep only the first numbers of each vector", ge=1)
    ] = None
    max_seq_length: Annotated[
        int | None, option(help="longest text in tokens; the model's own limit if not given", ge=1)
    ] = None


class TextOptions(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``hf/text``."""

    pooling: Annotated[
        tuple[TextPooling, ...],
        option(
            help="how token vectors become one; an output for each that is named", min_length=1
        ),
    ] = ("mean",)
    layers: Annotated[
        tuple[int, ...],
        option(
            help="hidden states to pool: 0 is the embeddings, -1 the last; the encoder's final"
            " output if not given"
        ),
    ] = ()
    max_length: Annotated[
        int | None, option(help="longest text in tokens; the model's own limit if not given", ge=1)
    ] = None
    tokenizer: Annotated[
        str | None, option(help="hub id or folder of another tokenizer than the model's own")
    ] = None
    tokenizer_revision: Annotated[
        str | None, option(help="branch, tag or commit of that tokenizer on the hub")
    ] = None


class VisionOptions(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``hf/vision``."""

    pooling: Annotated[
        tuple[ImagePooling, ...],
        option(
            help="cls: the class token; pooler: the model's own pooled output; mean: the mean of"
            " all tokens, the class token included; an output for each that is named",
            min_length=1,
        ),
    ] = ("cls",)
    layers: Annotated[
        tuple[int, ...],
        option(
            help="hidden states to pool: 0 is the embeddings, -1 the last; the encoder's final"
            " output if not given"
        ),
    ] = ()
    resize: Annotated[
        tuple[int, ...],
        option(
            help="WIDTH,HEIGHT or one side in pixels: resize straight to it, bicubic, before the"
            " image processor",
            ge=1,
            max_length=2,
        ),
    ] = ()
    image_processor: Annotated[
        str | None, option(help="hub id or folder of another image processor than the model's own")
    ] = None
    image_processor_revision: Annotated[
        str | None, option(help="branch, tag or commit of that image processor on the hub")
    ] = None
