"""Prompts: small TOML files with an instruction, perhaps slots and an example.

::

    order = "image_first"          # or text_first
    system = ""                    # optional
    instruction = "Describe the product in the picture, called {title}."
    example = "[Color] {red}, [Material] {cotton}"

    [[slots]]
    label = "Color"
    values = ["red", "blue"]       # optional: nothing else is allowed

``{title}`` stands for the item's text of that name, ``{slots}`` for the form of the answer,
``{example}`` for the example; ``{{`` and ``}}`` are braces. What of slots, example and texts has
no place in the instruction is added below it.
"""

from __future__ import annotations

import os
import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PRESETS = ("describe", "word", "misaligned", "baby", "pets", "clothing", "recipes", "movies")
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}\s]+)\}|[{}]")
_LABEL = re.compile(r"[^\[\]{}\n\r]+")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Slot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One labelled slot of the answer.

    Attributes:
        label: what stands in brackets before the value.
        values: the only values allowed; none for any.
    """

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    values: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """Name of the text output that takes the value."""
        return "slot_" + re.sub(r"\W+", "_", self.label.casefold()).strip("_")


class Prompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is asked.

    Attributes:
        name: the preset's or the file's, without suffix.
        instruction: with placeholders.
        system: a message of the system before it, or empty.
        example: an answer as it should be.
        order: whether the image comes before or after the instruction.
        slots: the labelled values that the answer is made of; none for a free answer.
    """

    name: str = ""
    instruction: Annotated[str, msgspec.Meta(min_length=1)]
    system: str = ""
    example: str = ""
    order: Literal["image_first", "text_first"] = "image_first"
    slots: tuple[Slot, ...] = ()

    def text(self, fields: Sequence[str]) -> tuple[str | _Field, ...]:
        """The instruction in parts: fixed texts, and places of the item's texts.

        Args:
            fields: names of the texts that items have.

        Raises:
            UsageError: a placeholder has no text, or a brace stands alone.
        """
        parts: list[str | _Field] = []
        used: set[str] = set()
        at = 0
        for match in _PLACE.finditer(self.instruction):
            parts.append(self.instruction[at : match.start()])
            at = match.end()
            parts.append(self._place(match, fields))
            used.add(match.group(1) or "")
        parts.append(self.instruction[at:])
        if self.slots and "slots" not in used:
            parts.append(f"\nAnswer in exactly this form: {self.form}")
        if self.example and "example" not in used:
            parts.append(f"\nExample: {self.example}")
        for name in fields:
            if name not in used:
                parts += [f"\n{name.replace('_', ' ').capitalize()}: ", _Field(name)]
        return tuple(part for part in parts if part != "")

    @property
    def form(self) -> str:
        """The form of the answer, for the model to read."""
        return ", ".join(
            f"[{slot.label}] {{{' | '.join(slot.values) if slot.values else '...'}}}"
            for slot in self.slots
        )

    def _place(self, match: re.Match[str], fields: Sequence[str]) -> str | _Field:
        whole, name = match.group(0), match.group(1)
        if whole in ("{{", "}}"):
            return whole[0]
        if name == "slots" and self.slots:
            return self.form
        if name == "example" and self.example:
            return self.example
        if name in fields:
            return _Field(name)
        if name is None:
            raise UsageError(
                f"prompt {self.name!r}: a brace {whole} stands alone; a brace is written"
                f" {whole * 2}"
            )
        raise UsageError(
            f"prompt {self.name!r} names {{{name}}}, and items have"
            f" {', '.join(fields) or 'no text'}; bind it with --text {name}=COLUMN, or write"
            f" {{{{{name}}}}} for the braces themselves"
        )


class _Field(msgspec.Struct, frozen=True):
    """A place in a prompt that an item's text of this name goes to."""

    name: str


Parts = tuple[str | _Field, ...]


def field(name: str) -> _Field:
    """The place of an item's text."""
    return _Field(name)


def filled(parts: Parts, texts: Mapping[str, str]) -> str:
    """The instruction with an item's texts in their places, each verbatim."""
    return "".join(texts[one.name] if isinstance(one, _Field) else one for one in parts)


def shown(parts: Parts) -> str:
    """The instruction with its placeholders, for the SPEC and for messages."""
    return filled(parts, {one.name: f"{{{one.name}}}" for one in parts if isinstance(one, _Field)})


def read_prompt(named: str) -> Prompt:
    """Read a preset or a TOML file.

    Raises:
        UsageError: there is none, or it is no prompt; says what is wrong.
    """
    path = os.path.expanduser(named)
    if named in PRESETS and not os.path.isfile(path):
        content = resources.files("ducho_lvlm").joinpath("presets", f"{named}.toml").read_bytes()
        return _parsed(content, named, f"the preset {named}")
    if not os.path.isfile(path):
        raise UsageError(
            f"there is no prompt {named!r}: give a TOML file, or a preset: {', '.join(PRESETS)}"
        )
    with open(path, "rb") as file:
        content = file.read()
    base = os.path.basename(path)
    name = base.rpartition(".")[0] or base
    return _parsed(content, re.sub(r"[^a-z0-9_-]+", "_", name.lower()), f"the prompt file {base}")


def read_prompts(named: Sequence[str]) -> tuple[Prompt, ...]:
    """Read several; their names must differ.

    Raises:
        UsageError: as ``read_prompt``, or two have one name.
    """
    prompts = tuple(read_prompt(one) for one in named)
    names = [one.name for one in prompts]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two prompts are called {name!r}: rename one file")
    return prompts


def _parsed(content: bytes, name: str, where: str) -> Prompt:
    try:
        made = tomllib.loads(content.decode("utf-8"))
        prompt = msgspec.convert({**made, "name": name}, Prompt)
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"{where} is no prompt: {error}") from error
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{where}: outputs are called by its name, so it needs a name of a-z, 0-9, _ and -"
        )
    if not prompt.instruction.strip():
        raise UsageError(f"{where}: its instruction is blank")
    columns: dict[str, str] = {}
    for slot in prompt.slots:
        wrong = [one for one in (slot.label, *slot.values) if not _LABEL.fullmatch(one.strip())]
        if wrong:
            raise UsageError(
                f"{where}: the slot {slot.label!r} has {wrong[0]!r}; labels and values are one"
                " line without brackets and braces, and not empty"
            )
        if any(one != one.strip() for one in (slot.label, *slot.values)):
            raise UsageError(f"{where}: {slot.label!r} or a value of it has blanks at an end")
        if slot.column == "slot_" or slot.column in columns:
            raise UsageError(
                f"{where}: the label {slot.label!r} gives the column {slot.column!r}, as"
                f" {columns.get(slot.column, 'no other')!r} does; labels need letters, and to"
                " differ"
            )
        if len({one.casefold() for one in slot.values}) != len(slot.values):
            raise UsageError(
                f"{where}: the slot {slot.label!r} lists a value twice; case makes no difference"
            )
        columns[slot.column] = slot.label
    return prompt
