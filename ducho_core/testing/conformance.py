"""Test classes that an author inherits: each check is a test of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ducho_core.testing.checks import all_checks
from ducho_core.testing.exporter_case import ExporterCase
from ducho_core.testing.extractor_case import TOLERANCE, ExtractorCase
from ducho_core.testing.fuser_case import TOLERANCE as FUSER_TOLERANCE
from ducho_core.testing.fuser_case import FuserCase
from ducho_core.testing.loader_case import LoaderCase
from ducho_core.testing.running import run_check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core.catalogue import Binding
    from ducho_core.extractor import InputValue
    from ducho_core.fuser import Missing
    from ducho_core.testing.checks import Check
    from ducho_core.testing.part_case import PartCase


def _each(kind: str) -> pytest.MarkDecorator:
    every = [pytest.param(one, id=name) for name, one in all_checks(kind).items()]
    return pytest.mark.parametrize("check", every)


class _Conformance:
    """What the test classes of every kind share.

    Attributes:
        plugin: PLUGIN/NAME of what is tested.
        expected_failures: name of a check to the reason why it fails. Such a test is reported
            as an expected failure, and fails where the check passes.
    """

    kind: ClassVar[str]
    plugin: ClassVar[str] = ""
    expected_failures: ClassVar[Mapping[str, str]] = {}

    _held: ClassVar[tuple[Any, PartCase] | None] = None

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """Options as ``-o`` would give them; override it with any scope."""
        return {}

    @classmethod
    def teardown_class(cls) -> None:
        """Let go of what the class's tests shared."""
        if cls._held is not None:
            cls._held[1].close()
            cls._held = None

    @classmethod
    def _shared(cls, key: Any, make: Any) -> Any:
        """The class's case; made anew only where its fixtures say something else."""
        if cls._held is None or cls._held[0] != key:
            cls.teardown_class()
            cls._held = (key, make())
        return cls._held[1]

    def _run(self, check: Check, case: PartCase) -> None:
        known = all_checks(self.kind)
        unknown = sorted(set(self.expected_failures) - set(known))
        if unknown:
            pytest.fail(
                f"expected_failures names {', '.join(unknown)}; the checks are {', '.join(known)}"
            )
        outcome = run_check(check, case, self.expected_failures.get(check.name))
        if outcome.state == "skipped":
            pytest.skip(outcome.reason)
        if outcome.state == "expected":
            pytest.xfail(outcome.reason)
        if outcome.state == "failed":
            told = f"{self.plugin} breaks a rule: {check.rule}.\n{outcome.reason}"
            pytest.fail(f"{told}\n{outcome.traceback}".rstrip(), pytrace=False)


class ExtractorConformance(_Conformance):
    """The contract of an extractor, a test a rule.

    Set ``plugin``; override ``options`` where the extractor needs some, such as a model.

    Attributes:
        inputs: the modalities to bind; all that the extractor takes where None.
        tolerance: how far a vector may lie from itself in another batch, relative to its
            length; the spread of the library that computes it.
        precision: exact, fast or native; the extractor's default where None.
    """

    kind = "extractor"
    inputs: ClassVar[Sequence[str] | None] = None
    tolerance: ClassVar[float] = TOLERANCE
    precision: ClassVar[str | None] = None

    @pytest.fixture
    def items(self) -> Sequence[Mapping[str, InputValue]] | None:
        """Sound items, each with every bound input; None draws some."""
        return None

    @pytest.fixture
    def broken_items(self) -> Mapping[str, Mapping[str, InputValue]] | None:
        """Items that cannot be used, by what is wrong; None makes some of the first item."""
        return None

    @pytest.fixture
    def case(self, options: Any, items: Any, broken_items: Any) -> ExtractorCase:
        """What the checks are held against; loaded once."""
        cls = type(self)
        shared: ExtractorCase = cls._shared(
            (dict(options), None if items is None else len(items)),
            lambda: ExtractorCase(
                cls.plugin,
                options,
                inputs=cls.inputs,
                items=items,
                broken=broken_items,
                tolerance=cls.tolerance,
                precision=cls.precision,
            ),
        )
        return shared

    @_each("extractor")
    def test_contract(self, check: Check, case: ExtractorCase) -> None:
        """One rule."""
        self._run(check, case)


class LoaderConformance(_Conformance):
    """The contract of a loader, a test a rule.

    Set ``plugin``; override ``source``, and ``binding`` where keys or inputs must be named.

    Attributes:
        rows: how many rows the source has; None where that is not known.
    """

    kind = "loader"
    rows: ClassVar[int | None] = None

    @pytest.fixture
    def source(self) -> str:
        """What ``open`` is given: a path, or a name with a scheme."""
        return pytest.fail(f"{type(self).__name__} needs a fixture `source`", pytrace=False)

    @pytest.fixture
    def binding(self) -> Binding | None:
        """What the user said about keys and inputs; None says nothing and takes anything."""
        return None

    @pytest.fixture
    def case(self, options: Any, source: Any, binding: Any) -> LoaderCase:
        """What the checks are held against."""
        cls = type(self)
        shared: LoaderCase = cls._shared(
            (dict(options), str(source), binding),
            lambda: LoaderCase(cls.plugin, source, options, binding=binding, rows=cls.rows),
        )
        return shared

    @_each("loader")
    def test_contract(self, check: Check, case: LoaderCase) -> None:
        """One rule."""
        self._run(check, case)


class FuserConformance(_Conformance):
    """The contract of a fuser, a test a rule.

    Set ``plugin``; the embeddings that are fused are drawn at random.

    Attributes:
        dims: length of the vectors of each input; two of 8 for a row fuser, else one, where
            None.
        keys: the key columns; ``item_id``, and ``slot`` for a group fuser, where None.
        missing: the policy for missing rows; with ``zero`` and ``mean`` some are filled in.
        tolerance: how far a row may lie from itself in another batch, relative to its length.
    """

    kind = "fuser"
    dims: ClassVar[Sequence[int] | None] = None
    keys: ClassVar[Sequence[str] | None] = None
    missing: ClassVar[Missing] = "error"
    tolerance: ClassVar[float] = FUSER_TOLERANCE

    @pytest.fixture
    def case(self, options: Any) -> FuserCase:
        """What the checks are held against."""
        cls = type(self)
        shared: FuserCase = cls._shared(
            dict(options),
            lambda: FuserCase(
                cls.plugin,
                options,
                dims=cls.dims,
                keys=cls.keys,
                missing=cls.missing,
                tolerance=cls.tolerance,
            ),
        )
        return shared

    @_each("fuser")
    def test_contract(self, check: Check, case: FuserCase) -> None:
        """One rule."""
        self._run(check, case)


class ExporterConformance(_Conformance):
    """The contract of an exporter, a test a rule.

    Set ``plugin`` and define ``read``; the embeddings that are exported are drawn at random.

    Attributes:
        dims: length of the vectors of each input; two inputs, or one where it takes no more,
            where None.
    """

    kind = "exporter"
    dims: ClassVar[Sequence[int] | None] = None

    read: ClassVar[Any] = None
    """``staticmethod`` that reads what was written, best with the other system itself: given
    the folder, of each input by its label a mapping of key to vector; a key is a tuple of
    texts. None leaves the files' content unchecked."""

    @pytest.fixture
    def case(self, options: Any) -> ExporterCase:
        """What the checks are held against."""
        cls = type(self)
        shared: ExporterCase = cls._shared(
            dict(options),
            lambda: ExporterCase(cls.plugin, options, dims=cls.dims, read=cls.read),
        )
        return shared

    @_each("exporter")
    def test_contract(self, check: Check, case: ExporterCase) -> None:
        """One rule."""
        self._run(check, case)
