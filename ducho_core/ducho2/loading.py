"""A configuration file in one step: read, checked and translated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ducho_core.ducho2.checking import check
from ducho_core.ducho2.reading import read_tree
from ducho_core.ducho2.remarks import Remarks
from ducho_core.ducho2.translating import translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.ducho2.plan import Plan


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, translated.

    Attributes:
        plan: what it comes to.
        remarks: what there is to say about it.
    """

    plan: Plan
    remarks: Remarks


def load(path: str, overrides: Sequence[str] = ()) -> Loaded:
    """Read, check and translate a configuration.

    Args:
        path: the YAML file.
        overrides: ``--a.b=value``, as on the command line.

    Raises:
        UsageError: it is no configuration of Ducho 2.0, or a key is wrong; with its path.
    """
    remarks = Remarks()
    config = check(read_tree(path, overrides), remarks)
    return Loaded(translate(config, path, remarks), remarks)
