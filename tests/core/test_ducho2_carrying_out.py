"""A translated configuration is checked as a whole before anything is done."""

from __future__ import annotations

import pytest

from ducho_core.ducho2.carrying_out import CarryingOut
from ducho_core.ducho2.plan import Branch, Extraction, Plan, Vectors
from ducho_core.errors import UsageError
from ducho_core.extraction.interrupt import Interruption
from ducho_core.extraction.request import ExtractionRequest
from ducho_core.extraction.session import Silent
from ducho_core.registry import Registry


@pytest.mark.parametrize("folder", ["features", "features/textual"])
def test_an_output_folder_in_the_store_is_refused_before_anything_is_extracted(tmp_path, folder):
    (tmp_path / "items.tsv").write_text("item_id\ttext\na\tone\n")
    request = ExtractionRequest(source=str(tmp_path / "items.tsv"), plugin="core/hash")
    vectors = Vectors(extraction=0, requires=("text",), output="")
    branch = Branch(
        vectors=vectors,
        folder=str(tmp_path / folder),
        parts=("transformers", "m", "1"),
        keys=("item_id",),
    )
    plan = Plan(
        extractions=(Extraction(path="textual.items.model.0", name="n", request=request),),
        branches=(branch,),
    )
    with pytest.raises(UsageError, match=r"^output_path: .*lies in the store features"):
        CarryingOut(
            plan,
            Registry.discover(),
            str(tmp_path / "features"),
            observer=Silent(),
            interruption=Interruption(),
        )
    assert not (tmp_path / "features").exists()
