"""A table of a third party's format: what ``TableLoader`` does with a reader that goes wrong."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ducho_core import Binding, ContractError, TableColumn, TableLoader, TableReader

COLUMNS = {"item_id": pa.array(["a", "b"]), "text": pa.array(["one", "two"])}


class Reader(TableReader):
    def __init__(self, path, given):
        super().__init__(path)
        self.columns = (TableColumn("item_id"), TableColumn("text"))
        self.given = given

    def read(self, names):
        yield pa.record_batch(self.given)

    def where(self, row):
        return f"row {row + 1}"


def open_table(given):
    class ThirdParty(TableLoader):
        @classmethod
        def open_reader(cls, source, options):
            return Reader(source, given)

    return ThirdParty.open("items.db", Binding(accepts=("text",)), None)


def test_columns_are_known_by_their_names_and_not_by_their_place():
    odd = {"more": pa.array([1, 2]), "text": COLUMNS["text"], "item_id": COLUMNS["item_id"]}
    (batch,) = open_table(odd).batches()
    assert batch.to_pylist() == [
        {"item_id": "a", "text": "one"},
        {"item_id": "b", "text": "two"},
    ]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"text": None}, "gave no column 'text'; it was asked for item_id, text"),
        ({"text": pa.array([1, 2])}, "gave the column 'text' as int64"),
        ({"item_id": pa.array(["a", "b"], pa.large_string())}, "'item_id' as large_string"),
        ({"text": pa.array([b"x", b"y"], pa.large_binary())}, "'text' as large_binary"),
        ({"text": pa.array([[1], [2]])}, "'text' as list<item: int64>"),
    ],
)
def test_a_reader_that_gives_something_else_breaks_the_contract(changed, says):
    given = {name: one for name, one in {**COLUMNS, **changed}.items() if one is not None}
    with pytest.raises(ContractError) as caught:
        list(open_table(given).batches())
    assert str(caught.value).startswith("items.db: Reader.read gave ")
    assert says in str(caught.value)
