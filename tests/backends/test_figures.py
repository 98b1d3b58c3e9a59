from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.backends.figures import figure_for, in_bold


@pytest.mark.parametrize(
    ("question", "text", "figure"),
    [
        # What is counted stands behind its figure.
        ("How many GPUs were used?", "It trains 100B parameters on 400 GPUs. [1]", "400"),
        ("How many layers does it have?", "A model of 7B with 24 layers and 8 heads.", "24"),
        # The unit that is asked for.
        ("How many layers does it have?", "It is a 12-layer model of 3 parts.", "12"),
        ("How fast is Lantern?", "With 67M parameters it is 1.68times faster.", "1.68times"),
        ("What accuracy is reached?", "It is 2x faster at 82.47% accuracy.", "82.47%"),
        ("How long does training take?", "Training 3 models took 11 hours.", "11 hours"),
        # Thousands belong to the figure.
        ("How many samples are used?", "It uses 1.4k samples and 3 seeds.", "1.4k"),
        # Beside a figure of the question, or what it names.
        ("What share is solved with 250 tries?", "from 15% with one to 56% with 250", "56%"),
        ("What fps on the CPU?", "178 fps on a GPU and 27 fps on the CPU", "27 fps"),
        ("How many FLOPs does it save?", "a 36.9% reduction in FLOPs", "36.9%"),
        ("How many test cases come with it?", "432 tasks and 2,071 test cases", "2,071"),
        ("What does it cost?", "a cost of $118,000 in 3 years", "$118,000"),
        # What is slower says nothing of how much faster.
        ("How much faster is it?", "10x slower than now. It speeds this up 5x.", "5x"),
        # A range is one figure.
        ("What speedup is reported?", "a speedup from 2.91x to 3.51x", "2.91x to 3.51x"),
        ("What speedup is reported?", "speedups of 2.8x-5.8x [2]", "2.8x-5.8x"),
    ],
)
def test_the_figure_asked_for_is_found(question: str, text: str, figure: str) -> None:
    found = figure_for(text, question)
    assert found is not None
    assert text[found.start : found.end] == figure
    assert found.fits
    assert f"**{figure}**" in in_bold(text, found)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        # Its own figure answers no question.
        ("How much memory does 4-bit quantization save?", "Models with 4-bit weights do well."),
        ("How much memory do 13B models need?", "Models of 13B parameters need memory."),
        # The number of a citation is no figure.
        ("How many points does it reach?", "It reaches many points. [1]"),
        # Another unit is another thing.
        ("What accuracy does it reach?", "Its accuracy is good, and it is 2x faster."),
        ("How many languages does it cover?", "It covers 3 domains and 40% of the web."),
    ],
)
def test_what_answers_nothing_is_no_figure(question: str, text: str) -> None:
    assert figure_for(text, question) is None


@given(st.text(max_size=80), st.text(max_size=40))
def test_a_figure_stands_inside_its_text(text: str, question: str) -> None:
    found = figure_for(text, question)
    assert found is None or text[found.start : found.end].strip()
