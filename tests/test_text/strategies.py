"""What users may type, for tests that try many prompts."""

from hypothesis import settings
from hypothesis import strategies as st

#: Machines are shared, so no example is too slow.
many = settings(deadline=None)

#: Letters of several scripts, digits, a sign and a picture, all of which the tokenizer reads.
READABLE = "abcdexyzABCé狗ñß7$🐕"

words = st.text(READABLE, min_size=1, max_size=8)
#: Class names: words with what data sets put between and behind them.
names = st.builds(
    "".join,
    st.tuples(
        words,
        st.lists(st.builds("".join, st.tuples(st.sampled_from([" ", "_", "-", "  "]), words))).map(
            "".join
        ),
        st.sampled_from(["", "_(animal)", " (of glass)", "_"]),
    ),
)


@st.composite
def sentences(draw: st.DrawFn) -> tuple[str, list[list[list[int]]]]:
    """A caption of words and punctuation, and the character spans of some phrases.

    Spans may overlap, be in any order, and begin or end within a word.
    """
    gaps = st.sampled_from([" ", ", ", ". ", "  ", " - "])
    caption = "".join(
        word + gap for word, gap in draw(st.lists(st.tuples(words, gaps), min_size=8, max_size=40))
    )
    letters = [index for index, character in enumerate(caption) if character in READABLE]
    spans = []
    for _ in range(draw(st.integers(1, 6))):
        ranges = []
        for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
            start = draw(st.sampled_from(letters))
            ranges.append([start, min(start + draw(st.integers(1, 9)), len(caption))])
        spans.append(ranges)
    return caption, spans
