"""Runs the README's commands on the drawn catalogue, in order, and shows what they print.

``python -m demo.run``, after ``python -m demo.catalogue``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from demo.catalogue import FOLDER
from demo.examples import Example, examples, run

README = Path(__file__).resolve().parents[1] / "README.md"


def main() -> int:
    """Run every runnable example of the README; the exit status is 0 where all went as said."""
    if not (FOLDER / "items.tsv").is_file():
        sys.exit("there is no catalogue yet: python -m demo.catalogue")
    shutil.rmtree(FOLDER / "features", ignore_errors=True)
    for example in examples(README):
        _say(example)
        finished = run(example, FOLDER, {"HF_HUB_OFFLINE": "1"})
        if finished.returncode != example.status:
            sys.stderr.write(
                f"\n{example}: exit status {finished.returncode}, not {example.status}\n"
            )
            return 1
        if example.status:
            sys.stdout.write(f"(exit status {example.status}, as it should be here)\n")
    sys.stdout.write(f"\nAll of this now lies in {FOLDER}\n")
    return 0


def _say(example: Example) -> None:
    prompt, more = ("$ ", "") if example.language == "console" else (">>> ", ">>> ")
    lines = example.code.splitlines()
    shown = "\n".join((prompt if i == 0 else more) + line for i, line in enumerate(lines))
    sys.stdout.write(f"\n{shown}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
