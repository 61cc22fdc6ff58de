"""Vectors of texts from an extractor of any plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ducho_core import (
    DeviceMemoryError,
    InputField,
    ItemError,
    Registry,
    ResolveContext,
    UsageError,
    parse_options,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ducho_core import Extractor, Sample
    from ducho_core.extractor import JSON
    from ducho_lvlm.slots.options import SlotsOptions

_INPUT = "text"
_TOGETHER = 4096


class TextVectors:
    """An extractor, resolved at once and loaded when the first text comes.

    Args:
        options: which extractor, its options, and which of its outputs.

    Attributes:
        identity: what makes the vectors, for the SPEC: the extractor, its options as it
            resolved them, its model, its precision.

    Raises:
        UsageError: it takes no texts, or its embedding is not told.
        PluginError: it cannot be used.
    """

    def __init__(self, options: SlotsOptions) -> None:
        self._found = Registry.discover().extractor(options.text_plugin)
        spec = self._found.spec
        name = self._found.canonical
        if "text" not in spec.inputs:
            raise UsageError(f"text_plugin={options.text_plugin}: {name} takes no texts")
        parsed, self._run_options = parse_options(
            name,
            self._found.options_type(),
            self._found.run_options_type(),
            options.text_options,
        )
        context = ResolveContext(
            precision=spec.default_precision,
            run_options=self._run_options,
            inputs=(InputField(name=_INPUT, modality="text", storage="inline"),),
        )
        self._implementation: type[Extractor] = self._found.import_implementation()
        self._resolved = self._implementation.resolve(parsed, context)
        self._output = _embedding(self._resolved.outputs, options.text_output, name)
        resolved: dict[str, JSON] = {
            "extractor": name,
            "numerics": spec.numerics,
            "options": _plain(self._resolved.options),
            "identity": {
                **self._resolved.identity,
                **self._resolved.input_identity.get(_INPUT, {}),
            },
            "precision": dict(self._resolved.precision),
            "output": self._output,
        }
        self.identity: dict[str, JSON] = _plain(resolved)
        self._extractor: Extractor | None = None

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of texts, (n, dim); zeros for one that the extractor cannot use."""
        if self._extractor is None:
            self._extractor = self._implementation.load(self._resolved, self._run_options)
        dim = next(one.dim for one in self._extractor.outputs if one.name == self._output)
        vectors = np.zeros((len(texts), int(dim or 0)), np.float32)
        for start in range(0, len(texts), _TOGETHER):
            samples = self._prepare(self._extractor, texts[start : start + _TOGETHER])
            for batch in self._batches(self._extractor, samples):
                self._extract(self._extractor, batch, vectors[start:])
        return vectors

    def close(self) -> None:
        """Let the model go; it is loaded again where it is needed again."""
        if self._extractor is not None:
            self._extractor.close()
            self._extractor = None

    def _prepare(self, extractor: Extractor, texts: Sequence[str]) -> list[tuple[int, Sample]]:
        inputs = [{_INPUT: text} for text in texts]
        try:
            return list(enumerate(extractor.prepare_many(inputs)))
        except ItemError:
            found = []
            for at, one in enumerate(inputs):
                try:
                    found.append((at, extractor.prepare_many([one])[0]))
                except ItemError:
                    continue
            return found

    def _batches(
        self, extractor: Extractor, samples: Sequence[tuple[int, Sample]]
    ) -> list[list[tuple[int, Sample]]]:
        spec = self._found.spec
        batches: list[list[tuple[int, Sample]]] = []
        longest = total = 0
        for size, at, sample in sorted(
            ((extractor.size(sample), at, sample) for at, sample in samples),
            key=lambda one: one[:2],
        ):
            longest, total = max(longest, size), total + size
            count = len(batches[-1]) + 1 if batches else 1
            cost = count * longest if spec.padded else total
            full = spec.batch_budget is not None and cost > spec.batch_budget
            if not batches or full or count > spec.batch_size:
                batches.append([])
                longest = total = size
            batches[-1].append((at, sample))
        return batches

    def _extract(
        self,
        extractor: Extractor,
        batch: list[tuple[int, Sample]],
        vectors: npt.NDArray[np.float32],
    ) -> None:
        try:
            made = extractor.extract([sample for _at, sample in batch])[self._output]
        except ItemError as error:
            rest = batch[: error.index] + batch[error.index + 1 :]
            if rest:
                self._extract(extractor, rest, vectors)
        except (DeviceMemoryError, MemoryError):
            if len(batch) == 1:
                raise
            self._extract(extractor, batch[: len(batch) // 2], vectors)
            self._extract(extractor, batch[len(batch) // 2 :], vectors)
        else:
            vectors[[at for at, _sample in batch]] = np.asarray(made, np.float32)


def _embedding(outputs: Sequence[Any], wanted: str | None, name: str) -> str:
    names = [one.name for one in outputs if one.kind == "embedding"]
    chosen = wanted or (names[0] if len(names) == 1 else None)
    if chosen is None or chosen not in names:
        listed = ", ".join(names) or "none"
        raise UsageError(f"{name} gives the embeddings {listed}: say which, -o text_output=NAME")
    return chosen


def _plain(value: Any) -> Any:
    """As JSON gives it back, so that it can be compared with what was kept."""
    return msgspec.json.decode(msgspec.json.encode(value, order="deterministic"))
