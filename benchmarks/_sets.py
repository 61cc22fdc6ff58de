"""Feature sets that benchmarks write themselves."""

from __future__ import annotations

from typing import Any


def spec(dim: int, label: str, variant: str = "") -> dict[str, Any]:
    """A SPEC for embeddings of this length; label or variant keep several sets apart."""
    output = {"name": "embedding", "kind": "embedding", "dim": dim, "dtype": "float32"}
    return {
        "format": 1,
        "extractor": {"name": "core/hash", "label": label, "numerics": 1},
        "options": {},
        "identity": {},
        "outputs": [output | {"requires": []}],
        "keys": ["item_id"],
        "inputs": [{"name": "text", "modality": "text"}],
        "slots": "all",
        "precision": {},
        "stored_dtype": "float32",
        "catalogue": {"name": "main", "revision": 0},
        "variant": variant,
    }
