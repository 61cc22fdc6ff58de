"""``custom/model``: the user's own model, in whatever form it was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from ducho_core import Extractor, Resolved
from ducho_custom.choice import settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core import Media, ResolveContext, Sample
    from ducho_custom.options import CustomOptions, CustomRunOptions


class CustomExtractor(Extractor):
    """A model of the user's own; which class carries it out depends on its form.

    The forms are ``timm``, ``torchvision`` and ``transformers`` (an architecture of theirs with
    weights), ``factory`` (the user's code makes the network), ``module`` (a whole pickled
    network), ``torchscript``, ``exported`` and ``onnx``. What could run code is loaded only
    where its sha256 is pinned.
    """

    threadsafe_prepare: ClassVar[bool] = True

    def __init__(self, inner: Extractor) -> None:
        self._inner = inner
        self.outputs = inner.outputs
        self.circumstances = inner.circumstances

    @classmethod
    def resolve(cls, options: CustomOptions, context: ResolveContext) -> Resolved:
        """Settle the form, find and hash the files, refuse what may not be loaded.

        Raises:
            UsageError: the options name no model that can be loaded.
            OptionError: options that do not fit together.
        """
        return settle(options, context)

    @classmethod
    def load(cls, resolved: Resolved, run_options: CustomRunOptions) -> Self:
        """Load the model and make a first pass.

        Raises:
            UsageError: the weights lack what an output needs, there is no such layer, or the
                file is not the one that was pinned.
        """
        form, state = resolved.state
        return cls(form.load(resolved, state, run_options))

    def prepare(self, inputs: Mapping[str, str | Media]) -> Sample:
        """Prepare one item.

        Raises:
            ItemError: it cannot be used.
        """
        return self._inner.prepare(inputs)

    def prepare_many(self, inputs: Sequence[Mapping[str, str | Media]]) -> list[Sample]:
        """Prepare a slice of items."""
        return self._inner.prepare_many(inputs)

    def size(self, sample: Sample) -> int:
        """Tokens of a text; 1 for an image."""
        return self._inner.size(sample)

    def extract(self, samples: Sequence[Sample]) -> Mapping[str, Any]:
        """One pass over a batch for all outputs."""
        return self._inner.extract(samples)

    def close(self) -> None:
        """Let the model go."""
        self._inner.close()
