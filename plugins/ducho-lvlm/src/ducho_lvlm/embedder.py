"""``lvlm/embedder``: vision-language models that were trained to give vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
import torch
from ducho_hf import locate, read_config
from ducho_torch import (
    Precision,
    computing,
    memory_errors,
    resolve_device,
    to_numpy,
)

from ducho_core import Extractor, Output, Resolved, UsageError
from ducho_lvlm.asking import Asker
from ducho_lvlm.chat import Chat, ChatSettings, Question
from ducho_lvlm.models import EMBEDDERS
from ducho_lvlm.network import Network, check_architecture, load_model, text_config
from ducho_lvlm.preparing import Preparation
from ducho_lvlm.prompts import field
from ducho_lvlm.settling import model_identity, settled_precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core import ResolveContext, Sample
    from ducho_core.extractor import Column, InputValue, JointValue
    from ducho_lvlm.options import EmbedderOptions, LvlmRunOptions

_NAME = "item"
_MEANS = {"last": "last", "mean": "mean_prompt"}

# By a part of the model's name: instruction, ending and pixels, as the models' own code has them:
# gme_inference.py of Alibaba-NLP's GME (256 to 1,280 image tokens of 28 x 28 pixels) and
# qwen3_vl_embedding.py of Qwen3-VL-Embedding (4 to 1,800 of 32 x 32). Both put the image before
# the text, take the last token's state and scale it to length 1.
_CONVENTIONS: dict[str, tuple[str, str, int | None, int]] = {
    "gme-qwen2": ("You are a helpful assistant.", "<|endoftext|>", 1280 * 28**2, 256 * 28**2),
    "qwen3-vl-embedding": ("Represent the user's input.", "", 1800 * 32**2, 4 * 32**2),
}
_PLAIN = ("", "", None, 0)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What ``load`` needs beside the options.

    Attributes:
        source: where the model lies.
        chat: how items become tokens and pixels.
        question: what is around them.
        image: name of the input that is the image, or None.
        texts: names of the inputs that are texts.
        count: layers of the language model.
    """

    source: Any
    chat: ChatSettings
    question: Question
    image: str | None
    texts: tuple[str, ...]
    count: int


class EmbedderExtractor(Extractor):
    """A vector an item, of its image, its texts or both, in one space."""

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
        self._options: EmbedderOptions = resolved.options
        self._network = network
        self._precision = precision
        self._preparation = Preparation(
            chat,
            {_NAME: settled.question},
            image=settled.image,
            texts=settled.texts,
            most=resolved.options.max_images,
        )
        tokenizer = chat.tokenizer
        known = [tokenizer.pad_token_id, tokenizer.eos_token_id, 0]
        self._asker = Asker(network, precision, next(one for one in known if one is not None))
        if prefix_cache:
            self._asker.share(self._preparation.probes())
        self.circumstances = {
            "device": str(network.device),
            "prefix_tokens": dict(self._asker.shared),
        }
        dim = min(network.dim, self._options.truncate_dim or network.dim)
        self.outputs = (Output(name="embedding", dim=dim),)

    @classmethod
    def resolve(cls, options: EmbedderOptions, context: ResolveContext) -> Resolved:
        """Find the model, render its format, hash everything.

        Raises:
            UsageError: the model does not suit the inputs, or an option the model.
        """
        image = next((one.name for one in context.inputs if one.modality == "image"), None)
        texts = tuple(one.name for one in context.inputs if one.modality == "text")
        source = locate(options, suggestions=EMBEDDERS)
        config = read_config(source)
        count, sees = check_architecture(source, config, images=image is not None)
        width = text_config(config).hidden_size
        if options.truncate_dim is not None and options.truncate_dim > width:
            raise UsageError(
                f"truncate_dim={options.truncate_dim}: {source.name!r} gives {width} numbers"
            )
        known = source.name.rpartition("/")[2].lower()
        instruction, ending, pixels, fewest = next(
            (found for part, found in _CONVENTIONS.items() if part in known), _PLAIN
        )
        options = msgspec.structs.replace(
            options,
            model=source.name,
            revision=source.commit,
            instruction=instruction if options.instruction is None else options.instruction,
            ending=ending if options.ending is None else options.ending,
            max_pixels=pixels if options.max_pixels is None else options.max_pixels,
        )
        question = Question(
            parts=_joined(texts),
            system=options.instruction or "",
            with_image=image is not None,
            ending=options.ending or "",
        )
        settings = ChatSettings(
            images=sees,
            max_pixels=options.max_pixels,
            min_pixels=fewest,
            max_text_tokens=options.max_text_tokens,
        )
        chat = Chat(source, settings)
        precision = settled_precision(context, source)
        identity: dict[str, Any] = {
            **model_identity(source, config, chat, images=image is not None),
            "prompt": chat.identity(question),
        }
        return Resolved(
            label=source.label,
            identity=identity,
            outputs=(Output(name="embedding", dim=min(width, options.truncate_dim or width)),),
            options=options,
            precision=precision.values(),
            state=Settled(
                source=source,
                chat=settings,
                question=question,
                image=image,
                texts=texts,
                count=count,
            ),
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: LvlmRunOptions) -> Self:
        """Load processor and model.

        Raises:
            UsageError: the checkpoint is not whole.
        """
        settled: Settled = resolved.state
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        model = load_model(settled.source, precision, device, headless=True)
        network = Network(model, device, [None], settled.count)
        chat = Chat(settled.source, settled.chat)
        return cls(resolved, chat, network, precision, prefix_cache=run_options.prefix_cache)

    def prepare(self, inputs: Mapping[str, InputValue | JointValue]) -> Sample:
        """Render the format with one item's texts and image, and tokenize it.

        Raises:
            ItemError: the image or a text cannot be used.
        """
        return self._preparation.prepare(inputs)

    def size(self, sample: Sample) -> int:
        """Tokens of the item, image and format included."""
        return len(sample.data.prompts[_NAME]["input_ids"])

    def extract(self, samples: Sequence[Sample]) -> dict[str, Column]:
        """One pass over a batch; the vocabulary head is never run."""
        items = [sample.data for sample in samples]
        with memory_errors(), computing(self._precision, self._network.device):
            seen, images = self._asker.look(items)
            vectors = self._asker.ask(items, _NAME, seen, images, None, None)
            kept = vectors[None, _MEANS[self._options.pooling]][:, : self._options.truncate_dim]
            if self._options.normalize:
                kept = torch.nn.functional.normalize(kept, dim=1)
            return {"embedding": to_numpy(kept)}

    def close(self) -> None:
        """Let the model go."""
        del self._network, self._asker


def _joined(texts: Sequence[str]) -> Any:
    """The item's texts, one a line."""
    parts: list[Any] = []
    for name in texts:
        parts += ["\n", field(name)] if parts else [field(name)]
    return tuple(parts)
