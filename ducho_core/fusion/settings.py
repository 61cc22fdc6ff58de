"""The SPEC of a fused set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ducho_core.extraction.settings import SPEC_FORMAT
from ducho_core.fusion.taking import provenance
from ducho_core.options import spec_options
from ducho_core.store import FeatureSet, layout
from ducho_core.store.spec import canonical_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.extractor import JSON
    from ducho_core.found import Found
    from ducho_core.fuser import Fuser
    from ducho_core.fusion.inputs import SetInput
    from ducho_core.fusion.request import FuseRequest
    from ducho_core.fusion.taking import Taken
    from ducho_core.specs import FuserSpec
    from ducho_core.store import Store


def make_spec(
    request: FuseRequest,
    found: Found[FuserSpec],
    options: Any,
    fuser: Fuser,
    inputs: Sequence[SetInput],
    keys: Sequence[str],
    *,
    snapshots: bool,
    taken: Taken | None = None,
) -> dict[str, JSON]:
    """The SPEC without the fit's digest.

    Args:
        request: what the user asks for.
        found: the fuser's spec.
        options: its options.
        fuser: the fuser, opened.
        inputs: what is fused.
        keys: key columns of the new set.
        snapshots: whether a row depends on which other rows there are.
        taken: which rows the fuser takes, where it does not take all.
    """
    catalogues = [one.features.spec["catalogue"] for one in inputs]
    several = len(inputs) > 1
    texts = found.spec.takes == "text"
    labels = [one.made_by for one in inputs]
    digests: dict[str, str] = {}
    for at, one in enumerate(inputs if snapshots else ()):
        if one.features.fingerprint not in digests:
            rows = () if taken is None else (taken.rows[at],)
            digests[one.features.fingerprint] = one.features.snapshot_digest(*rows)
    catalogue: dict[str, JSON] = {"name": catalogues[0]["name"]}
    if taken is None:
        catalogue["revision"] = max(int(one.get("revision", 0)) for one in catalogues)
    return {
        "format": SPEC_FORMAT,
        "fuser": {
            "name": found.canonical,
            # Several texts are mostly those of one set.
            "label": "-".join(dict.fromkeys(labels) if texts else labels),
            "numerics": found.spec.numerics,
        },
        "options": spec_options(options),
        "identity": dict(fuser.identity),
        "outputs": [
            {
                "name": one.name,
                "kind": one.kind,
                "dim": one.dim,
                "dtype": one.dtype,
                "requires": [],
            }
            for one in fuser.outputs
        ],
        "keys": list(keys),
        "inputs": [],
        "precision": {},
        "stored_dtype": request.dtype,
        "catalogue": catalogue,
        "variant": request.variant,
        "derived": {
            "missing": request.missing if several else "error",
            "inputs": [
                provenance(one, digests.get(one.features.fingerprint), whole=taken is None)
                for one in inputs
            ],
            "fit": None,
        },
    }


def with_fit(spec: dict[str, Any], digest: str) -> dict[str, Any]:
    """The SPEC with the fit's sha256."""
    return {**spec, "derived": {**spec["derived"], "fit": digest}}


def sets_but_for_fit(store: Store, spec: dict[str, Any]) -> list[FeatureSet]:
    """Fitted sets of the store whose SPEC is this one, whatever their fit."""
    wanted = canonical_json(spec)
    found = []
    for folder in layout.set_folders(store.path):
        if not folder.parent.name.startswith("fused"):
            continue
        features = FeatureSet(folder)
        derived = features.spec.get("derived") or {}
        if derived.get("fit") is None:
            continue
        if canonical_json({**features.spec, "derived": {**derived, "fit": None}}) == wanted:
            found.append(features)
    return found
