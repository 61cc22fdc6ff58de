"""How one answer comes about, token by token: freely, or into the slots of a form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from ducho_lvlm.prompts import Slot
    from ducho_lvlm.vocabulary import Vocabulary


class Script(ABC):
    """One answer in the making.

    Attributes:
        done: whether the last tokens that were handed out end with the end-of-turn token.
        complete: whether the model ended the answer by itself, and was not cut off.
        tokens: the answer so far, without the end-of-turn token.
        given: whether its first tokens follow whatever the model says.
    """

    given: ClassVar[bool] = False

    def __init__(self) -> None:
        self.done = False
        self.complete = True
        self.tokens: list[int] = []

    def begin(self) -> list[int]:
        """Tokens that follow the prompt whatever the model says; none where it says the first."""
        return []

    def allowed(self) -> torch.Tensor | None:
        """Which tokens may come next, shape (vocabulary,); None for any."""
        return None

    @abstractmethod
    def take(self, token: int) -> list[int]:
        """Take the chosen token; the tokens that are to be fed next, at least one."""

    @abstractmethod
    def text(self) -> str:
        """The answer."""


class FreeScript(Script):
    """Whatever the model says, up to a length, as Transformers' ``generate`` has it.

    Args:
        vocabulary: to decode with.
        ends: tokens that end an answer.
        end: the one that is appended to an answer that was cut.
        most: longest answer in tokens, the end token included where the model gives it.
    """

    def __init__(self, vocabulary: Vocabulary, ends: frozenset[int], end: int, most: int) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._ends = ends
        self._end = end
        self._most = most

    def take(self, token: int) -> list[int]:
        if token in self._ends:
            self.done = True
            return [token]
        self.tokens.append(token)
        if len(self.tokens) < self._most:
            return [token]
        self.done, self.complete = True, False
        return [token, self._end]

    def text(self) -> str:
        return self._vocabulary.decode(self.tokens).strip()


@dataclass(slots=True)
class _Node:
    """Where in the listed values of a slot an answer is.

    Attributes:
        next: token to the node that it leads to.
        value: the value that ends here, or None.
    """

    next: dict[int, _Node] = field(default_factory=dict)
    value: str | None = None


class Form:
    """The form of an answer: what is fixed, and what may stand in its slots.

    Args:
        vocabulary: the model's.
        slots: at least one.
        end: the end-of-turn token.
        most: longest free value in tokens.
    """

    def __init__(self, vocabulary: Vocabulary, slots: Sequence[Slot], end: int, most: int) -> None:
        self.vocabulary = vocabulary
        self.labels = [slot.label for slot in slots]
        self.most = most
        opened = ["[" + slots[0].label + "] {"]
        opened += ["}, [" + slot.label + "] {" for slot in slots[1:]]
        self.before = [vocabulary.encode(one) for one in opened]
        self.after = vocabulary.encode("}")
        self.end = end
        self.trees = [self._tree(slot) if slot.values else None for slot in slots]
        self.going_on = vocabulary.masks.inside | vocabulary.masks.closing

    def _tree(self, slot: Slot) -> _Node:
        root = _Node()
        for value in slot.values:
            node = root
            for token in self.vocabulary.encode(value):
                node = node.next.setdefault(token, _Node())
            node.value = value
        return root


class FormScript(Script):
    """The slots of a form, one after another: labels and brackets given, values the model's.

    Where only one token can follow, nobody is asked: it goes along with those before it.
    """

    given: ClassVar[bool] = True

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form
        self._at = 0
        self._value: list[int] = []
        self._node = form.trees[0]
        self.values: list[str] = []

    def begin(self) -> list[int]:
        return self._handed(self._form.before[0] + self._forced())

    def allowed(self) -> torch.Tensor | None:
        vocabulary = self._form.vocabulary
        if self._node is None:
            return self._form.going_on if self._value else vocabulary.masks.opening
        tokens = list(self._node.next)
        if self._node.value is not None:
            tokens += vocabulary.closers
        return vocabulary.only(tokens)

    def take(self, token: int) -> list[int]:
        if self._node is None:
            if token in self._form.vocabulary.closers:
                return self._handed(self._close())
            self._value.append(token)
            if len(self._value) < self._form.most:
                return self._handed([token])
            return self._handed([token, *self._close()])
        if token not in self._node.next:
            return self._handed(self._close())
        self._value.append(token)
        self._node = self._node.next[token]
        return self._handed([token, *self._forced()])

    def text(self) -> str:
        pairs = zip(self._form.labels, self.values, strict=False)
        return ", ".join(f"[{label}] {{{value}}}" for label, value in pairs)

    def _forced(self) -> list[int]:
        """Tokens that follow without a choice, as far as they go."""
        forced: list[int] = []
        while self._node is not None and len(self._node.next) < 2:
            if not self._node.next:
                return forced + self._close()
            if self._node.value is not None:
                return forced
            ((token, self._node),) = self._node.next.items()
            self._value.append(token)
            forced.append(token)
        return forced

    def _close(self) -> list[int]:
        """Tokens between this value and the next choice."""
        form = self._form
        told = self._node.value if self._node is not None else None
        self.values.append(told or form.vocabulary.decode(self._value).strip())
        self._at += 1
        self._value = []
        if self._at == len(form.labels):
            self.done = True
            return [*form.after, form.end]
        self._node = form.trees[self._at]
        return form.before[self._at] + self._forced()

    def _handed(self, tokens: list[int]) -> list[int]:
        self.tokens += tokens[:-1] if self.done else tokens
        return tokens
