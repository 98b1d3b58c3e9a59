"""Fetching from services: their documented answers, replayed from the loopback."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.papers_server import Answers, PapersServer, Reply

from citewise.errors import FetchError, UsageError
from citewise.fetch import ArxivQuery, Client, DailyPapers, OpenAlexSearch, Service, fetch
from citewise.library.embedding import MiniLM
from citewise.library.library import Library, Progress

SRC = Path(__file__).resolve().parents[2] / "src"


class Clock:
    """Time that passes only where someone waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def library(tmp_path: Path, encoder: MiniLM) -> Iterator[Library]:
    with Library.open(tmp_path / "library", embedder=encoder) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bring(library: Library, service: Service, clock: Clock, most: int = 200, **how: Any) -> Any:
    client = Client(service.base, service.interval, sleep=clock.sleep, clock=clock.time)
    return fetch(library, service, most=most, embed=False, client=client, **how)


# -- the services, as they document their answers ---------------------------------------------


def entry(number: int) -> str:
    return f"""
  <entry>
    <id>http://arxiv.org/abs/2410.{number:05}v2</id>
    <updated>2024-10-15T09:21:07Z</updated>
    <published>2024-10-12T17:59:57Z</published>
    <title>Quagga number {number}:\n  a study</title>
    <summary>  The quagga number {number} grazes\nin the steppe. It sleeps at night.\n</summary>
    <author><name>Ada Byron</name></author>
    <author><name>Emmy Noether</name>
      <arxiv:affiliation xmlns:arxiv="http://arxiv.org/schemas/atom">Erlangen</arxiv:affiliation>
    </author>
    <arxiv:doi xmlns:arxiv="http://arxiv.org/schemas/atom">10.1234/q{number}</arxiv:doi>
    <link title="pdf" href="http://arxiv.org/pdf/2410.{number:05}v2" rel="related"/>
    <category term="cs.CL" scheme="http://arxiv.org/schemas/atom"/>
  </entry>"""


def feed(entries: list[str], total: int, start: int) -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <title type="html">ArXiv Query</title>
  <id>http://arxiv.org/api/x</id>
  <opensearch:totalResults xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">{total}\
</opensearch:totalResults>
  <opensearch:startIndex xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">{start}\
</opensearch:startIndex>{"".join(entries)}
</feed>"""


def arxiv(total: int) -> Answers:
    def answer(asked: dict[str, str]) -> Reply:
        start, most = int(asked["start"]), int(asked["max_results"])
        numbers = range(start, min(total, start + most))
        return Reply(feed([entry(n) for n in numbers], total, start))

    return answer


def daily(pages: list[int]) -> Answers:
    def answer(asked: dict[str, str]) -> Reply:
        at = int(asked["p"])
        numbers = range(sum(pages[:at]), sum(pages[: at + 1])) if at < len(pages) else ()
        papers = [
            {
                "paper": {
                    "id": f"2410.{n:05}",
                    "authors": [{"_id": "x", "name": "Ada Byron", "hidden": False}],
                    "publishedAt": "2024-10-10T17:50:01.000Z",
                    "title": f"Quagga number {n}: a study",
                    "summary": f"The quagga number {n} grazes.\nIt sleeps at night.",
                    "upvotes": 41,
                    "organization": {"name": "zoo", "fullname": "The Zoo"},
                },
                "publishedAt": "2024-10-12T00:00:00.000Z",
                "title": f"Quagga number {n}: a study",
                "numComments": 3,
            }
            for n in numbers
        ]
        return Reply(json.dumps(papers))

    return answer


def openalex(total: int) -> Answers:
    def answer(asked: dict[str, str]) -> Reply:
        assert asked["per_page"] == "100"
        if "cursor" in asked:
            if asked.get("api_key") != "secret-key":
                return Reply('{"error": "Unauthorized", "message": "cursor needs a key"}', 401)
            start = 0 if asked["cursor"] == "*" else int(asked["cursor"].removeprefix("Ils"))
        else:
            start = (int(asked["page"]) - 1) * 100
        numbers = range(start, min(total, start + 100))
        following = f"Ils{start + 100}" if numbers else None
        works = [
            {
                "id": f"https://openalex.org/W{1000 + n}",
                "doi": f"https://doi.org/10.1234/q{n}",
                "title": f"Quagga number {n}",
                "publication_date": "2024-10-12",
                "authorships": [{"author": {"display_name": "Ada Byron"}}],
                "abstract_inverted_index": {"The": [0], "quagga": [1], str(n): [2], "grazes.": [3]},
            }
            for n in numbers
        ]
        meta = {"count": total, "per_page": 100, "next_cursor": following}
        return Reply(json.dumps({"meta": meta, "results": works}))

    return answer


# -- what comes -------------------------------------------------------------------------------


def test_an_arxiv_query_is_read_page_by_page_and_politely(library: Library, clock: Clock) -> None:
    seen: list[Progress] = []
    with PapersServer(arxiv(450)) as server:
        service = ArxivQuery("cat:cs.CL AND abs:quagga", server.url)
        report = bring(library, service, clock, 1000, on_progress=seen.append)
    assert (report.fetched, report.added, report.total, report.complete) == (450, 450, 450, True)
    assert [asked["start"] for asked in server.asked] == ["0", "200", "400"]
    assert {asked["search_query"] for asked in server.asked} == {"cat:cs.CL AND abs:quagga"}
    assert {asked["sortBy"] for asked in server.asked} == {"submittedDate"}
    # At least three seconds between two requests, as arXiv asks.
    assert clock.waits == [pytest.approx(3.0), pytest.approx(3.0)]
    assert server.agents[0].startswith("citewise/")
    assert seen[-1] == Progress("fetching", 450, 450)
    paper = library.paper("2410.00007")
    assert paper.title == "Quagga number 7: a study"
    assert paper.authors == ("Ada Byron", "Emmy Noether")
    assert (paper.published, paper.doi) == ("2024-10-12", "10.1234/q7")
    assert paper.places[0].file == "arxiv:cat:cs.CL AND abs:quagga"
    assert library.search("quagga number 333", 1)[0].paper.id == "2410.00333"
    assert library.check() == []


def test_daily_papers_of_a_week_end_with_an_empty_page(library: Library, clock: Clock) -> None:
    with PapersServer(daily([100, 60, 3])) as server:
        report = bring(library, DailyPapers("2024-W41", server.url), clock, 1000)
    assert (report.fetched, report.added, report.complete) == (163, 163, True)
    assert server.asked[1] == {"week": "2024-W41", "p": "1", "limit": "100"}
    assert library.paper("2410.00003").organization == "The Zoo"
    assert library.paper("2410.00003").source == "daily-papers"


@pytest.mark.parametrize(
    ("period", "name"), [("2024-10-12", "date"), ("2024-W41", "week"), ("2024-10", "month")]
)
def test_a_day_a_week_and_a_month(period: str, name: str) -> None:
    assert DailyPapers(period).params("0", 5)[name] == period


@pytest.mark.parametrize("period", ["yesterday", "2024-13", "2024-02-30", "2024-W60", "2024"])
def test_what_is_no_period(period: str) -> None:
    with pytest.raises(UsageError, match="2024-W41"):
        DailyPapers(period)


@pytest.mark.parametrize("key", [None, "secret-key"])
def test_openalex_with_and_without_a_key(
    library: Library, clock: Clock, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENALEX_API_KEY", raising=False)
    with PapersServer(openalex(230)) as server:
        service = OpenAlexSearch("quagga", server.url, key=key)
        report = bring(library, service, clock, 1000)
    assert (report.fetched, report.added, report.total, report.complete) == (230, 230, 230, True)
    told = [asked.get("cursor") or asked.get("page") for asked in server.asked]
    # A cursor is only known to be the last one by what follows it.
    assert told == (["*", "Ils100", "Ils200", "Ils300"] if key else ["1", "2", "3"])
    assert library.paper("W1007").abstract == "The quagga 7 grazes."
    assert "secret-key" not in repr(service)


def test_no_more_than_was_asked_for(library: Library, clock: Clock) -> None:
    with PapersServer(daily([100, 100])) as server:
        report = bring(library, DailyPapers("2024-10", server.url), clock, 30)
    assert (report.fetched, len(library), report.complete) == (30, 30, False)
    assert len(server.asked) == 1


def test_again_brings_only_what_is_new(library: Library, clock: Clock) -> None:
    with PapersServer(arxiv(20)) as server:
        bring(library, ArxivQuery("quagga", server.url), clock)
        again = bring(library, ArxivQuery("quagga", server.url), clock)
    assert (again.added, again.unchanged, again.resumed) == (0, 20, False)
    with PapersServer(daily([25])) as server:
        other = bring(library, DailyPapers("2024-10", server.url), clock)
    # The same arXiv papers from another service: one paper each, with what both know.
    assert (other.added, len(library)) == (5, 25)
    assert library.paper("2410.00003").organization == "The Zoo"
    assert len(library.paper("2410.00003").places) == 2


# -- what goes wrong --------------------------------------------------------------------------


def test_an_interrupted_fetch_goes_on_where_it_stopped(library: Library, clock: Clock) -> None:
    whole = arxiv(500)
    broken = True

    def answer(asked: dict[str, str]) -> Reply:
        return Reply(b"", 404) if broken and asked["start"] == "400" else whole(asked)

    with PapersServer(answer) as server:
        service = ArxivQuery("quagga", server.url)
        with pytest.raises(FetchError, match="404"):
            bring(library, service, clock, 1000)
        assert len(library) == 400
        broken = False
        del server.asked[:]
        report = bring(library, service, clock, 1000)
        assert [asked["start"] for asked in server.asked] == ["400"]
        assert (report.resumed, report.fetched, report.added) == (True, 100, 100)
        assert len(library) == 500
        # Done is done: the next time begins at the beginning.
        del server.asked[:]
        assert not bring(library, service, clock, 150).resumed
        assert server.asked[0]["start"] == "0"


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        (Reply(b"busy", 503), [3.0, 6.0]),
        (Reply(b"too many", 429, {"Retry-After": "17"}), [17.0, 17.0]),
        (Reply(b"wait long", 429, {"Retry-After": "99999"}), [120.0, 120.0]),
    ],
)
def test_what_is_temporary_is_tried_again_later_each_time(
    library: Library, clock: Clock, trouble: Reply, waits: list[float]
) -> None:
    left = [trouble, trouble]
    whole = arxiv(3)
    with PapersServer(lambda asked: left.pop() if left else whole(asked)) as server:
        assert bring(library, ArxivQuery("quagga", server.url), clock).added == 3
    pauses = [pause for pause in clock.waits if pause >= 2.9]
    assert [round(pause) for pause in pauses] == pytest.approx(waits, rel=0.35)
    assert len(server.asked) == 3


def test_a_service_that_is_away_is_given_up_in_the_end(library: Library, clock: Clock) -> None:
    with PapersServer(arxiv(1)) as server:
        url = server.url
    with pytest.raises(FetchError, match="did not answer after 6 tries"):
        bring(library, ArxivQuery("quagga", url), clock)
    assert sum(clock.waits) < 300


def test_empty_pages_in_the_middle_are_asked_for_again(library: Library, clock: Clock) -> None:
    whole = arxiv(300)
    empty = [1]

    def answer(asked: dict[str, str]) -> Reply:
        if asked["start"] == "200" and empty:
            empty.pop()
            return Reply(feed([], 300, 200))
        return whole(asked)

    with PapersServer(answer) as server:
        assert bring(library, ArxivQuery("quagga", server.url), clock, 1000).fetched == 300
    with (
        PapersServer(lambda asked: Reply(feed([], 300, 0))) as server,
        pytest.raises(FetchError, match="empty pages"),
    ):
        bring(library, ArxivQuery("other", server.url), clock, 1000)


def test_a_service_that_knows_no_pages_does_not_go_on_for_ever(
    library: Library, clock: Clock
) -> None:
    body = daily([50])({"p": "0"})
    with PapersServer(lambda asked: body) as server:
        report = bring(library, DailyPapers("2024-10", server.url), clock, 1000)
    assert (report.fetched, len(server.asked)) == (50, 2)


ERROR = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"
 xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/"><opensearch:totalResults>1
</opensearch:totalResults><entry><id>http://arxiv.org/api/errors#incorrect_id</id>
<title>Error</title><summary>incorrect id format for 1234</summary></entry></feed>"""
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    '<feed xmlns="http://www.w3.org/2005/Atom">&b;</feed>'
)


@pytest.mark.parametrize(
    ("service", "reply", "said"),
    [
        (ArxivQuery, Reply(ERROR), "incorrect id format"),
        (ArxivQuery, Reply(BOMB), "no Atom feed"),
        (ArxivQuery, Reply(b"<html>hello"), "no Atom feed"),
        (DailyPapers, Reply(b"<html>hello"), "no JSON"),
        (DailyPapers, Reply(b'{"error": "x"}'), "no list"),
        (DailyPapers, Reply(b'{"error":"Invalid date"}', 400), "Invalid date"),
        (OpenAlexSearch, Reply(b'{"results": 3}'), "without results"),
        (OpenAlexSearch, Reply(b'{"message": "Rate limit exceeded"}', 403), "your key"),
        (OpenAlexSearch, Reply(b"", 302, {"Location": "http://169.254.169.254/x"}), "not followed"),
        (OpenAlexSearch, Reply(b"", 302, {"Location": "file:///etc/passwd"}), "not followed"),
        (OpenAlexSearch, Reply(b"", 302, {"Location": "/again"}), "one address to the next"),
    ],
)
def test_what_no_service_should_answer_is_said_plainly(
    library: Library,
    clock: Clock,
    service: Callable[[str, str], Service],
    reply: Reply,
    said: str,
) -> None:
    query = "2024-10" if service is DailyPapers else "quagga"
    with (
        PapersServer(lambda _: reply) as server,
        pytest.raises(FetchError, match=said),
    ):
        bring(library, service(query, server.url), clock)
    assert len(library) == 0
    assert library.check() == []


def test_an_endless_answer_is_cut_off(library: Library, clock: Clock) -> None:
    with PapersServer(lambda _: Reply(b" " * 200_000)) as server:
        client = Client(server.url, 0, sleep=clock.sleep, clock=clock.time, max_bytes=100_000)
        with pytest.raises(FetchError, match="more than 100000 bytes"):
            client.get({})


def test_a_key_is_in_no_message_and_no_log(
    library: Library, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(asked: dict[str, str]) -> Reply:
        return Reply(f"bad request ?api_key={asked['api_key']}&x=1", 400)

    with caplog.at_level(logging.DEBUG), PapersServer(answer) as server:
        with pytest.raises(FetchError, match="400") as caught:
            bring(library, OpenAlexSearch("quagga", server.url, key="secret-key"), clock)
        assert server.asked[0]["api_key"] == "secret-key"
    assert "secret-key" not in str(caught.value)
    # Not even in what httpx itself logs.
    assert any(record.name == "httpx" for record in caplog.records)
    assert "secret-key" not in caplog.text


# -- where it may go --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base",
    [
        "http://export.arxiv.org/api/query",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://10.0.0.1/api",
        "http://192.168.1.1/api",
    ],
)
def test_only_https_and_the_loopback(base: str) -> None:
    with pytest.raises(FetchError, match="https"):
        Client(base, 0)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1"])
def test_a_name_that_stands_for_a_private_address_is_not_asked(
    address: str, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (address, 443))])
    client = Client("https://papers.example.org/api", 0, sleep=clock.sleep, clock=clock.time)
    with pytest.raises(FetchError, match="private address"):
        client.get({})


def test_the_command_fetches_and_says_what_came(tmp_path: Path) -> None:
    with PapersServer(arxiv(12)) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "citewise", "fetch", "arxiv", "cat:cs.CL", "--max", "5"),
                *("--no-embed", "--json", "--library", str(tmp_path / "library")),
            ],
            env={**os.environ, "PYTHONPATH": str(SRC), "CITEWISE_ARXIV_URL": server.url},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["fetched"], found["total"], found["added"]) == (5, 12, 5)
    assert (found["papers"], found["embedded"], found["complete"]) == (5, 0, False)
