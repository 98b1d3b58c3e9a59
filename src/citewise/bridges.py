"""citewise inside llama-index programs: a retriever and a query engine.

Imported only when asked for: llama-index takes about 3 s to import.
"""

from __future__ import annotations

from typing import Any, Protocol

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import Response
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from citewise.types import Answer, Filters, Paper, SearchResult, Span


class Finds(Protocol):
    """What the retriever needs of a library; named here so that neither imports the other."""

    def find(self, query: str, k: int = 10, filters: Filters | None = None) -> SearchResult:
        """Ranked papers."""
        ...


class Asks(Protocol):
    """What the query engine needs of an assistant."""

    def ask(self, question: str) -> Answer:
        """The whole answer."""
        ...

    async def aask(self, question: str) -> Answer:
        """The whole answer, awaited."""
        ...


def _node(paper: Paper, span: Span, score: float) -> NodeWithScore:
    """A passage as llama-index passes it on; the offsets and hash come along."""
    facts = {name: value for name, value in paper.to_dict().items() if value not in (None, [])}
    node = TextNode(
        id_=f"{paper.id}:{span.start}-{span.end}",
        text=span.text,
        start_char_idx=span.start,
        end_char_idx=span.end,
        metadata={**facts, "span_sha256": span.sha256},
        # A model should read the title with the words, not the bookkeeping.
        excluded_llm_metadata_keys=[key for key in (*facts, "span_sha256") if key != "title"],
        excluded_embed_metadata_keys=[key for key in (*facts, "span_sha256") if key != "title"],
    )
    return NodeWithScore(node=node, score=score)


class CitewiseRetriever(BaseRetriever):
    """Ranked papers' best passages as llama-index nodes."""

    def __init__(self, library: Finds, k: int = 10, filters: Filters | None = None) -> None:
        """``k``: passages a query gives, one a paper."""
        super().__init__(callback_manager=CallbackManager([]))
        self._library = library
        self._k = k
        self._narrowed = filters

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._library.find(query_bundle.query_str, self._k, self._narrowed).hits
        return [_node(hit.paper, hit.passage, hit.score) for hit in hits]


class CitewiseQueryEngine(BaseQueryEngine):
    """Checked, cited answers as llama-index responses; the whole answer is in the metadata."""

    def __init__(self, assistant: Asks) -> None:
        super().__init__(callback_manager=CallbackManager([]))
        self._assistant = assistant

    @staticmethod
    def _response(answer: Answer) -> Response:
        support = {
            (n, at): sentence.support for sentence in answer.sentences for n, at in sentence.spans
        }
        nodes = [
            _node(citation.paper, span, support.get((citation.n, at), 0.0))
            for citation in answer.citations
            for at, span in enumerate(citation.spans)
        ]
        return Response(answer.text, source_nodes=nodes, metadata={"answer": answer.to_dict()})

    def _query(self, query_bundle: QueryBundle) -> Response:
        return self._response(self._assistant.ask(query_bundle.query_str))

    async def _aquery(self, query_bundle: QueryBundle) -> Response:
        return self._response(await self._assistant.aask(query_bundle.query_str))

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: dict[str, Any]) -> None:
        """citewise keeps its prompts in files; nothing is changed from outside."""
