"""Models of torchaudio by the name of the same weights on the Hugging Face hub.

Sources: the pipelines of torchaudio (torchaudio.pipelines, its documentation names the original
checkpoint of each) and the model cards of the hub's copies of those checkpoints.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ducho_core.ducho2.translated import Translated
from ducho_core.loaders.suggest import did_you_mean

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Model
    from ducho_core.ducho2.remarks import Remarks

TORCHAUDIO = {
    "WAV2VEC2_BASE": "facebook/wav2vec2-base",
    "WAV2VEC2_LARGE": "facebook/wav2vec2-large",
    "WAV2VEC2_LARGE_LV60K": "facebook/wav2vec2-large-lv60",
    "WAV2VEC2_XLSR53": "facebook/wav2vec2-large-xlsr-53",
    "WAV2VEC2_XLSR_300M": "facebook/wav2vec2-xls-r-300m",
    "WAV2VEC2_XLSR_1B": "facebook/wav2vec2-xls-r-1b",
    "WAV2VEC2_XLSR_2B": "facebook/wav2vec2-xls-r-2b",
    "WAV2VEC2_ASR_BASE_100H": "facebook/wav2vec2-base-100h",
    "WAV2VEC2_ASR_BASE_960H": "facebook/wav2vec2-base-960h",
    "WAV2VEC2_ASR_LARGE_960H": "facebook/wav2vec2-large-960h",
    "WAV2VEC2_ASR_LARGE_LV60K_960H": "facebook/wav2vec2-large-960h-lv60",
    "HUBERT_BASE": "facebook/hubert-base-ls960",
    "HUBERT_LARGE": "facebook/hubert-large-ll60k",
    "HUBERT_XLARGE": "facebook/hubert-xlarge-ll60k",
    "HUBERT_ASR_LARGE": "facebook/hubert-large-ls960-ft",
    "HUBERT_ASR_XLARGE": "facebook/hubert-xlarge-ls960-ft",
    "WAVLM_BASE": "microsoft/wavlm-base",
    "WAVLM_BASE_PLUS": "microsoft/wavlm-base-plus",
    "WAVLM_LARGE": "microsoft/wavlm-large",
}
"""Name in torchaudio.pipelines to hub id."""


def sound_models(model: Model, remarks: Remarks) -> list[Translated]:
    """Translate one model: layers counted from the end are extracted one by one."""
    name = _hub_name(model, remarks) if model.backend == "torch" else model.name
    layers: list[int] = []
    for layer in model.layers:
        if isinstance(layer, int) or re.fullmatch(r"-?\d+", layer):
            layers.append(int(layer))
        else:
            remarks.leave_out(
                f"{model.path}.output_layers", f"{layer!r} is not the number of a layer"
            )
    if not layers or name is None:
        return []
    remarks.say(
        f"{model.path}.output_layers",
        "a sound has a vector for each frame, of which a recommender needs one for each item:"
        " their mean is taken; Ducho 2.0 does not run audio at all",
    )
    counted = [layer for layer in layers if layer >= 0]
    groups = [counted] if counted else []
    groups += [[layer] for layer in layers if layer < 0]
    return [
        Translated(
            plugin="audio/encoder",
            options={"model": name, "layers": tuple(group), "pooling": ("mean",)},
            # Which layer one counted from the end is, only the model's files tell.
            outputs=tuple(
                (str(layer), f"layer{layer}_mean" if layer >= 0 else "") for layer in group
            ),
        )
        for group in groups
    ]


def _hub_name(model: Model, remarks: Remarks) -> str | None:
    where = f"{model.path}.model_name"
    known = TORCHAUDIO.get(model.name.upper())
    if known is None:
        remarks.leave_out(
            where,
            f"torchaudio's {model.name} is not on the Hugging Face hub with the same weights"
            f"{did_you_mean(model.name, TORCHAUDIO)}; there are {', '.join(TORCHAUDIO)}",
        )
    else:
        remarks.say(where, f"torchaudio's {model.name} is {known} on the hub")
    return known
