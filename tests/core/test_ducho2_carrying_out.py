"""A translated configuration is checked as a whole before anything is done."""

from __future__ import annotations

import pytest

from ducho_core import export
from ducho_core.ducho2.carrying_out import CarryingOut
from ducho_core.ducho2.plan import Branch, Extraction, Plan, Vectors
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
