"""``audio/encoder``: pooled layers of a Transformers sound encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
import torch
from ducho_hf import (
    HiddenStates,
    States,
    layer_count,
    load_encoder,
    locate,
    output_names,
    pool,
    read_config,
    resolve_layers,
    tower_config,
)
from ducho_torch import (
    Precision,
    checkpoint_dtype,
    computing,
    memory_errors,
    resolve_device,
    resolve_precision,
    to_numpy,
)

from ducho_audio.division import Division
from ducho_audio.frontend import Frontend, Windows, load_frontend
from ducho_audio.models import ENCODER_MODELS
from ducho_audio.passes import Passes, join
from ducho_core import Extractor, Media, Output, ResolveContext, Resolved, Sample, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ducho_audio.frontend import Arrays
    from ducho_audio.options import AudioRunOptions, EncoderOptions
    from ducho_core.extractor import InputValue

Vectors = dict[str, tuple["npt.NDArray[np.float32]", "npt.NDArray[np.float64]"]]


class EncoderExtractor(Extractor):
    """Frame vectors of a sound encoder, pooled: an output for each layer and pooling.

    Sounds are decoded to mono at the model's rate and cut into windows, each of which passes
    the model's own feature extractor; the pooled windows of a sound are averaged by the frames
    that hold sound (``max``: the largest of each number; ``last``: the last window's). No
    number depends on the sounds beside it: windows are padded only where the model masks
    padding right, and otherwise share a pass with windows of the very same length.
    """

    def __init__(
        self,
        frontend: Frontend,
        division: Division,
        model: Any,
        names: dict[str, tuple[int | None, str]],
        precision: Precision,
        device: torch.device,
        *,
        passes: Passes,
        every_frame: bool = False,
    ) -> None:
        self._frontend = frontend
        self._division = division
        self._names = names
        self._precision = precision
        self._device = device
        self._passes = passes
        self._every_frame = every_frame
        layers = sorted({layer for layer, _ in names.values() if layer is not None})
        noise = np.random.default_rng(0).normal(0, 0.1, division.window).astype(np.float32)
        probe = Sample(
            Windows.of(frontend, division, noise[: max(division.minimum, division.rate)])
        )
        with computing(precision, device):
            self._states = HiddenStates(model, layers, self._inputs(probe.data.arrays * 2))
        found = self.extract([probe])
        self.outputs = tuple(
            Output(name=name, dim=int(vectors.shape[1])) for name, vectors in found.items()
        )

    @classmethod
    def resolve(cls, options: EncoderOptions, context: ResolveContext) -> Resolved:
        """Find the model, check layers, poolings and windows, hash its files."""
        source = locate(options, suggestions=ENCODER_MODELS)
        whole = read_config(source)
        if whole.model_type == "clap":
            raise UsageError(
                f"{source.name!r} is a CLAP model: its sounds and texts are audio/clap's"
            )
        config = tower_config(whole, "audio")
        layers = resolve_layers(options.layers, layer_count(config), source.name)
        names = output_names(layers, options.pooling)
        frontend = load_frontend(source, config)
        _check_pooling(frontend, options, source.name)
        division = _division(frontend, options)
        precision = resolve_precision(
            context.precision,
            resolve_device(context.run_options.device),
            checkpoint_dtype(source.paths(source.weight_files()))
            if context.precision == "native"
            else None,
        )
        adapted = getattr(config, "add_adapter", False) and not layers
        dim = getattr(config, "output_hidden_size" if adapted else "hidden_size", None)
        return Resolved(
            label=source.label,
            identity={
                **source.identity(),
                **source.digests(),
                "architecture": config.model_type,
                "preprocessing": {**frontend.settings(), **division.settings()},
            },
            outputs=tuple(
                Output(name=name, dim=dim if isinstance(dim, int) else None) for name in names
            ),
            options=msgspec.structs.replace(
                options, model=source.name, revision=source.commit, layers=layers
            ),
            precision=precision.values(),
            state=source,
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: AudioRunOptions) -> Self:
        """Load feature extractor and encoder."""
        options: EncoderOptions = resolved.options
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        frontend = load_frontend(
            resolved.state, tower_config(read_config(resolved.state), "audio")
        )
        model = load_encoder(
            resolved.state, "audio", precision, device, pooler="pooler" in options.pooling
        )
        return cls(
            frontend,
            _division(frontend, options),
            model,
            output_names(options.layers, options.pooling),
            precision,
            device,
            passes=Passes(int(run_options.pass_seconds * frontend.rate)),
            every_frame=options.frames == "all",
        )

    def prepare(self, inputs: Mapping[str, InputValue]) -> Sample:
        """Decode a sound, cut it into windows, run the feature extractor on each.

        Raises:
            ItemError: the sound cannot be used.
        """
        (media,) = inputs.values()
        assert isinstance(media, Media)
        samples = self._division.decode(media)
        return Sample(Windows.of(self._frontend, self._division, samples), tuple(media.notes))

    def size(self, sample: Sample) -> int:
        """Samples that go through the model, padding included."""
        return sum(self._costs(sample.data))

    def extract(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.float32]]:
        """Passes over the windows of all sounds, every output pooled from them."""
        batch: list[Windows] = [sample.data for sample in samples]
        arrays = [one for windows in batch for one in windows.arrays]
        lengths = [length for windows in batch for length in windows.lengths]
        costs = [cost for windows in batch for cost in self._costs(windows)]
        kinds = [
            None if self._frontend.masked else tuple(array.shape for array in one.values())
            for one in arrays
        ]
        vectors: dict[str, npt.NDArray[np.float32]] = {}
        weights: dict[str, npt.NDArray[np.float64]] = {}

        def compute(rows: list[int]) -> Vectors:
            with memory_errors(), computing(self._precision, self._device):
                return self._pooled([arrays[row] for row in rows], [lengths[row] for row in rows])

        for rows, found in self._passes.run(kinds, costs, compute):
            for name, (part, weight) in found.items():
                if name not in vectors:
                    vectors[name] = np.empty((len(arrays), part.shape[1]), np.float32)
                    weights[name] = np.empty(len(arrays))
                vectors[name][rows] = part
                weights[name][rows] = weight
        counts = [len(windows.arrays) for windows in batch]
        return {
            name: join(how, vectors[name], weights[name], counts)
            for name, (_, how) in self._names.items()
        }

    def close(self) -> None:
        """Let the model go."""
        del self._states

    def _costs(self, windows: Windows) -> list[int]:
        if self._frontend.fixed:
            return [int(self._frontend.length * self._frontend.rate)] * len(windows.lengths)
        return windows.lengths

    def _inputs(self, windows: Sequence[Arrays]) -> dict[str, torch.Tensor]:
        inputs = {}
        for name, array in self._frontend.batch(windows).items():
            tensor = torch.from_numpy(array).to(self._device)
            inputs[name] = (
                tensor.to(self._precision.dtype) if tensor.is_floating_point() else tensor
            )
        return inputs

    def _pooled(self, windows: Sequence[Arrays], lengths: Sequence[int]) -> Vectors:
        states = self._states.run(self._inputs(windows))
        masks: dict[int, tuple[torch.Tensor, npt.NDArray[np.float64]]] = {}
        found: Vectors = {}
        for name, (layer, how) in self._names.items():
            positions = _positions(states, layer)
            if positions not in masks:
                masks[positions] = self._mask(lengths, positions)
            mask, weights = masks[positions]
            found[name] = to_numpy(pool(states, layer, how, mask)), weights
        return found

    def _mask(
        self, lengths: Sequence[int], positions: int
    ) -> tuple[torch.Tensor, npt.NDArray[np.float64]]:
        frames = np.array([self._frontend.frames(one, positions) for one in lengths])
        mask = self._frontend.holds_sound(frames, positions)
        if self._every_frame:
            mask = np.ones_like(mask)
        return torch.from_numpy(mask.astype(np.int64)).to(self._device), frames.astype(float)


def _division(frontend: Frontend, options: EncoderOptions) -> Division:
    return Division.of(
        options,
        frontend.rate,
        length=frontend.length,
        fixed=frontend.fixed,
        minimum=frontend.minimum,
    )


def _positions(states: States, layer: int | None) -> int:
    hidden = states.last if layer is None else states.hidden[layer]
    if hidden is None or hidden.ndim != 3:
        raise UsageError(
            "this model gives no sequence of frame vectors, which audio/encoder pools"
        )
    return int(hidden.shape[1])


def _check_pooling(frontend: Frontend, options: EncoderOptions, name: str) -> None:
    wrong = {"last"} if frontend.tokens else {"cls", "pooler"}
    for how in options.pooling:
        if how in wrong:
            what = "tokens, not frames in the order of time" if frontend.tokens else "frames only"
            right = "mean, max, cls or pooler" if frontend.tokens else "mean, max or last"
            raise UsageError(f"pooling={how}: {name!r} gives {what}; choose {right}")
    if options.frames == "all" and not frontend.fixed:
        raise UsageError(
            f"frames=all: {name!r} pads no windows, so all frames hold sound; leave it out"
        )
