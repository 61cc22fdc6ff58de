"""A translated configuration is checked as a whole before anything is done."""

from __future__ import annotations

import numpy as np
import pytest

from ducho_core import export, fuse
from ducho_core.cli import ducho2 as command
from ducho_core.ducho2.carrying_out import CarryingOut
from ducho_core.ducho2.loading import Loaded
from ducho_core.ducho2.plan import Branch, Extraction, Plan, Vectors
from ducho_core.ducho2.remarks import Remarks
from ducho_core.errors import UsageError
from ducho_core.extraction.interrupt import Interruption
from ducho_core.extraction.request import ExtractionRequest
from ducho_core.extraction.session import Silent
from ducho_core.registry import Registry
from tests.core.set_samples import put_set, unsynced, vectors_for

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")


def carrying_out(tmp_path, folder):
    """Everything is checked, and nothing is done yet."""
    (tmp_path / "items.tsv").write_text("item_id\ttext\na\tone\n")
    request = ExtractionRequest(source=str(tmp_path / "items.tsv"), plugin="core/hash")
    branch = Branch(
        vectors=Vectors(extraction=0, requires=("text",), output=""),
        folder=str(tmp_path / folder),
        parts=("transformers", "m", "1"),
        keys=("item_id",),
    )
    plan = Plan(
        extractions=(Extraction(path="textual.items.model.0", name="n", request=request),),
        branches=(branch,),
    )
    return CarryingOut(
        plan,
        Registry.discover(),
        str(tmp_path / "features"),
        observer=Silent(),
        interruption=Interruption(),
    )


@pytest.mark.parametrize("folder", ["features", "features/textual"])
def test_an_output_folder_in_the_store_is_refused_before_anything_is_extracted(tmp_path, folder):
    with pytest.raises(UsageError, match=r"^output_path: .*lies in the store features"):
        carrying_out(tmp_path, folder)
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize(
    ("exporter", "options"), [("npy", {}), ("ducho2", {"folders": "transformers/m/1"})]
)
def test_an_export_of_another_kind_is_not_replaced(tmp_path, exporter, options):
    put_set(tmp_path / "features", "one", ["a"], vectors_for(["a"], 4))
    out = tmp_path / "textual"
    export("one", exporter, out, store=tmp_path / "features", options=options)
    with pytest.raises(UsageError, match=r"textual holds an export .* and would lose it"):
        carrying_out(tmp_path, "textual")


def test_a_tree_of_the_same_kind_is_written_again(tmp_path):
    put_set(tmp_path / "features", "one", ["a"], vectors_for(["a"], 4))
    out = tmp_path / "textual"
    places = {"backend": "torch", "model": "x", "layer": "1"}
    export("one", "ducho2", out, store=tmp_path / "features", options=places)
    work = carrying_out(tmp_path, "textual")
    assert [report.stored for reports in work.extract() for report in reports] == [1]
    assert [len(report.inputs) for report in work.export()] == [2]
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.npy")) == [
        "torch/x/1/a.npy",
        "transformers/m/1/a.npy",
    ]


@pytest.mark.parametrize(("allowed", "code"), [(False, 3), (True, 0)])
def test_vectors_that_could_not_be_fused_are_failures(tmp_path, monkeypatch, allowed, code):
    store = tmp_path / "features"
    for name in ("one", "two"):
        put_set(store, name, ["a", "b"], np.array([[1, 2], [3e38, 4]], "f4"))

    class Work:
        def __init__(self, *given, **named): ...

        def extract(self, *, dry_run):
            return []

        def fuse(self):
            return [fuse(["one", "two"], "sum", store=store)]

        def export(self):
            return []

    loaded = Loaded(Plan(extractions=(), branches=()), Remarks())
    monkeypatch.setattr(command, "load", lambda *given: loaded)
    monkeypatch.setattr(command, "CarryingOut", Work)
    ended = command.run_configuration(
        "config.yml",
        (),
        Registry.discover(),
        str(store),
        dry_run=False,
        allow_failures=allowed,
        as_json=True,
    )
    assert ended == code
