"""The other process of ``same-in-another-process``: ``python -m ... CASE NUMBERS``."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from ducho_core.testing.extractor_case import ExtractorCase
from ducho_core.testing.resolve_checks import facts


def main(sent: str, back: str) -> None:
    """Resolve, load and extract the case in one file; write what came of it to another."""
    payload = pickle.loads(Path(sent).read_bytes())  # noqa: S301 - written by our own process
    case = ExtractorCase(
        payload["plugin"],
        payload["options"],
        items=payload["items"],
        broken={},
        precision=payload["precision"],
    )
    numbers = {group.requires: case.numbers(group) for group in case.groups}
    found = {"facts": facts(case.resolved), "numbers": numbers}
    case.close()
    Path(back).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
