from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise import prompts
from citewise.errors import PromptError

GOOD = "<!--\npurpose: to greet\nvariables: name, day\n-->\n\nHello ${name}, it is ${day}: 5 $$.\n"


def test_every_prompt_loads_and_says_what_it_is_for() -> None:
    assert {"answer_system", "answer_user", "rewrite_question_system"} <= set(prompts.names())
    for name in prompts.names():
        prompt = prompts.load(name)
        assert len(prompt.purpose) > 20
        assert len(prompt.sha256) == 64
        rendered = prompt.render(**dict.fromkeys(prompt.variables, "VALUE"))
        assert "$" not in rendered
        assert ("VALUE" in rendered) == bool(prompt.variables)


def test_rendering_fills_in_and_leaves_the_header_out() -> None:
    rendered = prompts.parse("greeting", GOOD).render(name="Ada", day="Monday")
    assert rendered == "Hello Ada, it is Monday: 5 $."


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"name": "Ada"}, "day"),
        ({"name": "Ada", "day": "Monday", "mood": "good"}, "mood"),
        ({}, "name"),
    ],
)
def test_missing_and_unused_variables_are_errors(values: dict[str, str], word: str) -> None:
    with pytest.raises(PromptError, match=rf"greeting.*{word}"):
        prompts.parse("greeting", GOOD).render(**values)


@given(name=st.text(), day=st.text())
def test_values_are_never_read_as_templates(name: str, day: str) -> None:
    rendered = prompts.parse("greeting", GOOD).render(name=name, day=day)
    assert rendered == f"Hello {name}, it is {day}: 5 $."


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Hello ${name}", "begin with a comment"),
        (GOOD.replace("purpose: to greet\n", ""), "begin with a comment"),
        (GOOD.replace(", day", ""), "declares"),
        (GOOD.replace("name, day", "name, day, mood"), "declares"),
        (GOOD.replace("$$", "$ 5"), "'\\$'"),
    ],
)
def test_malformed_files_are_errors(text: str, word: str) -> None:
    with pytest.raises(PromptError, match=word):
        prompts.parse("greeting", text)


def test_hash_tells_wordings_apart_but_not_line_ends() -> None:
    one = prompts.parse("greeting", GOOD)
    assert one.sha256 == prompts.parse("greeting", GOOD.replace("\n", "\r\n")).sha256
    assert one.sha256 != prompts.parse("greeting", GOOD.replace("Hello", "Hallo")).sha256


def test_unknown_prompt_says_where_it_looked() -> None:
    with pytest.raises(PromptError, match=r"absent\.md"):
        prompts.load("absent")
