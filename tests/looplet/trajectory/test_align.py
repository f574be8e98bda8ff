"""An alignment shows the fewest differences, in order."""

from hypothesis import given, settings, strategies as st

from looplet.trajectory.align import CELLS, Pair, align, focus


def like(one, other):
    """Letters are equal or changed by case."""
    return 2 if one == other else 1 if one.lower() == other.lower() else 0


def text(pairs):
    return " ".join(f"{pair.mark}{pair.expected or ''}{pair.actual or ''}" for pair in pairs)


def test_it_reads_like_a_diff():
    assert text(align("abcd", "abXcD", like)) == "aa bb +X cc ~dD"
    assert text(align("abc", "", like)) == "-a -b -c"
    assert text(align("", "ab", like)) == "+a +b"
    assert text(align("lookup", "lookup", like)) == "ll oo oo kk uu pp"


def test_equal_counts_more_than_changed():
    assert text(align("Aa", "a", like)) == "-A aa"
    # However many changed pairs it costs.
    assert sum(not pair.mark for pair in align("AABBa", "aaBAbA", like)) == 2


@settings(max_examples=100, deadline=None)
@given(st.text("abcAB", max_size=9), st.text("abcAB", max_size=9))
def test_both_sides_are_whole_and_in_order_and_as_many_as_possible_are_equal(one, other):
    pairs = align(one, other, like)
    assert "".join(pair.expected for pair in pairs if pair.expected) == one
    assert "".join(pair.actual for pair in pairs if pair.actual) == other
    assert sum(not pair.mark for pair in pairs) == longest_common(one, other)


def longest_common(one, other):
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + longest_common(one[1:], other[1:])
    return max(longest_common(one[1:], other), longest_common(one, other[1:]))


def test_a_long_difference_is_paired_by_position_and_not_searched():
    asked = 0

    def counted(one, other):
        nonlocal asked
        asked += 1
        return 2 if one == other else 0

    size = 2_000
    assert size * size > CELLS
    pairs = align(range(size), range(size, 2 * size), counted)
    assert (len(pairs), asked < 10 * size) == (2 * size, True)


def test_focus_counts_what_is_far_from_a_difference():
    pairs = [Pair(n, n, "~" if n in (5, 20) else "") for n in range(30)]
    shown = [entry if isinstance(entry, int) else (entry.expected,) for entry in focus(pairs, 1)]
    assert shown == [4, (4,), (5,), (6,), 12, (19,), (20,), (21,), 8]
    assert focus(pairs, None) == pairs
    assert focus(pairs[6:20], 1) == [14]
