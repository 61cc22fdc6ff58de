"""What a user asks of a split; a recipe's entry has the same fields. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ducho_core import UsageError, option

How = Literal["random", "leave-one-out", "user-time", "time", "cold", "files"]

_USES: dict[str, tuple[str, ...]] = {
    "random": ("seed", "test_ratio", "validation_ratio"),
    "leave-one-out": ("seed", "pick", "validation"),
    "user-time": ("seed", "test_ratio", "validation_ratio"),
    "time": ("test_ratio", "validation_ratio", "test_from", "validation_from"),
    "cold": ("seed", "cold_share", "validation"),
    "files": ("validation_file", "test_file"),
}
_OF_A_WAY = tuple(dict.fromkeys(name for names in _USES.values() for name in names))
_DEFAULTS: dict[str, Any] = {
    "seed": 42,
    "test_ratio": 0.2,
    "validation_ratio": 0.1,
    "pick": "last",
    "validation": True,
    "cold_share": 0.2,
}


class SplitRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One split."""

    source: Annotated[str, option(help="a table of interactions, a row each")]
    out: Annotated[str, option(help="the folder that is written")]
    user: Annotated[str | None, option(help="column of the user; position without a header")] = (
        None
    )
    item: Annotated[str | None, option(help="column of the item")] = None
    rating: Annotated[str | None, option(help="column of the rating, or none")] = None
    timestamp: Annotated[str | None, option(help="column of the time, or none")] = None
    header: Annotated[bool, option(help="whether the first line names the columns")] = True
    separator: Annotated[
        str | None, option(help="tab, comma, semicolon, pipe, space or one character")
    ] = None
    quoting: Annotated[
        Literal["auto", "minimal", "none"],
        option(help="none where quotes are ordinary characters; else as in core/table"),
    ] = "auto"
    encoding: Annotated[str, option(help="character encoding of the texts")] = "utf-8"
    catalogue: Annotated[
        str | None, option(help="a table of items: interactions with others are left out")
    ] = None
    catalogue_item: Annotated[str | None, option(help="column of the item in it")] = None
    duplicates: Annotated[
        Literal["last", "first", "max", "mean", "error"],
        option(help="what is kept of several interactions of a user with an item"),
    ] = "last"
    train_on: Annotated[float | None, option(help="rating from which one is trained on")] = None
    relevant_at: Annotated[
        float | None, option(help="rating from which one is relevant; as train_on if not given")
    ] = None
    k_core: Annotated[int | None, option(help="user_core and item_core at once", ge=1)] = None
    user_core: Annotated[int | None, option(help="fewest interactions of a user", ge=1)] = None
    item_core: Annotated[int | None, option(help="fewest interactions of an item", ge=1)] = None
    core: Annotated[
        Literal["iterate", "once"],
        option(help="until nothing changes, or users once and then items once"),
    ] = "iterate"
    how: Annotated[How, option(help="how interactions are split")] = "random"
    seed: Annotated[int | None, option(help="another seed draws others", ge=0, le=2**53)] = None
    test_ratio: Annotated[float | None, option(help="share for the test", gt=0, lt=1)] = None
    validation_ratio: Annotated[
        float | None, option(help="share of the rest for validation; 0 for none", ge=0, lt=1)
    ] = None
    validation: Annotated[bool | None, option(help="whether there is a validation part")] = None
    pick: Annotated[
        Literal["last", "random"] | None, option(help="which one is left out of each user")
    ] = None
    cold_share: Annotated[
        float | None, option(help="share of the items that are held out", gt=0, lt=1)
    ] = None
    test_from: Annotated[
        float | str | None, option(help="time from which interactions are for the test")
    ] = None
    validation_from: Annotated[
        float | str | None, option(help="time from which they are for validation")
    ] = None
    validation_file: Annotated[str | None, option(help="table of the validation part")] = None
    test_file: Annotated[str | None, option(help="table of the test part")] = None

    @property
    def cores(self) -> tuple[int, int]:
        """Fewest interactions of a user and of an item."""
        both = self.k_core or 1
        return self.user_core or both, self.item_core or both

    @property
    def relevance(self) -> float | None:
        """The rating from which an interaction is relevant."""
        return self.train_on if self.relevant_at is None else self.relevant_at

    def way(self) -> dict[str, Any]:
        """The settings of ``how`` with their defaults.

        Raises:
            UsageError: one is given that it does not use, or one that it needs is not.
        """
        self._check_bounds()
        uses = _USES[self.how]
        given = {name: getattr(self, name) for name in _OF_A_WAY}
        unused = [name for name, value in given.items() if value is not None and name not in uses]
        if unused:
            raise UsageError(
                f"{_flag(unused[0])} has no meaning with --how {self.how}, which takes"
                f" {', '.join(map(_flag, uses))}"
            )
        if self.how == "files":
            if self.test_file is None:
                raise UsageError("--how files needs the test interactions: --test-file TABLE")
            if self.cores != (1, 1):
                raise UsageError(
                    "--how files takes your split as it is: leave out the k-core, which would"
                    " change it"
                )
            return {}
        if self.test_from is not None and self.test_ratio is not None:
            raise UsageError("--test-from and --test-ratio say the same thing: give one of them")
        if self.validation_from is not None and self.validation_ratio is not None:
            raise UsageError(
                "--validation-from and --validation-ratio say the same thing: give one of them"
            )
        settled = {
            name: _DEFAULTS.get(name) if given[name] is None else given[name] for name in uses
        }
        for name in ("test", "validation"):
            if settled.get(f"{name}_from") is not None:
                del settled[f"{name}_ratio"]
            else:
                settled.pop(f"{name}_from", None)
        return settled

    def _check_bounds(self) -> None:
        for name in ("k_core", "user_core", "item_core", "seed"):
            value, fewest = getattr(self, name), 0 if name == "seed" else 1
            if value is not None and value < fewest:
                raise UsageError(f"{_flag(name)} must be at least {fewest}, not {value}")
        for name in ("test_ratio", "validation_ratio", "cold_share"):
            value, none = getattr(self, name), name == "validation_ratio"
            if value is not None and not (0 < value < 1 or (none and value == 0)):
                raise UsageError(
                    f"{_flag(name)} must be {'at least' if none else 'more than'} 0 and less than"
                    f" 1, not {value:g}"
                )


def _flag(name: str) -> str:
    return "--no-validation" if name == "validation" else f"--{name.replace('_', '-')}"


__all__ = ["How", "SplitRequest"]
