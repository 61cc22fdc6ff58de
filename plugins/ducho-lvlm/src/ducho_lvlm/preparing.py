"""Items to samples: texts cut and put into the prompts, images decoded, all of it tokenized."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from ducho_core import ItemError, Media, Sample
from ducho_lvlm import controls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image

    from ducho_core.extractor import InputValue, JointValue
    from ducho_lvlm.chat import Arrays, Chat, Question

PROBES = ("x", "Zebra 7, blue")
_PROBE_SIZES = ((64, 48), (40, 72))


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """One item, ready for the model.

    Attributes:
        prompts: by prompt, what there is a number of for each token.
        pixels: what belongs to the images; empty where there is none.
        content: digest of the item's texts and images.
    """

    prompts: dict[str, Any]
    pixels: dict[str, Any]
    content: bytes


class Preparation:
    """Prepares items for some questions. Safe from several threads.

    Args:
        chat: the model's processor.
        questions: by the name of the prompt.
        image: name of the input that is the image, or several joint ones, or None.
        texts: names of the inputs that are texts.
        control: what each image is replaced by.
        pool: files that ``other_image`` draws from.
        seed: of those draws.
        most: how many images of an item are shown.
    """

    def __init__(
        self,
        chat: Chat,
        questions: Mapping[str, Question],
        *,
        image: str | None,
        texts: Sequence[str],
        control: str = "none",
        pool: Sequence[str] = (),
        seed: int = 0,
        most: int = 8,
    ) -> None:
        self._chat = chat
        self._questions = dict(questions)
        self._image = image
        self._texts = tuple(texts)
        self._control = control
        self._pool = tuple(pool)
        self._seed = seed
        self._most = most

    def prepare(self, inputs: Mapping[str, InputValue | JointValue]) -> Sample:
        """Prepare one item.

        Raises:
            ItemError: one of its images or its texts cannot be used.
        """
        notes: set[str] = set()
        texts: dict[str, str] = {}
        content = hashlib.sha256()
        for name in self._texts:
            whole = "\n".join(map(str, _parts(inputs[name])))
            content.update(hashlib.sha256(whole.encode("utf-8", "surrogatepass")).digest())
            texts[name], was_cut = self._chat.cut(whole)
            if was_cut:
                notes.add("truncated")
        images: list[Image.Image] = []
        if self._image is not None:
            found = _parts(inputs[self._image])
            if len(found) > self._most:
                notes.add("images_left_out")
            own = {media.bytes for media in found if isinstance(media, Media)}
            for media in found[: self._most]:
                assert isinstance(media, Media)
                content.update(hashlib.sha256(media.bytes).digest())
                if self._control != "title_only":
                    images.append(self._chat.fit(self._shown(media, own, content.digest())))
                    notes.update(media.notes)
        return Sample(self._sample(texts, images, content.digest()), tuple(sorted(notes)))

    def probes(self) -> list[Prepared]:
        """Two made-up items that have nothing in common but the prompts."""
        from PIL import Image as Pillow

        found = []
        for text, size in zip(PROBES, _PROBE_SIZES, strict=True):
            images = []
            if self._image is not None and self._control != "title_only":
                images.append(Pillow.linear_gradient("L").resize(size).convert("RGB"))
            found.append(self._sample(dict.fromkeys(self._texts, text), images, text.encode()))
        return found

    def _sample(
        self, texts: Mapping[str, str], images: Sequence[Image.Image], content: bytes
    ) -> Prepared:
        prompts: dict[str, Arrays] = {}
        pixels: Arrays = {}
        for name, question in self._questions.items():
            rendered = self._chat.render(question, texts, len(images))
            tokens, pixels = self._chat.encode(rendered, images)
            if not len(tokens["input_ids"]):
                raise ItemError(0, "no_tokens", "the tokenizer makes no token of the prompt")
            prompts[name] = tokens
        return Prepared(prompts=prompts, pixels=pixels, content=content)

    def _shown(self, media: Media, own: set[bytes], content: bytes) -> Image.Image:
        if self._control == "other_image":
            other = controls.another(self._pool, self._seed, content, own)
            media.image()  # an item whose own image is broken has no row under any control
            return other.image()
        image = media.image()
        return controls.blank(image) if self._control == "blank_image" else image


def _parts(value: InputValue | JointValue) -> JointValue:
    return value if isinstance(value, tuple) else (value,)
