"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from ducho_hf import ModelOptions

from ducho_core import option

ImagePooling = Literal["projected", "pooler", "cls", "mean"]
TextPooling = Literal["projected", "pooler", "cls", "last", "mean", "max"]


class DualOptions(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``clip/dual``. Those about images do not concern the texts, and vice versa."""

    normalize: Annotated[
        bool,
        option(
            help="scale projected vectors to length 1, as the model does before it compares them;"
            " then a dot product is the cosine"
        ),
    ] = False
    image_pooling: Annotated[
        tuple[ImagePooling, ...],
        option(
            help="projected: the vector in the space shared with the texts, output image_embeds;"
            " pooler: the image encoder's own pooled output, before the projection; cls: the class"
            " token; mean: the mean of all tokens, the class token included; an output for each"
            " that is named",
            min_length=1,
            inputs=("image",),
        ),
    ] = ("projected",)
    image_layers: Annotated[
        tuple[int, ...],
        option(
            help="hidden states of the image encoder that cls and mean pool: 0 is the embeddings,"
            " -1 the last; the encoder's final output if not given",
            inputs=("image",),
        ),
    ] = ()
    resize: Annotated[
        tuple[int, ...],
        option(
            help="WIDTH,HEIGHT or one side in pixels: resize straight to it, bicubic, before the"
            " image processor",
            ge=1,
            max_length=2,
            inputs=("image",),
        ),
    ] = ()
    image_processor: Annotated[
        str | None,
        option(
            help="hub id or folder of another image processor than the model's own",
            inputs=("image",),
        ),
    ] = None
    image_processor_revision: Annotated[
        str | None,
        option(help="branch, tag or commit of that image processor on the hub", inputs=("image",)),
    ] = None
    text_pooling: Annotated[
        tuple[TextPooling, ...],
        option(
            help="projected: the vector in the space shared with the images, output text_embeds;"
            " pooler: the text encoder's own pooled output, before the projection; cls: the first"
            " token; last: the last token that is no padding, CLIP's end of text; mean and max:"
            " over all tokens; an output for each that is named",
            min_length=1,
            inputs=("text",),
        ),
    ] = ("projected",)
    text_layers: Annotated[
        tuple[int, ...],
        option(
            help="hidden states of the text encoder that cls, last, mean and max pool: 0 is the"
            " embeddings, -1 the last; the encoder's final output if not given",
            inputs=("text",),
        ),
    ] = ()
    max_length: Annotated[
        int | None,
        option(
            help="longest text in tokens; the model's own limit if not given",
            ge=1,
            inputs=("text",),
        ),
    ] = None
    tokenizer: Annotated[
        str | None,
        option(
            help="hub id or folder of another tokenizer than the model's own", inputs=("text",)
        ),
    ] = None
    tokenizer_revision: Annotated[
        str | None,
        option(help="branch, tag or commit of that tokenizer on the hub", inputs=("text",)),
    ] = None
