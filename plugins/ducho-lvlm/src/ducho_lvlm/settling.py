"""What an extraction will ask and give, settled before a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from ducho_hf import output_names, quiet
from ducho_torch import checkpoint_dtype, resolve_device, resolve_precision

from ducho_core import Output, UsageError
from ducho_lvlm.chat import Question
from ducho_lvlm.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_hf import ModelSource
    from ducho_torch import Precision

    from ducho_core import ResolveContext
    from ducho_lvlm.chat import Chat
    from ducho_lvlm.options import PromptedOptions

Names = dict[str, tuple["int | None", str]]
"""Output name to (hidden state, way of pooling)."""

ANSWERED = ("eos", "answer_last", "mean_answer")


_ALTERING = (
    *("no_repeat_ngram_size", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens"),
    *(
        "sequence_bias",
        "min_new_tokens",
        "forced_eos_token_id",
        "exponential_decay_length_penalty",
    ),
)


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What the model itself says about its answers.

    Attributes:
        ends: tokens that end one.
        penalty: its ``repetition_penalty``.
        ignored: names of further settings that would change a greedy answer of ``generate``.
    """

    ends: tuple[int, ...]
    penalty: float = 1.0
    ignored: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt of a run.

    Attributes:
        prompt: the prompt.
        question: the same, ready to be rendered.
        forced: whether answers fill its form.
        names: its embeddings.
        prefix: what the names of its outputs begin with: empty, or its name and a dot.
    """

    prompt: Prompt
    question: Question
    forced: bool
    names: Names
    prefix: str


def read_generation(source: ModelSource, tokenizer: Any) -> Generation:
    """The model's generation settings.

    Raises:
        UsageError: nothing says what ends an answer.
    """
    with quiet():
        from transformers import AutoConfig, GenerationConfig

        try:
            found = GenerationConfig.from_pretrained(source.folder, local_files_only=True)
        except (OSError, ValueError):
            config = AutoConfig.from_pretrained(
                source.folder, trust_remote_code=source.code, local_files_only=True
            )
            found = GenerationConfig.from_model_config(config)
    ends = found.eos_token_id if found.eos_token_id is not None else tokenizer.eos_token_id
    listed = tuple(ends) if isinstance(ends, list | tuple) else (ends,)
    if None in listed:
        raise UsageError(f"nothing in the model {source.name!r} says which token ends an answer")
    penalty = getattr(found, "repetition_penalty", None)
    ignored = tuple(name for name in _ALTERING if getattr(found, name, None))
    return Generation(ends=listed, penalty=float(penalty or 1.0), ignored=ignored)


def settled_precision(context: ResolveContext, source: ModelSource) -> Precision:
    """The precision of a run; ``native`` is the dtype of the checkpoint."""
    native = context.precision == "native"
    return resolve_precision(
        context.precision,
        resolve_device(context.run_options.device),
        checkpoint_dtype(source.paths(source.weight_files())) if native else None,
    )


def model_identity(
    source: ModelSource, config: Any, chat: Chat, *, images: bool
) -> dict[str, Any]:
    """What of a model and its processor enters the SPEC, whatever it is asked."""
    found = {
        **source.identity(),
        **source.digests(),
        "architecture": config.model_type,
        "tokenizer_sha256": source.tokenizer_digest(),
        "chat_template_sha256": chat.template_sha256,
    }
    return {**found, "preprocessing": chat.preprocessing} if images else found


def wants_answers(options: PromptedOptions) -> bool:
    """Whether answers come about at all, to be stored or for their vectors."""
    return options.descriptions or any(how in ANSWERED for how in options.embeddings)


def settle(options: PromptedOptions, *, images: bool, texts: Sequence[str]) -> PromptedOptions:
    """Fill in what ``study`` stands for, and check what does not go together.

    Args:
        options: as given.
        images: whether items have images.
        texts: names of the texts that they have.

    Raises:
        UsageError: two options contradict each other, or the inputs do not do.
    """
    if options.study:
        if texts or not images:
            raise UsageError(
                "study=yes is about image and instruction only: bind an image, and leave --text"
                " out"
            )
        for name, given, meant in (
            ("temperature", options.temperature, (0.0,)),
            ("order", options.order, ("prompt", "image_first")),
            ("decoding", options.decoding, ("auto", "free")),
        ):
            if given not in meant:
                raise UsageError(
                    f"study=yes means {name}={meant[-1]}, not {given}; leave one of them out"
                )
        options = msgspec.structs.replace(
            options, order="image_first", max_pixels=None, decoding="free", temperature=0.0
        )
    if not options.embeddings and not options.descriptions:
        raise UsageError("nothing is wanted: name some embeddings, or set descriptions=yes")
    if options.control == "title_only" and not texts:
        raise UsageError("control=title_only needs a text: bind one with --text")
    if options.control in ("blank_image", "other_image") and not images:
        raise UsageError(f"control={options.control} needs an image: bind one with --image")
    if (options.control == "other_image") != (options.control_images is not None):
        raise UsageError(
            "control=other_image draws from a folder of images, and nothing else does: give"
            " -o control_images=FOLDER"
        )
    if "mean_image" in options.embeddings and (not images or options.control == "title_only"):
        raise UsageError("embeddings=mean_image needs an image in the prompt")
    return msgspec.structs.replace(options, embeddings=tuple(dict.fromkeys(options.embeddings)))


def ask(
    options: PromptedOptions,
    prompts: Sequence[Prompt],
    layers: Sequence[int],
    *,
    images: bool,
    texts: Sequence[str],
) -> tuple[Asked, ...]:
    """What will be asked of every item.

    Raises:
        UsageError: a prompt does not suit the inputs, or forced decoding has no slots.
    """
    asked = []
    for prompt in prompts:
        if options.decoding == "forced" and not prompt.slots:
            raise UsageError(f"decoding=forced: the prompt {prompt.name!r} has no slots")
        order = prompt.order if options.order == "prompt" else options.order
        asked.append(
            Asked(
                prompt=prompt,
                question=Question(
                    parts=prompt.text(texts),
                    system=prompt.system,
                    image_first=order == "image_first",
                    with_image=images and options.control != "title_only",
                ),
                forced=bool(prompt.slots) and options.decoding != "free",
                names=output_names(layers, options.embeddings) if options.embeddings else {},
                prefix=f"{prompt.name}." if len(prompts) > 1 else "",
            )
        )
    return tuple(asked)


def declared(asked: Sequence[Asked], dim: int, *, descriptions: bool) -> tuple[Output, ...]:
    """All outputs, in order: of each prompt its vectors, its answer, its slots."""
    outputs: list[Output] = []
    for one in asked:
        outputs += [Output(name=one.prefix + name, dim=dim) for name in one.names]
        if not descriptions:
            continue
        texts = ["description", *(slot.column for slot in one.prompt.slots)]
        outputs += [Output(name=one.prefix + name, kind="text", dtype="string") for name in texts]
        if one.prompt.slots:
            outputs.append(Output(name=f"{one.prefix}compliance", kind="scalar", dtype="float64"))
        outputs.append(Output(name=f"{one.prefix}complete", kind="scalar", dtype="bool"))
    return tuple(outputs)


def described(one: Asked, rendered: Mapping[str, Any]) -> dict[str, Any]:
    """One prompt, for the SPEC."""
    return {
        "name": one.prompt.name,
        **rendered,
        "decoding": "forced" if one.forced else "free",
        "slots": [
            {"label": slot.label, "column": slot.column, "values": list(slot.values)}
            for slot in one.prompt.slots
        ],
    }
