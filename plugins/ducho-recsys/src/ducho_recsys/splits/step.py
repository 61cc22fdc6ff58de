"""The list ``splits`` of recipes."""

from __future__ import annotations

import os

from ducho_core import RecipeStep, StepReport, UsageError
from ducho_recsys.splits.request import SplitRequest


class SplitStep(RecipeStep):
    """One split. Where it was made before, from the same files and settings, it is left as it is.

    Attributes:
        entry: the request.
    """

    fields = SplitRequest
    paths = frozenset({"source", "out", "catalogue", "validation_file", "test_file"})
    entry: SplitRequest

    def check(self) -> None:
        """See ``RecipeStep.check``."""
        self.entry.way()
        for name in sorted(self.paths - {"out"}):
            path = getattr(self.entry, name)
            if path is not None and not os.path.isfile(path):
                raise UsageError(f"splits: there is no file {path}")

    def plan(self) -> str:
        """See ``RecipeStep.plan``."""
        return f"{self.entry.out}: {self.entry.source} split by {self.entry.how}"

    def run(self) -> StepReport:
        """See ``RecipeStep.run``."""
        from ducho_recsys.splits.report import as_dict, summary
        from ducho_recsys.splits.session import earlier_split, make_split

        split = earlier_split(self.entry)
        if split is not None:
            return StepReport(
                text=f"{split.path}: nothing to do, split before", record=as_dict(split)
            )
        split = make_split(self.entry)
        return StepReport(text=summary(split), record=as_dict(split))


__all__ = ["SplitStep"]
