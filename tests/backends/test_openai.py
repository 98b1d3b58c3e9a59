from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support import openai_server as servers
from tests.support.openai_server import Behaviour, OpenAIServer

from citewise.backends.limits import Limits
from citewise.backends.openai import OpenAIChat, public_url
from citewise.backends.writing import AnswerCutError, ChatTurn
from citewise.errors import (
    BackendAuthError,
    BackendError,
    BackendTimeoutError,
    BackendUnavailableError,
)
from citewise.types import Usage

KEY = "SECRET-MARK-c0ffee"
TURNS = (ChatTurn("system", "Be short."), ChatTurn("user", "What is halved?"))
ANSWER = "Lantern halves the memory of the cache [1]."
PATIENT = Limits(connect_s=20.0, silence_s=20.0, total_s=60.0)
"""Of tests in which nothing is to take too long: a busy machine may stall for seconds."""
SHORT = Limits(connect_s=20.0, silence_s=0.4, total_s=60.0)
"""Of tests in which a silence is to end the reply before it has begun."""
PAUSE = replace(SHORT, silence_s=2.0)
"""The same after something came: it must come in time on a busy machine too."""
COST = Usage(120, 34, 1)

Serve = Callable[..., OpenAIServer]


def ask(
    server: OpenAIServer,
    *,
    limits: Limits = PATIENT,
    waits: list[float] | None = None,
    key: str | None = KEY,
) -> tuple[list[str], Usage | None, BackendError | None]:
    """All pieces of one reply, its cost, and the error with which it ended."""
    slept = [] if waits is None else waits
    chat = OpenAIChat("small", server.url, key, limits=limits, sleep=slept.append)
    pieces: list[str] = []
    reply = chat.stream(TURNS, max_tokens=50)
    try:
        while True:
            pieces.append(next(reply))
    except StopIteration as end:
        return pieces, end.value, None
    except BackendError as error:
        return pieces, None, error
    finally:
        chat.close()


def test_streamed_reply_comes_piece_by_piece_with_its_cost(serve: Serve) -> None:
    server = serve(ANSWER)
    pieces, usage, error = ask(server)
    assert error is None
    assert len(pieces) > 3
    assert "".join(pieces) == ANSWER
    assert usage == COST
    sent = server.requests[0].body
    assert sent["model"] == "small"
    assert [turn["role"] for turn in sent["messages"]] == ["system", "user"]
    assert sent["max_tokens"] == 50


def test_first_piece_arrives_while_the_server_still_writes(serve: Serve) -> None:
    server = serve(servers.then_silence("Lantern halves", seconds=30))
    chat = OpenAIChat("small", server.url, limits=PATIENT)
    reply = chat.stream(TURNS, max_tokens=50)
    begun = time.monotonic()
    assert next(reply) == "Lantern"
    assert time.monotonic() - begun < 10
    reply.close()


def test_server_that_does_not_stream_is_understood(serve: Serve) -> None:
    pieces, usage, error = ask(serve(servers.plain(ANSWER)))
    assert ("".join(pieces), usage, error) == (ANSWER, COST, None)


def test_reply_can_be_asked_for_in_one_piece(serve: Serve) -> None:
    def behave(exchange: servers.Exchange) -> None:
        streams = exchange.request.body["stream"]
        (servers.streamed("streamed") if streams else servers.plain(ANSWER))(exchange)

    chat = OpenAIChat("small", serve(behave).url, limits=PATIENT, streamed=False)
    assert list(chat.stream(TURNS, max_tokens=50)) == [ANSWER]


def test_server_that_refuses_to_stream_is_asked_for_the_whole(serve: Serve) -> None:
    def behave(exchange: servers.Exchange) -> None:
        refusal = servers.failing(400, "'stream' must be false here")
        (refusal if exchange.request.body["stream"] else servers.plain(ANSWER))(exchange)

    pieces, usage, error = ask(serve(behave))
    assert ("".join(pieces), usage, error) == (ANSWER, COST, None)


def test_one_byte_at_a_time_gives_the_same_reply(serve: Serve) -> None:
    text = "Größe und 数量 bleiben [1]."
    pieces, usage, error = ask(serve(servers.byte_by_byte(text)))
    assert ("".join(pieces), usage, error) == (text, COST, None)


def test_half_a_stream_keeps_what_came_and_says_so(serve: Serve) -> None:
    server = serve(servers.half("Lantern halves the"))
    pieces, _, error = ask(server)
    assert "".join(pieces) == "Lantern halves the"
    assert isinstance(error, AnswerCutError)
    assert "broke off" in str(error)
    assert len(server.requests) == 1, "what was shown must not be written a second time"


def test_stream_that_breaks_before_its_first_piece_is_tried_again(serve: Serve) -> None:
    server = serve([servers.half(""), ANSWER])
    pieces, _, error = ask(server)
    assert ("".join(pieces), error) == (ANSWER, None)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failure_is_retried_with_growing_waits(serve: Serve, status: int) -> None:
    waits: list[float] = []
    server = serve([servers.failing(status), servers.failing(status), ANSWER])
    pieces, _, error = ask(server, waits=waits)
    assert ("".join(pieces), error) == (ANSWER, None)
    assert len(waits) == 2
    assert 0 < waits[0] < waits[1] < 3


@pytest.mark.parametrize(("status", "word"), [(429, "no more requests"), (500, "status 500")])
def test_lasting_failure_ends_after_four_attempts(serve: Serve, status: int, word: str) -> None:
    server = serve(servers.failing(status))
    pieces, _, error = ask(server)
    assert pieces == []
    assert isinstance(error, BackendUnavailableError)
    assert word in str(error)
    assert "4 times" in str(error)
    assert len(server.requests) == 4


def test_retry_after_is_obeyed(serve: Serve) -> None:
    waits: list[float] = []
    ask(serve([servers.failing(429, headers={"Retry-After": "2"}), ANSWER]), waits=waits)
    assert waits == [2.0]


def test_retry_after_beyond_the_ceiling_is_not_waited_for(serve: Serve) -> None:
    waits: list[float] = []
    server = serve(servers.failing(429, headers={"Retry-After": "3600"}))
    _, _, error = ask(server, waits=waits, limits=PATIENT)
    assert waits == []
    assert len(server.requests) == 1
    assert "3600 s" in str(error)


def test_account_without_credit_is_not_tried_again(serve: Serve) -> None:
    server = serve(servers.failing(429, code="insufficient_quota"))
    _, _, error = ask(server)
    assert len(server.requests) == 1
    assert "credit" in str(error)


@pytest.mark.parametrize("behaviour", [servers.silence(), servers.only_comments()])
def test_silence_is_a_timeout(serve: Serve, behaviour: Behaviour) -> None:
    begun = time.monotonic()
    _, _, error = ask(serve(behaviour), limits=SHORT)
    assert isinstance(error, BackendTimeoutError)
    assert "0.4 s" in str(error)
    assert time.monotonic() - begun < 15


def test_silence_after_the_first_words_keeps_them(serve: Serve) -> None:
    pieces, _, error = ask(serve(servers.then_silence("Lantern halves")), limits=PAUSE)
    assert "".join(pieces) == "Lantern halves"
    assert isinstance(error, AnswerCutError)


def test_silence_after_the_last_word_loses_nothing(serve: Serve) -> None:
    def behave(exchange: servers.Exchange) -> None:
        exchange.head(200, "text/event-stream")
        exchange.send(servers.event(ANSWER))
        exchange.send(servers.event(finish="stop"))
        exchange.wait(30)

    pieces, _, error = ask(serve(behave), limits=PAUSE)
    assert ("".join(pieces), error) == (ANSWER, None)


def test_slow_reader_is_not_a_slow_server(serve: Serve) -> None:
    server = serve(servers.streamed(ANSWER))
    chat = OpenAIChat("small", server.url, limits=PAUSE)
    reply = chat.stream(TURNS, max_tokens=50)
    text = next(reply)
    time.sleep(PAUSE.silence_s * 1.5)
    assert text + "".join(reply) == ANSWER


def test_whole_answer_has_a_ceiling_of_time(serve: Serve) -> None:
    begun = time.monotonic()
    limits = replace(PATIENT, total_s=2.0)
    pieces, _, error = ask(serve(servers.endless(every=0.02)), limits=limits)
    assert pieces
    assert isinstance(error, AnswerCutError)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("behaviour", [servers.endless(), servers.endless_line()])
def test_endless_response_is_stopped_by_its_size(serve: Serve, behaviour: Behaviour) -> None:
    server = serve(behaviour)
    _, _, error = ask(server, limits=replace(PATIENT, max_bytes=200_000))
    assert isinstance(error, BackendUnavailableError)
    assert "200000 bytes" in str(error)
    assert server.hung_up.wait(5)


def test_endless_error_page_is_not_read_to_its_end(serve: Serve) -> None:
    server = serve(servers.endless_failure(400))
    begun = time.monotonic()
    _, _, error = ask(server)
    assert isinstance(error, BackendUnavailableError)
    assert time.monotonic() - begun < 20
    assert server.hung_up.wait(5)


@pytest.mark.parametrize(
    "data", [b'data: {"choices": [{"del\n\n', b"data: []\n\n", b"data: \xff\xfe\n\n", b"garbage"]
)
def test_what_cannot_be_read_is_an_error_not_an_answer(serve: Serve, data: bytes) -> None:
    pieces, _, error = ask(serve(servers.raw(data)))
    assert pieces == []
    assert isinstance(error, BackendUnavailableError)


def test_unreadable_event_in_the_middle_cuts_the_answer(serve: Serve) -> None:
    # Left out, the word 'not' could be in it.
    data = servers.event("It does ") + b'data: {"choi\n\n' + servers.event("work [1].")
    pieces, _, error = ask(serve(servers.raw(data + servers.event(finish="stop"))))
    assert "".join(pieces) == "It does "
    assert isinstance(error, AnswerCutError)


def test_invalid_utf8_is_replaced(serve: Serve) -> None:
    data = servers.event("caf#").replace(b"#", b"\xe9") + servers.event(finish="stop")
    pieces, _, error = ask(serve(servers.raw(data)))
    assert ("".join(pieces), error) == ("caf\ufffd", None)


def test_error_inside_the_stream_is_told(serve: Serve) -> None:
    data = b'data: {"error": {"message": "out of memory"}}\n\n'
    _, _, error = ask(serve(servers.raw(data)))
    assert "out of memory" in str(error)


def test_reply_cut_by_its_token_limit_says_so(serve: Serve) -> None:
    pieces, _, error = ask(serve(servers.streamed("Lantern halves", finish="length")))
    assert "".join(pieces) == "Lantern halves"
    assert isinstance(error, AnswerCutError)
    assert "50 tokens" in str(error)
    assert error.usage == COST


def test_tokens_of_a_reply_can_be_set(serve: Serve) -> None:
    server = serve(ANSWER)
    chat = OpenAIChat("small", server.url, limits=replace(PATIENT, max_tokens=4321))
    assert "".join(chat.stream(TURNS, max_tokens=50)) == ANSWER
    assert server.requests[0].body["max_tokens"] == 4321


def test_redirect_is_not_followed_and_the_key_stays(serve: Serve) -> None:
    thief = serve(ANSWER)
    server = serve(servers.redirecting(f"{thief.url}/chat/completions?token={KEY}"))
    _, _, error = ask(server)
    assert thief.requests == []
    assert isinstance(error, BackendUnavailableError)
    assert thief.url in str(error)
    assert KEY not in str(error)


def test_wrong_key_says_what_to_set_and_hides_it(serve: Serve) -> None:
    server = serve(servers.needing_key("another", servers.streamed(ANSWER)))
    _, _, error = ask(server)
    assert isinstance(error, BackendAuthError)
    assert "CITEWISE_API_KEY" in str(error)
    assert "extractive" in str(error)
    assert len(server.requests) == 1


def test_unknown_model_says_what_to_check(serve: Serve) -> None:
    _, _, error = ask(serve(servers.failing(404, "The model `small` does not exist")))
    assert isinstance(error, BackendUnavailableError)
    assert "'small'" in str(error)
    assert "/v1" in str(error)


def test_web_page_instead_of_an_api_is_recognised(serve: Serve) -> None:
    _, _, error = ask(serve(servers.raw(b"<html>Welcome</html>", kind="text/html")))
    assert "/v1" in str(error)


@pytest.mark.parametrize("parameter", ["stream_options", "max_tokens", "temperature"])
def test_refused_parameter_is_left_out_and_remembered(serve: Serve, parameter: str) -> None:
    server = serve(servers.refusing(parameter, servers.streamed(ANSWER)))
    chat = OpenAIChat("small", server.url, limits=PATIENT)
    for _ in range(2):
        assert "".join(chat.stream(TURNS, max_tokens=50)) == ANSWER
    assert len(server.requests) == 3
    assert parameter not in server.requests[-1].body
    ceiling = {"max_tokens", "max_completion_tokens"} & server.requests[-1].body.keys()
    assert len(ceiling) == 1, "a reply always has a ceiling"


def test_bare_refusal_is_tried_without_usage(serve: Serve) -> None:
    server = serve(servers.refusing("stream_options", servers.streamed(ANSWER), named=False))
    pieces, usage, error = ask(server)
    assert ("".join(pieces), usage, error) == (ANSWER, Usage(0, 0, 1), None)


def test_refusal_for_another_reason_does_not_loop(serve: Serve) -> None:
    server = serve(servers.failing(400, "the prompt is too long"))
    _, _, error = ask(server)
    assert "too long" in str(error)
    assert len(server.requests) == 2


def test_closing_the_reply_hangs_up(serve: Serve) -> None:
    server = serve(servers.endless(every=0.01))
    chat = OpenAIChat("small", server.url, limits=PATIENT)
    reply = chat.stream(TURNS, max_tokens=50)
    next(reply)
    reply.close()
    assert server.hung_up.wait(5)


def test_nothing_listening_is_said_with_its_address(serve: Serve) -> None:
    server = serve()
    url = server.url
    server.__exit__()
    chat = OpenAIChat("small", url, limits=PATIENT, sleep=lambda _: None)
    with pytest.raises(BackendUnavailableError, match="is the server running") as raised:
        list(chat.stream(TURNS, max_tokens=50))
    assert url in str(raised.value)
    server.__enter__()


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/v1", "http://[::1", "http://"])
def test_address_that_is_none_is_a_plain_message(url: str) -> None:
    chat = OpenAIChat("small", url, limits=PATIENT, sleep=lambda _: None)
    with pytest.raises(BackendUnavailableError):
        list(chat.stream(TURNS, max_tokens=50))


def test_strangers_get_nothing_from_the_environment(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {KEY}\nX-Team: {KEY}")
    server = serve(ANSWER)
    _, _, error = ask(server, key=None)
    assert error is None
    assert KEY not in server.requests[0].text


@pytest.mark.parametrize("key", [None, "", "  "])
def test_missing_key_names_the_variable_and_the_way_without(key: str | None) -> None:
    with pytest.raises(BackendAuthError, match=r"OPENAI_API_KEY.*extractive"):
        OpenAIChat("gpt", api_key=key)


@pytest.mark.parametrize("key", [f"{KEY}\nX-Evil: 1", f"{KEY} {KEY}", f"{KEY}ü"])
def test_malformed_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(BackendAuthError) as raised:
        OpenAIChat("gpt", api_key=key)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    "behaviour",
    [
        servers.needing_key("another", servers.streamed("")),
        servers.failing(429, f"slow down, Bearer {KEY}"),
        servers.failing(404, f"no such model for {KEY}"),
        servers.failing(400, f"bad request with {KEY}"),
        servers.failing(500, KEY),
        servers.raw(KEY.encode(), status=502, kind="text/plain"),
        servers.raw(b'data: {"error": "' + KEY.encode() + b'"}\n\n'),
        servers.raw(KEY.encode(), kind="application/json"),
        servers.redirecting(f"http://{KEY}:{KEY}@127.0.0.1:1/{KEY}"),
        servers.half("Lantern"),
        servers.silence(1.0),
    ],
)
def test_key_is_in_no_message_and_no_log(
    serve: Serve, behaviour: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in ("citewise", "openai", "httpx", "httpx2"):
        caplog.set_level(logging.DEBUG, logger=name)
    server = serve(behaviour)
    _, _, error = ask(server)
    assert error is not None
    assert KEY in server.requests[0].text, "the test would prove nothing without a key"
    assert KEY not in str(error)
    assert error.__suppress_context__
    assert KEY not in caplog.text


def test_twenty_at_once_keep_their_answers_apart(serve: Serve) -> None:
    server = serve(servers.replying(lambda seen: f"reply to {seen.last_user_turn}"))
    chat = OpenAIChat("small", server.url, limits=PATIENT)
    replies: dict[int, str] = {}

    def one(number: int) -> None:
        turn = ChatTurn("user", f"question {number}")
        replies[number] = "".join(chat.stream((turn,), max_tokens=50))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert replies == {number: f"reply to question {number}" for number in range(20)}


def test_public_url_leaves_out_what_is_secret() -> None:
    assert public_url("https://me:pw@host:8443/v1?key=x#y") == "https://host:8443/v1"
    assert public_url("http://[::1]:8000/v1") == "http://[::1]:8000/v1"
    chat = OpenAIChat("small", f"http://me:{KEY}@127.0.0.1:1/v1?k={KEY}")
    assert chat.name == "openai-compatible:small@http://127.0.0.1:1/v1"
