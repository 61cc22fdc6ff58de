"""A user's own model: ``custom/model``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Model
    from ducho_core.ducho2.remarks import Remarks


def custom_options(model: Model, file: str, remarks: Remarks) -> dict[str, Any]:
    """The options that name the model.

    Ducho 2.0 loads such a file as a pickle, which may run any code. Where a file of the same
    name in the safetensors format lies beside it, that one is taken.
    """
    key = f"{model.path}.model_name"
    safe = f"{os.path.splitext(file)[0]}.safetensors"
    if safe != file and os.path.isfile(safe) and "sha256" not in model.options:
        remarks.say(key, f"{safe} is taken in place of {file}: it cannot hold code")
        file = safe
    elif "sha256" not in model.options and not file.endswith((".safetensors", ".onnx")):
        remarks.say(
            key,
            f"{file} is a model of your own; where it is a pickle, which may run any code, it is"
            f" loaded only with its digest (--{model.path}.options.sha256=DIGEST), or as"
            " safetensors beside it, made by ducho custom convert",
        )
    return {"model": file}
