"""``lvlm/prompted``: one prompt or several, per item embeddings and descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
from ducho_hf import locate, read_config, resolve_layers
from ducho_torch import (
    Precision,
    computing,
    memory_errors,
    resolve_device,
    to_numpy,
)

from ducho_core import Extractor, Resolved
from ducho_lvlm import controls
from ducho_lvlm.answers import compliance, parse_answer
from ducho_lvlm.asking import Asker
from ducho_lvlm.chat import Chat, ChatSettings
from ducho_lvlm.choosing import Chooser, Choosing
from ducho_lvlm.models import MODELS
from ducho_lvlm.network import Network, check_architecture, load_model, text_config
from ducho_lvlm.preparing import Preparation
from ducho_lvlm.prompts import read_prompts
from ducho_lvlm.scripts import Form, FormScript, FreeScript
from ducho_lvlm.settling import (
    Asked,
    ask,
    declared,
    described,
    model_identity,
    read_generation,
    settle,
    settled_precision,
    wants_answers,
)
from ducho_lvlm.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_hf import ModelSource

    from ducho_core import ResolveContext, Sample
    from ducho_core.extractor import Column, InputValue, JointValue
    from ducho_lvlm.answering import Vectors
    from ducho_lvlm.options import LvlmRunOptions, PromptedOptions
    from ducho_lvlm.preparing import Prepared
    from ducho_lvlm.scripts import Script


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What ``load`` needs beside the options.

    Attributes:
        source: where the model lies.
        chat: how items become tokens and pixels.
        asked: the prompts.
        image: name of the input that is the image, or None.
        texts: names of the inputs that are texts.
        pool: files that ``control=other_image`` draws from.
        ends: tokens that end an answer.
        end: the one of them that the chat template puts there.
        penalty: of repetitions.
        count: layers of the language model.
    """

    source: Any
    chat: ChatSettings
    asked: tuple[Asked, ...]
    image: str | None
    texts: tuple[str, ...]
    pool: tuple[str, ...]
    ends: frozenset[int]
    end: int
    penalty: float
    count: int


class PromptedExtractor(Extractor):
    """Asks a language model, with eyes or without, the same of every item."""

    def __init__(
        self,
        resolved: Resolved,
        chat: Chat,
        network: Network,
        precision: Precision,
        *,
        prefix_cache: bool,
    ) -> None:
        settled: Settled = resolved.state
        options: PromptedOptions = resolved.options
        self._settled = settled
        self._options = options
        self._network = network
        self._precision = precision
        self._answers = wants_answers(options)
        self._preparation = Preparation(
            chat,
            {one.prompt.name: one.question for one in settled.asked},
            image=settled.image,
            texts=settled.texts,
            control=options.control,
            pool=settled.pool,
            seed=options.seed,
            most=options.max_images,
        )
        tokenizer = chat.tokenizer
        pad = tokenizer.pad_token_id
        self._asker = Asker(network, precision, settled.end if pad is None else pad)
        self._vocabulary = Vocabulary(
            tokenizer, network.model.get_output_embeddings().weight.shape[0]
        )
        self._forms = {
            one.prompt.name: Form(
                self._vocabulary, one.prompt.slots, settled.end, options.max_value_tokens
            )
            for one in settled.asked
            if one.forced and self._answers
        }
        self._choosing = Choosing(
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
            penalty=settled.penalty,
        )
        if prefix_cache:
            self._asker.share(self._preparation.probes())
        self.circumstances = {
            "device": str(network.device),
            "prefix_tokens": dict(self._asker.shared),
        }
        self.outputs = declared(settled.asked, network.dim, descriptions=options.descriptions)
        free = any(not one.forced for one in settled.asked)
        self._room = max(
            [options.max_new_tokens if free else 0, *map(_room, self._forms.values())]
        )

    @classmethod
    def resolve(cls, options: PromptedOptions, context: ResolveContext) -> Resolved:
        """Find the model, read the prompts and render them, hash everything.

        Raises:
            UsageError: the model, a prompt and the inputs do not go together.
        """
        image = next((one.name for one in context.inputs if one.modality == "image"), None)
        texts = tuple(one.name for one in context.inputs if one.modality == "text")
        options = settle(options, images=image is not None, texts=texts)
        source = locate(options, suggestions=MODELS)
        config = read_config(source)
        count, sees = check_architecture(source, config, images=image is not None)
        layers = resolve_layers(options.layers, count, source.name)
        prompts = read_prompts(options.prompt)
        asked = ask(options, prompts, layers, images=image is not None, texts=texts)
        settings = ChatSettings(
            images=sees,
            template=options.chat_template,
            max_pixels=options.max_pixels,
            split_images=options.split_images,
            max_text_tokens=options.max_text_tokens,
        )
        chat = Chat(source, settings)
        generation = read_generation(source, chat.tokenizer)
        end = chat.closing_token(list(generation.ends))
        penalty = options.repetition_penalty or generation.penalty
        pool = controls.pool_files(options.control_images) if options.control_images else ()
        precision = settled_precision(context, source)
        identity: dict[str, Any] = {
            **model_identity(source, config, chat, images=image is not None),
            "prompts": [described(one, chat.identity(one.question)) for one in asked],
            "end_token": chat.tokenizer.convert_ids_to_tokens(end),
            "end_tokens": chat.tokenizer.convert_ids_to_tokens(sorted(set(generation.ends))),
            "repetition_penalty": penalty,
            "states": "last after the final norm, as Transformers' hidden_states",
        }
        if options.control == "random_weights":
            identity["weights_sha256"] = f"random, seed {options.seed}"
        if pool:
            identity["control_images_sha256"] = controls.pool_digest(pool)
        names = tuple(one.name for one in prompts)
        folder = options.control_images
        free = wants_answers(options) and any(not one.forced for one in asked)
        left = generation.ignored if free else ()
        told = (
            "free answers are plain greedy or sampled ones; left aside of the model's own"
            f" generation settings: {', '.join(left)}"
        )
        return Resolved(
            label=source.label,
            remarks=(told,) if left else (),
            identity=identity,
            outputs=declared(
                asked, text_config(config).hidden_size, descriptions=options.descriptions
            ),
            options=msgspec.structs.replace(
                options,
                model=source.name,
                revision=source.commit,
                layers=layers,
                prompt=names,
                control_images=controls.pool_name(folder) if folder else None,
            ),
            precision=precision.values(),
            state=Settled(
                source=source,
                chat=settings,
                asked=asked,
                image=image,
                texts=texts,
                pool=pool,
                ends=frozenset(generation.ends),
                end=end,
                penalty=penalty,
                count=count,
            ),
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: LvlmRunOptions) -> Self:
        """Load processor and model, and read what all prompts begin with.

        Raises:
            UsageError: the checkpoint is not whole.
        """
        settled: Settled = resolved.state
        options: PromptedOptions = resolved.options
        source: ModelSource = settled.source
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        random = options.control == "random_weights"
        model = load_model(source, precision, device, random_seed=options.seed if random else None)
        layers = sorted(
            {layer for one in settled.asked for layer, _ in one.names.values()},
            key=lambda layer: -1 if layer is None else layer,
        )
        network = Network(model, device, layers or [None], settled.count)
        chat = Chat(source, settled.chat)
        return cls(resolved, chat, network, precision, prefix_cache=run_options.prefix_cache)

    def prepare(self, inputs: Mapping[str, InputValue | JointValue]) -> Sample:
        """Render the prompts with one item's texts and image, and tokenize them.

        Raises:
            ItemError: the image or a text cannot be used.
        """
        return self._preparation.prepare(inputs)

    def size(self, sample: Sample) -> int:
        """Tokens of the longest prompt, image included, and of the longest answer."""
        longest = max(len(one["input_ids"]) for one in sample.data.prompts.values())
        return longest + (self._room if self._answers else 0)

    def extract(self, samples: Sequence[Sample]) -> dict[str, Column]:
        """Ask every prompt about a batch; the images are looked at once."""
        items: list[Prepared] = [sample.data for sample in samples]
        found: dict[str, Column] = {}
        with memory_errors(), computing(self._precision, self._network.device):
            seen, images = self._asker.look(items)
            for one in self._settled.asked:
                scripts = self._scripts(one, len(items))
                vectors = self._asker.ask(
                    items,
                    one.prompt.name,
                    dict(seen),
                    images,
                    scripts,
                    lambda one=one: self._chooser(one, items),  # type: ignore[misc]
                )
                found |= self._columns(one, vectors, scripts)
        return found

    def close(self) -> None:
        """Let the model go."""
        del self._network, self._asker

    def _scripts(self, one: Asked, count: int) -> list[Script] | None:
        if not self._answers:
            return None
        form = self._forms.get(one.prompt.name)
        if form is not None:
            return [FormScript(form) for _ in range(count)]
        settled = self._settled
        return [
            FreeScript(self._vocabulary, settled.ends, settled.end, self._options.max_new_tokens)
            for _ in range(count)
        ]

    def _chooser(self, one: Asked, items: Sequence[Prepared]) -> Chooser:
        name = one.prompt.name
        ids = [list(map(int, item.prompts[name]["input_ids"])) for item in items]
        return Chooser(self._choosing, ids, [item.content for item in items])

    def _columns(
        self, one: Asked, vectors: Vectors, scripts: Sequence[Script] | None
    ) -> dict[str, Column]:
        found: dict[str, Column] = {
            one.prefix + name: to_numpy(vectors[layer, how])
            for name, (layer, how) in one.names.items()
        }
        if not self._options.descriptions or scripts is None:
            return found
        texts = [script.text() for script in scripts]
        found[f"{one.prefix}description"] = list(texts)
        slots = one.prompt.slots
        parsed = [parse_answer(text, slots) for text in texts]
        for slot in slots:
            found[one.prefix + slot.column] = [values[slot.column] for values in parsed]
        if slots:
            # Under a form every answer complies, which says nothing about the model.
            found[f"{one.prefix}compliance"] = [
                None if one.forced else compliance(list(values.values())) for values in parsed
            ]
        found[f"{one.prefix}complete"] = [script.complete for script in scripts]
        return found


def _room(form: Form) -> int:
    fixed = sum(map(len, form.before)) + len(form.after)
    return fixed + form.most * len(form.before)
