import pytest

from lab.migration.month import import_month


@pytest.mark.slow(8)
def test_a_day_of_two_bays_imported_twice_is_the_same(tmp_path):
    month = import_month(tmp_path / "month", bays=2, days=1)
    assert (month.batches, month.blocks, month.same) == (288, 288 * 24, True)
    assert month.stays >= 48
