from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import MetadataMode
from llama_index.core.tools import QueryEngineTool

from citewise.answering.assistant import Assistant
from citewise.errors import BackendUnavailableError
from citewise.grounding.verify import verify_answer
from citewise.library.library import Library
from citewise.types import Filters, Verdict, sha256_of

QUESTION = "Which papers speed up speculative decoding?"


class Scripted(CustomLLM):
    """A llama-index LLM of somebody's own, which says what it is told."""

    reply: str = "Nothing."
    prompts: list[str] = []  # noqa: RUF012 - pydantic copies it

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="scripted")

    @llm_completion_callback()  # type: ignore[untyped-decorator,unused-ignore]
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        self.prompts.append(prompt)
        return CompletionResponse(text=self.reply)

    @llm_completion_callback()  # type: ignore[untyped-decorator,unused-ignore]
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        self.prompts.append(prompt)

        def pieces() -> Any:
            for at in range(0, len(self.reply), 9):
                yield CompletionResponse(text=self.reply[: at + 9], delta=self.reply[at : at + 9])

        return pieces()


def test_the_retriever_serves_a_llama_index_query_engine(sample_library: Library) -> None:
    llm = MockLLM()
    engine = RetrieverQueryEngine(
        retriever=sample_library.as_retriever(k=4),
        response_synthesizer=get_response_synthesizer(llm=llm),
    )
    response = engine.query(QUESTION)
    expected = sample_library.search(QUESTION, k=4)
    assert [node.metadata["id"] for node in response.source_nodes] == [h.paper.id for h in expected]
    # MockLLM repeats its prompt: what a model would read.
    assert expected[0].passage.text in str(response)
    assert expected[0].paper.title in str(response)
    assert expected[0].passage.sha256 not in str(response), "bookkeeping is not for models"


def test_nodes_carry_their_proof(sample_library: Library) -> None:
    for node in sample_library.as_retriever(k=5).retrieve(QUESTION):
        paper = sample_library.paper(node.metadata["id"])
        start, end = node.node.start_char_idx, node.node.end_char_idx  # type: ignore[attr-defined]
        text = node.node.get_content(MetadataMode.NONE)
        assert paper.abstract[start:end] == text
        assert node.metadata["span_sha256"] == sha256_of(text)
        assert node.score is not None


def test_the_retriever_honours_filters_and_composes(sample_library: Library) -> None:
    since = sample_library.as_retriever(k=5, filters=Filters(since="2024"))
    assert all(node.metadata["published"] >= "2024" for node in since.retrieve("language models"))
    fused = QueryFusionRetriever(
        [since, sample_library.as_retriever(k=5)], llm=MockLLM(), num_queries=1, use_async=False
    )
    assert fused.retrieve(QUESTION)
    found = asyncio.run(sample_library.as_retriever(k=2).aretrieve(QUESTION))
    assert len(found) == 2


def test_the_query_engine_gives_checked_answers(sample_library: Library) -> None:
    engine = Assistant(sample_library).as_query_engine()
    response = engine.query(QUESTION)
    assert response.metadata is not None
    answer = response.metadata["answer"]
    assert str(response) == answer["answer"]
    ids = [citation["paper"]["id"] for citation in answer["citations"]]
    assert verify_answer(answer, sample_library.papers_by_id(ids)) == []
    spans = [span["text"] for citation in answer["citations"] for span in citation["spans"]]
    assert [node.text for node in response.source_nodes] == spans
    assert str(asyncio.run(engine.aquery(QUESTION))) == str(response)
    tool = QueryEngineTool.from_defaults(engine, name="papers", description="asks papers")
    assert str(tool.call(QUESTION)) == str(response)


def test_the_query_engine_declines_too(sample_library: Library) -> None:
    response = Assistant(sample_library).as_query_engine().query("How long should dough rise?")
    assert "don't answer that" in str(response)
    assert response.source_nodes == []
    assert response.metadata is not None
    assert response.metadata["answer"]["answered"] is False


def test_any_llama_index_llm_writes_and_is_checked(sample_library: Library) -> None:
    llm = Scripted(
        reply="Decoding becomes 977 times faster [1]. The moon is made of cheese [98].\n"
    )
    assistant = Assistant(sample_library, llm)
    answer = assistant.ask(QUESTION)
    assert llm.prompts, "the model was asked"
    assert QUESTION in llm.prompts[0]
    assert all(s.verdict is not Verdict.SUPPORTED for s in answer.sentences if "977" in s.text)
    assert "[98]" not in answer.text
    assert verify_answer(answer.to_dict(), papers_of(answer, sample_library)) == []


def test_a_truthful_llama_index_llm_is_supported(sample_library: Library) -> None:
    probe = Scripted(reply="NO ANSWER")
    Assistant(sample_library, probe).ask(QUESTION)
    evidence = Assistant(sample_library).ask(QUESTION)
    quote = evidence.citations[0].spans[0].text
    number = numbered(probe.prompts[-1], quote)
    answer = Assistant(sample_library, Scripted(reply=f"{quote} [{number}]")).ask(QUESTION)
    assert [s.verdict for s in answer.sentences] == [Verdict.SUPPORTED]
    assert answer.citations[0].paper.id == evidence.citations[0].paper.id
    assert answer.backend.startswith("llama-index:")


def numbered(prompt: str, quote: str) -> int:
    """The number under which a prompt offers some words."""
    before = prompt[: prompt.index(quote)]
    return int(re.findall(r"\[(\d+)\]", before)[-1])


def papers_of(answer: Any, library: Library) -> Any:
    return library.papers_by_id([citation.paper.id for citation in answer.citations])


@pytest.mark.parametrize("reply", ["", "\n"])
def test_an_llm_that_says_nothing_fails_in_words(reply: str, sample_library: Library) -> None:
    with pytest.raises(BackendUnavailableError) as failure:
        Assistant(sample_library, Scripted(reply=reply)).ask(QUESTION)
    assert "Scripted" in str(failure.value)


def test_an_llm_that_cites_without_a_word_is_replaced(sample_library: Library) -> None:
    answer = Assistant(sample_library, Scripted(reply="[1]")).ask(QUESTION)
    assert answer.sentences
    assert all(s.verdict is Verdict.SUPPORTED for s in answer.sentences)
    assert any("their own sentences" in note for note in answer.notes)
