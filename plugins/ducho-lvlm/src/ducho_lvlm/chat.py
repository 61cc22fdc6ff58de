"""From an item to the tokens and pixels that a model takes, through its own chat template.

Texts of items are data. They enter the template as the content of a message, never as a part of
it; special tokens written out in them (``<|im_end|>``, ``<image>``) are broken by a blank, so
that they stay text; and that the rendered prompt holds the same markers, in the same order, as
it does for any other item is checked for each.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from ducho_hf import quiet

from ducho_core import ItemError, UsageError
from ducho_lvlm.processors import load_images, markers
from ducho_lvlm.prompts import Parts, filled, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from ducho_hf import ModelSource
    from PIL import Image

Arrays = dict[str, "npt.NDArray[Any]"]

_CHARACTERS_A_TOKEN = 64
_WIDEST = 200
_NOT_FOR_THE_MODEL = {"attention_mask", "labels"}  # batches make the one, training needs the other
_DATE = "26 Jul 2024"


class ChatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How items become tokens and pixels.

    Attributes:
        images: whether items have images.
        template: another chat template than the model's own.
        max_pixels: images are scaled down to so many.
        min_pixels: and up to so many, by models with a pixel budget of their own.
        split_images: whether images are cut into tiles; None as the model ships.
        max_text_tokens: texts are cut to so many tokens.
    """

    images: bool
    template: str | None = None
    max_pixels: int | None = None
    min_pixels: int = 0
    split_images: bool | None = None
    max_text_tokens: int = 256


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked about every item, ready to be rendered.

    Attributes:
        parts: the instruction, with places for the item's texts.
        system: the system's message, or empty.
        image_first: whether the image comes before the instruction.
        with_image: whether the item's images are shown.
        ending: text put after the rendered prompt.
    """

    parts: Parts
    system: str = ""
    image_first: bool = True
    with_image: bool = True
    ending: str = ""


class Chat:
    """A model's processor or tokenizer, with its chat template. Safe from several threads.

    Args:
        source: where the model lies.
        settings: how items become tokens and pixels.

    Raises:
        UsageError: the model has no chat template, or its processor cannot be loaded.
    """

    def __init__(self, source: ModelSource, settings: ChatSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self.preprocessing: dict[str, Any] = {}
        self._processor = self._load(source, settings)
        self.tokenizer = getattr(self._processor, "tokenizer", self._processor)
        template: Any = settings.template or getattr(self._processor, "chat_template", None)
        template = template or getattr(self.tokenizer, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default")
        if not template:
            raise UsageError(
                f"the model {source.name!r} has no chat template; give one with"
                " -o chat_template=@FILE, or take the instruction-tuned variant of the model"
            )
        self._template: str = template
        self._markers = markers(self._processor, self.tokenizer)
        self._expected: dict[tuple[Question, int], list[str]] = {}

    def render(self, question: Question, texts: Mapping[str, str], images: int = 1) -> str:
        """The prompt as the chat template writes it; an image is its placeholder.

        Args:
            question: what is asked.
            texts: the item's texts.
            images: how many images it has, where the question shows them.

        Raises:
            ItemError: ``marker_in_text``: a text would change the prompt's structure.
            UsageError: the template cannot take such a conversation.
        """
        rendered = self._rendered(question, texts, images)
        kind = (question, images)
        if kind not in self._expected:
            blank = self._rendered(question, dict.fromkeys(texts, ""), images)
            self._expected[kind] = self._markers.findall(blank)
        if self._markers.findall(rendered) != self._expected[kind]:
            raise ItemError(
                0, "marker_in_text", "a text of the item would change the structure of the prompt"
            )
        return rendered

    def cut(self, text: str) -> tuple[str, bool]:
        """A text as data: markers broken, no longer than ``max_text_tokens``; whether it was cut.

        The length is that of the text alone, as the tokenizer counts it.
        """
        limit = self.settings.max_text_tokens
        kept = text[: limit * _CHARACTERS_A_TOKEN].encode("utf-8", "replace").decode()
        kept = self._broken(kept)
        with self._lock:
            made = self.tokenizer(kept, add_special_tokens=False, verbose=False)
            ids = made["input_ids"]
            if len(ids) > limit:
                kept = self.tokenizer.decode(
                    ids[:limit], skip_special_tokens=False, clean_up_tokenization_spaces=False
                ).rstrip("\ufffd")
                kept = self._broken(kept)  # a tokenizer may make a marker of other letters
        return kept, len(ids) > limit or len(text) > limit * _CHARACTERS_A_TOKEN

    def encode(self, rendered: str, images: Sequence[Image.Image]) -> tuple[Arrays, Arrays]:
        """Tokens and pixels of a rendered prompt.

        Args:
            rendered: by ``render``.
            images: as many as it has places for.

        Returns:
            What there is a number of for each token (``input_ids`` and the like), each of shape
            (tokens,), int64; and what belongs to the images, as the processor gives it.

        Raises:
            ItemError: ``processor_error``: the processor refuses the image.
        """
        bos = self.tokenizer.bos_token
        special = not (bos and rendered.startswith(bos))
        with self._lock:
            try:
                if not images:
                    made = self._processor(
                        text=[rendered], add_special_tokens=special, return_tensors="pt"
                    )
                else:
                    made = self._processor(
                        text=[rendered],
                        images=list(images),
                        add_special_tokens=special,
                        return_tensors="pt",
                    )
            except (ValueError, ZeroDivisionError, IndexError) as error:
                raise ItemError(0, "processor_error", str(error)[:200]) from error
        shape = made["input_ids"].shape
        tokens: Arrays = {}
        pixels: Arrays = {}
        for name, tensor in made.items():
            if name in _NOT_FOR_THE_MODEL:
                continue
            array = tensor.numpy()
            if array.shape == shape:
                tokens[name] = array[0].astype(np.int64)
            else:
                pixels[name] = array
        return tokens, pixels

    def fit(self, image: Image.Image) -> Image.Image:
        """An image of no more than ``max_pixels``.

        Raises:
            ItemError: ``extreme_aspect_ratio``: one side is over 200 times the other.
        """
        from PIL import Image as Pillow

        short, long = sorted(image.size)
        if long > _WIDEST * short:
            raise ItemError(
                0,
                "extreme_aspect_ratio",
                f"an image of {image.width} x {image.height} pixels is too narrow for this model",
            )
        limit = self.settings.max_pixels
        if limit is None or image.width * image.height <= limit or self._own_budget:
            return image
        scale = (limit / (image.width * image.height)) ** 0.5
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        return image.resize(size, Pillow.Resampling.BICUBIC)

    def closing_token(self, candidates: list[int]) -> int:
        """Of several end tokens the one that the template puts after an answer.

        Args:
            candidates: ids of tokens that end an answer, at least one.
        """
        answer = "answer0"
        try:
            rendered = self._apply(
                [self._message("user", "question"), self._message("assistant", answer)]
            )
        except Exception:  # noqa: BLE001 - a template may take no answer
            return candidates[0]
        after = rendered.rpartition(answer)[2]
        named = {self.tokenizer.convert_ids_to_tokens(one): one for one in candidates}
        places = {after.find(name): one for name, one in named.items() if name in after}
        return places[min(places)] if places else candidates[0]

    def identity(self, question: Question) -> dict[str, Any]:
        """What of a question enters the SPEC: its words and the digest of the rendered prompt."""
        places = {
            one.name: f"{{{one.name}}}" for one in question.parts if not isinstance(one, str)
        }
        rendered = self._rendered(question, places, 1)
        return {
            "text": shown(question.parts),
            "system": question.system,
            "image_first": question.image_first,
            "rendered_sha256": hashlib.sha256(rendered.encode()).hexdigest(),
        }

    @property
    def template_sha256(self) -> str:
        """Digest of the chat template's source."""
        return hashlib.sha256(self._template.encode()).hexdigest()

    def _broken(self, text: str) -> str:
        while self._markers.search(text):
            text = self._markers.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        return text

    def _rendered(self, question: Question, texts: Mapping[str, str], images: int) -> str:
        messages = []
        if question.system:
            messages.append(self._message("system", question.system))
        user = self._message(
            "user",
            filled(question.parts, texts),
            images=images if question.with_image else 0,
            image_first=question.image_first,
        )
        messages.append(user)
        try:
            return self._apply(messages) + question.ending
        except ItemError:
            raise
        except Exception as error:
            raise UsageError(
                f"the chat template cannot render the prompt: {type(error).__name__}: {error}"
            ) from error

    def _apply(self, messages: list[dict[str, Any]]) -> str:
        more = {"date_string": _DATE} if "date_string" in self._template else {}
        answered = messages[-1]["role"] == "assistant"
        rendered: str = self._processor.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=not answered,
            chat_template=self._template,
            **more,
        )
        return rendered

    def _message(
        self, role: str, text: str, *, images: int = 0, image_first: bool = True
    ) -> dict[str, Any]:
        if self._processor is self.tokenizer:
            return {"role": role, "content": text}
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        shown: list[dict[str, Any]] = [{"type": "image"} for _ in range(images)]
        content = shown + content if image_first else content + shown
        return {"role": role, "content": content}

    def _load(self, source: ModelSource, settings: ChatSettings) -> Any:
        with quiet():
            from transformers import AutoProcessor, AutoTokenizer

            self._own_budget = False
            kind = AutoProcessor if settings.images else AutoTokenizer
            try:
                loaded = kind.from_pretrained(
                    source.folder, trust_remote_code=source.code, local_files_only=True
                )
            except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
                raise UsageError(
                    f"Transformers cannot load the processor of {source.name!r}: {error}"
                ) from error
            if settings.images:
                if not hasattr(loaded, "image_processor"):
                    raise UsageError(
                        f"the model {source.name!r} takes no images; leave them out (--image none)"
                    )
                loaded.image_processor, self.preprocessing, self._own_budget = load_images(
                    source, settings
                )
        return loaded
