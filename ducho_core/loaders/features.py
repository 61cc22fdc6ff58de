"""``core/set``: the text outputs of a feature set as a source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from ducho_core.errors import SourceError, UsageError
from ducho_core.loader import Loader
from ducho_core.loaders.assemble import Assembler
from ducho_core.loaders.header import Header
from ducho_core.loaders.options import SetOptions
from ducho_core.loaders.parquet import as_column
from ducho_core.loaders.reading import MAX_ROWS, TableColumn, TableReader
from ducho_core.loaders.settle import Settled, settle
from ducho_core.loaders.suggest import did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from ducho_core.catalogue import Binding
    from ducho_core.store import FeatureSet


class SetLoader(Loader):
    """Texts that an extractor wrote, such as captions, with the keys they were written under.

    The source is ``set:NAME:OUTPUT``, or ``set:NAME`` where the set has one text output or
    ``--text`` says what to take: an output or a template over outputs and keys.

    Attributes:
        keys: see ``Loader``.
        inputs: see ``Loader``.
        root: see ``Loader``.
        remarks: see ``Loader``.
        identity: ``set``, the fingerprint, and ``output``, the outputs that are read.
    """

    def __init__(self, assembler: Assembler, settled: Settled, features: FeatureSet) -> None:
        self._assembler = assembler
        self.keys = assembler.keys
        self.inputs = tuple(one.field for one in settled.inputs)
        self.root = None
        self.remarks = settled.remarks
        read = [name for one in settled.inputs for name in one.template.columns]
        outputs = [name for name in dict.fromkeys(read) if name in features.outputs]
        self.identity = {
            "set": features.fingerprint,
            "output": outputs[0] if len(outputs) == 1 else outputs,
        }

    @classmethod
    def open(cls, source: str, binding: Binding, options: Any) -> Self:
        """Open the set and settle keys and inputs. See ``Loader.open``."""
        from ducho_core.store import Store

        chosen: SetOptions = options or SetOptions()
        if "text" not in binding.accepts:
            raise UsageError(
                f"{source} gives texts, and this extractor takes {' and '.join(binding.accepts)}"
            )
        if binding.keys or binding.image is not None or binding.audio is not None:
            flag = "--key" if binding.keys else "--image" if binding.image else "--audio"
            raise UsageError(f"{source} has keys and texts of its own: leave out {flag}")
        name, _, output = source.removeprefix("set:").partition(":")
        if not name:
            raise UsageError(f"a set as a source is written set:NAME:OUTPUT, not {source!r}")
        features = Store(chosen.store).open(name)
        reader = _SetReader(features, source)
        if output and binding.texts:
            raise UsageError(f"{source} names its output: leave out :{output} or --text")
        texts = binding.texts or ((None, _text_output(features, name, output)),)
        keys = tuple(f"{key}={key}" for key in features.keys)
        bound = replace(binding, accepts=("text",), keys=keys, texts=texts, slots="all")
        header = Header(source, bound, reader)
        settled = settle(header)
        return cls(Assembler(reader, settled, bound, "."), settled, features)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the set's rows. See ``Loader.batches``."""
        return self._assembler.batches()


class _SetReader(TableReader):
    """A feature set as a table of its keys and its text and scalar outputs."""

    def __init__(self, features: FeatureSet, source: str) -> None:
        super().__init__(source)
        self.name = source
        self._features = features
        kinds = {one["name"]: one["kind"] for one in features.spec["outputs"]}
        self.columns = (
            *(TableColumn(key) for key in features.keys),
            *(
                TableColumn(name, "other", "embeddings, from which no text can be read", key=False)
                if kind == "embedding"
                else TableColumn(name)
                for name, kind in kinds.items()
            ),
        )

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in self._features.batches(list(names)):
            for start in range(0, batch.num_rows, MAX_ROWS):
                piece = batch.slice(start, MAX_ROWS)
                arrays = [as_column(piece.column(name)) for name in names]
                yield pa.record_batch(arrays, names=list(names))

    def where(self, row: int) -> str:
        return f"row {row + 1}"


def _text_output(features: FeatureSet, name: str, output: str) -> str:
    """The output to read texts from.

    Raises:
        UsageError: it does not exist, holds no texts, or there are several.
        SourceError: the set has no text at all.
    """
    kinds: dict[str, str] = {one["name"]: one["kind"] for one in features.spec["outputs"]}
    texts = [one for one, kind in kinds.items() if kind == "text"]
    if not texts:
        raise SourceError(
            f"set:{name} holds no texts; its outputs: {listing(list(kinds))}, all of them numbers"
        )
    choices = " or ".join(f"set:{name}:{one}" for one in texts)
    if not output:
        if len(texts) > 1:
            raise UsageError(f"set:{name} has {len(texts)} texts; name one: {choices}")
        return texts[0]
    if output not in kinds:
        raise UsageError(
            f"set:{name} has no output {output!r}{did_you_mean(output, kinds)}; its texts:"
            f" {choices}"
        )
    if kinds[output] == "embedding":
        raise UsageError(f"set:{name}:{output} is an embedding, not a text; its texts: {choices}")
    return output
