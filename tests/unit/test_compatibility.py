"""The table of repositories in docs/compatibility.md is that of the records."""

from __future__ import annotations

import json

from tests.wild.cases import all_cases
from tests.wild.table import DOCUMENT, RECORDS, read, written


def test_the_table_is_that_of_the_records() -> None:
    assert written(DOCUMENT.read_text(), read([RECORDS])) == DOCUMENT.read_text()


def test_every_record_is_of_a_case_and_as_it_says() -> None:
    records = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    assert {(r['repository'], r['options']) for r in records} <= {(c.repository, c.options) for c in all_cases()}
    assert [record['problems'] for record in records] == [[]] * len(records)
