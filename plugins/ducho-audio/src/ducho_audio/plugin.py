"""The plugin ``audio``: features of sounds. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    """Any sound encoder of Transformers, and CLAP's two towers."""
    return [
        ExtractorSpec(
            name="encoder",
            summary="pooled layers of wav2vec2, HuBERT, WavLM, Whisper's encoder, AST and kin",
            implementation="ducho_audio.encoder:EncoderExtractor",
            options="ducho_audio.options:EncoderOptions",
            run_options="ducho_audio.options:AudioRunOptions",
            models="ducho_audio.models:encoder_models",
            inputs=("audio",),
            default=True,
            batch_size=32,
            batch_budget=960_000,
            chunk_size=512,
        ),
        ExtractorSpec(
            name="clap",
            summary="CLAP: sounds and texts in one space, a feature set for each",
            implementation="ducho_audio.clap:ClapExtractor",
            options="ducho_audio.options:ClapOptions",
            run_options="ducho_audio.options:AudioRunOptions",
            models="ducho_audio.models:clap_models",
            inputs=("audio", "text"),
            batch_size=64,
            batch_budget=16_384,
            chunk_size=512,
        ),
    ]
