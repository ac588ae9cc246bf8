"""Columns of text: numbers are on the right, with equal decimals."""

from console.cli.table_text import table_lines


def test_decimals_of_a_column_are_equal() -> None:
    rows = [("a", 0.61), ("bb", 0.8449), ("c", None), ("d", 12.0)]
    assert table_lines(("NAME", "SHARE"), rows) == [
        "NAME    SHARE",
        "a      0.6100",
        "bb     0.8449",
        "c           -",
        "d     12.0000",
    ]


def test_a_long_fraction_is_rounded_unless_it_shall_be_exact() -> None:
    rows = [(0.5670384168624878,)]
    assert table_lines(("DISTANCE",), rows)[1] == "   0.567"
    assert table_lines(("x",), rows, exact=True)[1] == "0.5670384168624878"


def test_whole_numbers_stay_whole() -> None:
    assert table_lines(("N", "D"), [(3, 61.25), (120, 2.0)])[1:] == ["  3  61.25", "120   2.00"]
    assert table_lines(("D",), [(2.0,)])[1] == "2"


def test_what_is_no_number_is_shown_as_it_is() -> None:
    lines = table_lines(("X",), [(float("inf"),), (float("nan"),), (True,), ("a\x1b[2J",)])
    assert [line.strip() for line in lines] == ["X", "inf", "nan", "True", r"a\x1b[2J"]


def test_an_empty_table_is_its_header() -> None:
    assert table_lines(("A", "B"), []) == ["A  B"]
