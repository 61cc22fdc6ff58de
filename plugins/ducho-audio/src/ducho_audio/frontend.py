"""What each family of models makes of a window of samples, and which frames hold sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from ducho_hf import quiet

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from ducho_hf import ModelSource

    from ducho_audio.division import Division

    Arrays = dict[str, npt.NDArray[np.generic]]

# Encoders that Transformers masks right: a padded sound gives what it gives alone. Others pad
# with what spreads: a group norm over time, several layers of positional convolutions, an adapter.
_MASKED_RIGHT = {"hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm"}
_WITHIN_MINIMUM = 10


class Frontend:
    """A model's own feature extractor. This one leaves windows as long as they are.

    Windows are batched with others whose arrays are of the same shape, so that nothing is
    padded.

    Args:
        extractor: a Transformers feature extractor.
        config: the model's configuration.

    Attributes:
        length: seconds of a window where the user names none.
        fixed: whether the model takes no longer windows than that.
        masked: whether windows of different lengths may share a pass, padded and masked.
        tokens: whether the model gives tokens rather than frames in the order of time.
        minimum: fewest samples that the model can use.
    """

    length: float = 30.0
    fixed: ClassVar[bool] = False
    tokens: ClassVar[bool] = False
    masked: bool = False

    def __init__(self, extractor: Any, config: Any) -> None:
        self.extractor = extractor
        self.config = config
        self.rate = int(extractor.sampling_rate)
        # Below that the feature extractors in question fail, each in its own way.
        self.minimum = self.rate // _WITHIN_MINIMUM

    def arrays(self, samples: npt.NDArray[np.float32]) -> Arrays:
        """The model's inputs for one window, without the batch axis."""
        made = self._made(samples)
        return {name: np.ascontiguousarray(array[0]) for name, array in made.items()}

    def frames(self, samples: int, positions: int) -> int:  # noqa: ARG002 - others need it
        """How many of a window's positions hold sound."""
        return positions

    def holds_sound(self, frames: npt.NDArray[np.int64], positions: int) -> npt.NDArray[np.bool_]:
        """Which positions hold sound, shape (n, positions)."""
        return np.arange(positions) < frames[:, None]

    def batch(self, windows: Sequence[Arrays]) -> Arrays:
        """Inputs of one pass."""
        return {name: np.stack([one[name] for one in windows]) for name in windows[0]}

    def settings(self) -> dict[str, Any]:
        """What of the feature extractor changes the numbers, for the SPEC."""
        found = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.extractor.to_dict().items()
            if isinstance(value, bool | int | float | str | list | tuple)
            and name not in ("feature_extractor_type", "processor_class")
        }
        return {"feature_extractor": type(self.extractor).__name__, **found}

    def _made(self, samples: npt.NDArray[np.float32]) -> Any:
        return self.extractor(
            [samples], sampling_rate=self.rate, return_tensors="np", **self._arguments()
        )

    def _arguments(self) -> dict[str, Any]:
        return {"padding": True}


class WaveformFrontend(Frontend):
    """wav2vec2 and its kin: convolutions over samples, as many frames as the sound is long."""

    def __init__(self, extractor: Any, config: Any) -> None:
        super().__init__(extractor, config)
        self._convolutions = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._squeeze = needed = int(getattr(config, "squeeze_factor", 1))
        for kernel, stride in reversed(self._convolutions):
            needed = (needed - 1) * stride + kernel
        self.minimum = needed
        self.masked = (
            config.model_type in _MASKED_RIGHT
            and config.feat_extract_norm == "layer"
            and not getattr(config, "add_adapter", False)
            and bool(extractor.return_attention_mask)
        )

    def frames(self, samples: int, positions: int) -> int:
        """Frames that the convolutions make of so many samples."""
        frames = samples
        for kernel, stride in self._convolutions:
            frames = (frames - kernel) // stride + 1
        if self.masked:
            return min(frames, positions)
        # SEW halves the frames, doubles them again and fills up with zeros.
        return positions - positions % self._squeeze if positions == frames else positions

    def batch(self, windows: Sequence[Arrays]) -> Arrays:
        """Inputs of one pass, padded at their ends where the model can be masked."""
        values = [one["input_values"] for one in windows]
        if not self.masked:
            return {"input_values": np.stack(values)}
        shape = (len(values), max(len(one) for one in values))
        padded = np.full(shape, self.extractor.padding_value, np.float32)
        mask = np.zeros(shape, np.int64)
        for row, one in enumerate(values):
            padded[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return {"input_values": padded, "attention_mask": mask}

    def _arguments(self) -> dict[str, Any]:
        return {"padding": False, "return_attention_mask": False}


class WhisperFrontend(Frontend):
    """Whisper: windows of 30 seconds, shorter ones filled up with silence."""

    fixed = True

    def __init__(self, extractor: Any, config: Any) -> None:
        super().__init__(extractor, config)
        self.length = float(extractor.chunk_length)
        self.minimum = 1

    def frames(self, samples: int, positions: int) -> int:
        """Frames that begin before the sound ends."""
        whole = self.rate * self.length
        return max(1, min(positions, int(np.ceil(samples * positions / whole))))

    def _arguments(self) -> dict[str, Any]:
        return {"return_attention_mask": False}


class SpectrogramFrontend(Frontend):
    """AST: tokens are patches of a spectrogram of fixed length, behind two special tokens."""

    fixed = True
    tokens = True

    _SPECIAL = 2
    _FRAME, _STEP = 0.025, 0.010

    def __init__(self, extractor: Any, config: Any) -> None:
        super().__init__(extractor, config)
        self.length = extractor.max_length * self._STEP
        self.minimum = int(self._FRAME * self.rate)
        self._across = int((config.max_length - config.patch_size) // config.time_stride + 1)
        self._patch_step = int(config.time_stride)

    def frames(self, samples: int, positions: int) -> int:  # noqa: ARG002
        """Columns of patches that begin before the sound ends."""
        rows = 1 + (samples - self.minimum) // int(self._STEP * self.rate)
        return max(1, min(self._across, -(-rows // self._patch_step)))

    def holds_sound(self, frames: npt.NDArray[np.int64], positions: int) -> npt.NDArray[np.bool_]:
        """Which patches hold sound; the special tokens count as none."""
        places = np.arange(positions) - self._SPECIAL
        found: npt.NDArray[np.bool_] = (places >= 0) & (places % self._across < frames[:, None])
        return found

    def settings(self) -> dict[str, Any]:
        """Also which code makes the spectrogram: Transformers takes torchaudio's if it can."""
        own = hasattr(self.extractor, "mel_filters")
        return {**super().settings(), "spectrogram": "transformers" if own else "torchaudio"}

    def _arguments(self) -> dict[str, Any]:
        return {}


@dataclass(slots=True)
class Windows:
    """One prepared sound.

    Attributes:
        arrays: the model's inputs for each window.
        lengths: samples of sound in each window.
    """

    arrays: list[Arrays]
    lengths: list[int]

    @classmethod
    def of(cls, frontend: Frontend, division: Division, samples: npt.NDArray[np.float32]) -> Self:
        """Divide a sound and run the feature extractor on each window."""
        spans = division.spans(len(samples))
        return cls(
            [frontend.arrays(samples[start:stop]) for start, stop in spans],
            [stop - start for start, stop in spans],
        )

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for one in self.arrays for array in one.values())


def load_frontend(source: ModelSource, config: Any) -> Frontend:
    """Load a model's feature extractor.

    Raises:
        UsageError: there is none, or Transformers cannot load it.
    """
    extractor = load_feature_extractor(source)
    if config.model_type == "whisper":
        return WhisperFrontend(extractor, config)
    if config.model_type == "audio-spectrogram-transformer":
        return SpectrogramFrontend(extractor, config)
    if type(extractor).__name__ == "Wav2Vec2FeatureExtractor" and hasattr(config, "conv_kernel"):
        return WaveformFrontend(extractor, config)
    return Frontend(extractor, config)


def load_feature_extractor(source: ModelSource) -> Any:
    """Load the feature extractor that belongs to a model.

    Raises:
        UsageError: there is none for sounds, or Transformers cannot load it.
    """
    with quiet():
        from transformers import AutoFeatureExtractor

        try:
            extractor = AutoFeatureExtractor.from_pretrained(
                source.folder, trust_remote_code=source.code, local_files_only=True
            )
        except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise UsageError(
                f"Transformers finds no feature extractor (preprocessor_config.json) for the"
                f" model {source.name!r}: {first[:200]}"
            ) from error
    if not hasattr(extractor, "sampling_rate"):
        raise UsageError(
            f"the model {source.name!r} takes no sounds: it comes with {type(extractor).__name__}"
        )
    return extractor
