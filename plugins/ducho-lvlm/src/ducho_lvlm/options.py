"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from ducho_hf import ModelOptions

from ducho_core import RunOptions, option

Embedding = Literal["eos", "answer_last", "mean_answer", "last", "mean_image", "mean_prompt"]
Control = Literal["none", "blank_image", "other_image", "title_only", "random_weights"]
Order = Literal["prompt", "image_first", "text_first"]


class LvlmRunOptions(RunOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options that change how a run is carried out and never its numbers."""

    prefix_cache: Annotated[
        bool,
        option(help="compute what all items' prompts begin with once, where that proves equal"),
    ] = True


class PromptedOptions(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``lvlm/prompted``."""

    prompt: Annotated[
        tuple[str, ...],
        option(
            help="presets (describe, word, misaligned, baby, pets, clothing, recipes, movies) or"
            " TOML files; with several, the outputs are called PROMPT.OUTPUT",
            min_length=1,
        ),
    ] = ("describe",)
    embeddings: Annotated[
        tuple[Embedding, ...],
        option(
            help="vectors wanted. eos: the state at the end-of-turn token that closes the answer;"
            " answer_last: the state that predicts it; mean_answer; last: the prompt's last token;"
            " mean_image: over the image's tokens; mean_prompt"
        ),
    ] = ("eos",)
    layers: Annotated[
        tuple[int, ...],
        option(
            help="hidden states taken, numbered as Transformers' hidden_states: 0 is the"
            " embeddings, -1 the last, after the final norm; the last if not given"
        ),
    ] = ()
    descriptions: Annotated[
        bool, option(help="store the answer as text, and the values of its slots")
    ] = True
    decoding: Annotated[
        Literal["auto", "free", "forced"],
        option(
            help="free: as Transformers' generate; forced: the form of the slots is given, the"
            " model fills in the values; auto: forced for prompts with slots"
        ),
    ] = "auto"
    max_new_tokens: Annotated[
        int, option(help="longest free answer in tokens; a longer one is cut", ge=1, le=4096)
    ] = 96
    max_value_tokens: Annotated[
        int, option(help="longest value of a slot in tokens, under forced decoding", ge=1, le=256)
    ] = 8
    temperature: Annotated[
        float, option(help="0 is greedy; above, answers are sampled", ge=0, le=10)
    ] = 0.0
    top_p: Annotated[
        float,
        option(help="sample from the likeliest tokens of this total probability", gt=0, le=1),
    ] = 1.0
    seed: Annotated[
        int, option(help="of sampling and of the controls; with the item's content", ge=0)
    ] = 0
    repetition_penalty: Annotated[
        float | None,
        option(help="of free decoding; the model's own generation_config if not given", gt=0),
    ] = None
    max_pixels: Annotated[
        int | None,
        option(
            help="larger images are scaled down to so many pixels, and models with a pixel budget"
            " of their own (Qwen-VL) get this one; none: as the model ships",
            ge=1024,
        ),
    ] = 401_408
    max_images: Annotated[
        int,
        option(help="with --slots joint: so many of an item's images are shown, the first", ge=1),
    ] = 8
    split_images: Annotated[
        bool | None,
        option(
            help="whether SmolVLM's kin cut images into tiles; as the model ships if not given"
        ),
    ] = None
    max_text_tokens: Annotated[
        int, option(help="each text of an item is cut to so many tokens", ge=1)
    ] = 256
    order: Annotated[
        Order,
        option(
            help="whether the image comes before or after the text; prompt: as the prompt says"
        ),
    ] = "prompt"
    study: Annotated[
        bool,
        option(
            help="the conditions of the study: image and instruction only, image first, pixels as"
            " the model ships, free and greedy decoding"
        ),
    ] = False
    control: Annotated[
        Control,
        option(
            help="what is taken away to see what it was worth: blank_image (grey), other_image"
            " (one of control_images, by seed and item), title_only, random_weights"
        ),
    ] = "none"
    control_images: Annotated[
        str | None, option(help="folder of images that other_image draws from")
    ] = None
    chat_template: Annotated[
        str | None,
        option(help="another chat template than the model's own, as @FILE or text (Jinja)"),
    ] = None


class EmbedderOptions(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``lvlm/embedder``."""

    instruction: Annotated[
        str | None,
        option(help="what the vectors are for; the model's own default if not given"),
    ] = None
    ending: Annotated[
        str | None,
        option(
            help="special token put after the prompt, whose state is the vector; the model's own"
            " convention if not given, '' for none"
        ),
    ] = None
    pooling: Annotated[
        Literal["last", "mean"], option(help="the last token's state, or the mean of all")
    ] = "last"
    normalize: Annotated[bool, option(help="scale vectors to length 1")] = True
    truncate_dim: Annotated[
        int | None, option(help="keep only the first numbers of each vector", ge=1)
    ] = None
    max_pixels: Annotated[
        int | None,
        option(
            help="as of lvlm/prompted; the model's own convention if not given, else as it ships",
            ge=1024,
        ),
    ] = None
    max_images: Annotated[
        int,
        option(help="with --slots joint: so many of an item's images are shown, the first", ge=1),
    ] = 8
    max_text_tokens: Annotated[
        int, option(help="each text of an item is cut to so many tokens", ge=1)
    ] = 2048
