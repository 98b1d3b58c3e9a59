"""Ask through a model that lies, and count how many lies reach the reader as supported.

    python eval/dishonest.py [--n 360] [--seed 7] [--out docs/dishonest.md] [--cases FILE]

A scripted model behind a real server on the loopback answers questions over the sample papers with
seeded corruptions of the evidence it was offered, and insists on them when asked to rewrite. Half
of them are reworded first, and more are made from paraphrases written by hand
(``dishonest_rewordings.jsonl``). Further passes answer with honest rewordings, by rule and by hand.
The status is 1 where a target is missed. One to two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.support.openai_server import OpenAIServer, Seen, replying  # noqa: E402

from citewise import Assistant, Library  # noqa: E402
from citewise.sample import sample_folder  # noqa: E402
from citewise.types import Answer, Done, Paper, Sentence, SentenceReady, Verdict  # noqa: E402

REWORDINGS = Path(__file__).with_name("dishonest_rewordings.jsonl")
KEPT_OUT, LET_THROUGH = 0.95, 0.90
"""Targets: lies that do not reach the reader as supported, honest rewordings that do."""
HONEST_PER_ANSWER = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of evidence as the model was offered it."""

    n: int
    title: str
    text: str
    origin: str = ""
    """What it was reworded from, where it was."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that the model wrote."""

    kind: str
    how: str
    """The rule that made it."""
    source: str
    """The evidence that it was made from."""
    text: str
    """Without its markers."""
    numbers: tuple[int, ...]
    """Evidence numbers that it cites."""
    titles: tuple[str, ...]
    """Titles of the papers that it cites."""

    @property
    def written(self) -> str:
        """The sentence with its markers before the full stop."""
        marks = "".join(f"[{n}]" for n in self.numbers)
        return f"{self.text.rstrip('. ')} {marks}."


@dataclass(frozen=True, slots=True)
class Case:
    """What became of a sentence."""

    said: Said
    outcome: str
    """``supported``, ``marked`` (shown as doubtful) or ``gone``."""
    support: float
    reasons: tuple[str, ...]


@dataclass(slots=True)
class ScriptedModel:
    """Answers as ``speak`` says; asked to rewrite, it repeats what it wrote."""

    titles: Sequence[str]
    speak: Callable[[Sequence[Line]], Sequence[Said]] = lambda _: ()
    before: Sequence[str] = ()
    said: list[Said] = field(default_factory=list)
    """What was made in the last answer."""

    def reply(self, seen: Seen) -> str:
        """The answer to one request."""
        turn = seen.last_user_turn
        failing = re.search(r"<failing>(.*)</failing>", turn, re.DOTALL)
        if failing:
            return "\n".join(re.findall(r"^S\d+: .*$", failing[1], re.MULTILINE))
        self.said = list(self.speak(offered(turn, self.titles)))
        if not self.said:
            return "NOT IN THE PAPERS"
        if len(self.said) > 1:
            return "\n".join(f"- {item.written}" for item in self.said)
        return " ".join([*self.before, self.said[0].written])


def offered(turn: str, titles: Sequence[str]) -> list[Line]:
    """The numbered evidence of a prompt whose papers have these titles, longest first."""
    evidence = turn.partition("<evidence>")[2].partition("</evidence>")[0]
    lines = []
    for n, rest in re.findall(r"^\[(\d+)\] \((.*)$", evidence, re.MULTILINE):
        title = next((t for t in titles if rest.startswith(t)), None)
        match = title and re.match(r"(?:, [\d-]+)?\) (.*)$", rest[len(title) :])
        if title and match:
            lines.append(Line(int(n), title, match[1]))
    return lines


# ------------------------------------------------------------------------------------- reading

_NUMBER = re.compile(
    r"(?<![\w.,/^{}$\\-])\d+(?:,\d{3})*(?:\.\d+)?(?![\d)]|[.,]\d|D\b|nd\b|rd\b|th\b|st\b|\s*[x×]\s*\d)"
)
_NAME = re.compile(
    r"(?<![\w/.-])[A-Za-z]*[A-Z][A-Za-z]*[A-Z][A-Za-z]*(?:-\d+(?:\.\d+)?)?(?![\w/-])"
)
_GENERIC = frozenset(
    """llm llms lm lms mllm mllms vlm vlms plm plms ai ml nlp gpu gpus cpu cpus npu dnn dnns cnn
    cnns rnn rnns gnn gnns nn nns rl flops flop kv api apis qa id ood pdf sota dl cv rag cot moe
    moes vit vits ffn mlp mlps ee ode odes sde iot""".split()
)
_OWN = re.compile(r"^(?:In this (?:paper|work), )?(?:[Ww]e|This (?:paper|work)|Our (?:method|model"
                  r"|approach|framework|system)) (?=[a-z]+)")  # fmt: skip


def _usable(text: str) -> bool:
    return (
        50 <= len(text) <= 330
        and text.endswith(".")
        and text[0].isupper()
        and not re.search(r"https?:|\[|\$|\\|[.!?] [A-Z]", text)
    )


def _names(text: str) -> list[str]:
    return [m for m in _NAME.findall(text) if m.lower() not in _GENERIC]


def _short(title: str) -> str | None:
    head = title.split(":")[0].strip()
    named = len(head.split()) == 1 or (len(head.split()) == 2 and _names(head))
    return head if ":" in title and named and any(map(str.isupper, head)) else None


def _squash(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _initials(text: str) -> str:
    return "".join(word[0] for word in re.findall(r"[a-z]+", text.casefold()))


def _strange(name: str, *texts: str) -> bool:
    """Whether no text holds a name, in parts, joined or spelled out."""
    form = _squash(name).removesuffix("s")
    return all(form not in _squash(text) and form not in _initials(text) for text in texts)


def _telltale(text: str, other: Line) -> bool:
    """Whether a text holds a figure or a name that another line and its title lack."""
    figures = [m for m in _NUMBER.findall(text) if len(m) > 1]
    held = f"{other.title} {other.text}"
    return any(f not in held for f in figures) or any(_strange(n, held) for n in _names(text))


def _lower_first(text: str) -> str:
    first = text.split(" ", 1)[0]
    opener = (
        r"(?:We|The|This|These|Our|In|On|For|With|By|To|It|As|An?|However|Such|Extensive|Here"
        r"|Experiments?|Results?|While|When|Through|Using|During|Due|Based|Their|Additionally"
        r"|Furthermore|Moreover|Finally|Then|Among|Compared|Experimental|Recent),?"
    )
    common = re.fullmatch(opener, first)
    return text[0].lower() + text[1:] if common else text


# --------------------------------------------------------------------------------------- lies

Made = tuple[str, tuple[int, ...], str]
"""A sentence, the evidence numbers it cites, and the rule that made it."""
Rule = Callable[[Line, Sequence[Line], random.Random], Made | None]

_RAISING = re.compile(r"(?:over|more than|at least|exceeding|above|greater than|up to|>|≥)\s*$")
_LOWERING = re.compile(r"(?:under|less than|at most|below|fewer than|<|≤)\s*$")
_ROUND = re.compile(r"(?:about|around|approximately|nearly|roughly|almost|~|≈)\s*$")


def number_changed(line: Line, _: Sequence[Line], rng: random.Random) -> Made | None:
    """Another value in place of one number: far off, near by, or with two digits exchanged."""
    found = list(_NUMBER.finditer(line.text))
    rng.shuffle(found)
    held = f"{line.text} {line.title} {line.origin}"
    taken = {float(m.replace(",", "")) for m in _NUMBER.findall(held)}
    for match in found:
        old = match.group().replace(",", "")
        places = len(old.partition(".")[2])
        before = line.text[: match.start()]
        raising, lowering = _RAISING.search(before), _LOWERING.search(before)
        ways = (
            ["far"] if raising or lowering or _ROUND.search(before) else ["far", "near", "turned"]
        )
        how = rng.choice(ways)
        for _attempt in range(20):
            value = float(old)
            if how == "near":
                value += rng.choice([-3, -2, -1, 1, 2, 3]) * 10.0**-places
            elif how == "turned":
                digits = [c for c in old if c != "."]
                rng.shuffle(digits)
                value = int("".join(digits)) / 10**places
            else:
                up = bool(raising) or (not lowering and rng.random() < 0.5)
                value = value * rng.uniform(1.3, 3) + 1 if up else value * rng.uniform(0.3, 0.75)
            new = f"{value:.{places}f}"
            if float(new) > 0 and float(new) not in taken:
                new = f"{int(new):,}" if "," in match.group() else new
                return before + new + line.text[match.end() :], (line.n,), how
            how = "far" if how == "turned" else how
    return None


_MEASURES = [
    (r"\bup to (?=[\d~])", "at least "), (r"\bat least (?=\d)", "at most "),
    (r"\bmore than (?=\d)", "less than "), (r"\bless than (?=\d)", "more than "),
    (r"\bover (?=\d)", "under "), (r"\bunder (?=\d)", "over "), (r"\bup to (?=\d)", "more than "),
    (r"(?<=\d) ?%", "x"), (r"(?<=\d)x\b(?! ?\d)", "%"), (r"(?<=\d) ?times\b(?! ?\d)", "%"),
    (r"(?<=\d) ?ms\b", " seconds"), (r"(?<=\d) ?GB\b", " MB"), (r"(?<=\d) ?MB\b", " GB"),
    (r"(?<=\d)B\b", "M"), (r"(?<=\d)M\b", "B"), (r"(?<=\d)[kK]\b", "M"), (r"(?<=\d)T\b", "M"),
    (r"\bbillion\b", "million"), (r"\bmillion\b", "billion"), (r"\btrillion\b", "million"),
    (r"(?<=\d)-bit\b", "-byte"), (r"(?<=\d) ?bits?\b", " bytes"), (r"\bhours\b", "minutes"),
    (r"(?<=\d) hours?\b", " days"), (r"\bminutes\b", "seconds"), (r"(?<=\d) seconds?\b", " ms"),
]  # fmt: skip


def measure_changed(line: Line, _: Sequence[Line], rng: random.Random) -> Made | None:
    """Another unit, or the bound turned round, at one number."""
    return _replaced(line, _MEASURES, rng)


def _replaced(line: Line, rules: Sequence[tuple[str, str]], rng: random.Random) -> Made | None:
    found = [(m, to) for rule, to in rules for m in re.finditer(rule, line.text)]
    if not found:
        return None
    match, to = rng.choice(found)
    new = match.expand(to)
    if match.group()[:1].isupper():
        new = new[:1].upper() + new[1:]
    text = line.text[: match.start()] + new + line.text[match.end() :]
    return text, (line.n,), f"'{match.group().strip()}' -> '{new.strip()}'"


def name_swapped(line: Line, lines: Sequence[Line], rng: random.Random) -> Made | None:
    """The name of another offered paper in place of a name, or as the one who did it."""
    held = f"{line.title} {line.text} {line.origin}"
    pool = {
        name: other
        for other in lines
        if other.title != line.title
        for name in [*_names(other.text), *filter(None, [_short(other.title)])]
        if len(name) > 2 and _strange(name, held)
    }
    if not pool:
        return None
    new = rng.choice(sorted(pool))
    own = _OWN.match(line.text)
    heads = sorted(filter(None, {_short(p.title) for p in lines if p.title != line.title}))
    heads = [head for head in heads if _strange(head, held)]
    if own and heads and rng.random() < 0.6:
        head, rest = rng.choice(heads), line.text[own.end() :]
        verb, _, rest = rest.partition(" ")
        if own.group().rstrip().lower().endswith("we"):
            verb += "es" if re.search(r"(?:s|sh|ch|x)$", verb) else "s"
        return f"{head} {verb} {rest}", (line.n,), f"done by '{head}'"
    found = sorted({name for name in _names(line.text) if name.lower() != new.lower()})
    if not found:
        return None
    old = rng.choice(found)
    text = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", new, line.text)
    return (text, (line.n,), f"'{old}' -> '{new}'") if text != line.text else None


_VERBS = (
    "achieve|improve|provide|require|allow|enable|reduce|outperform|support|maintain|increase"
    "|surpass|remain|offer|retain|preserve|exceed|deliver|consider|contain|generate"
)
_NEGATED = [
    (
        r"\b(is|are|was|were|could|will|has|have|may|do|does)\b(?! (?:not|no|only)\b|[,.])",
        r"\1 not",
    ),
    (r"\bcan\b(?! (?:not|only))", "cannot"),
    (rf"\b({_VERBS})s\b(?= [a-z\d])", r"does not \1"),
    (rf"\b({_VERBS})s\b(?= [a-z\d])", r"fails to \1"),
    (rf"(?<=\bit )({_VERBS})s\b", r"never \1s"),
    (r"\b([Ww])e (show|demonstrate|find|observe|prove) that\b", r"\1e find no evidence that"),
    (
        r"(?<!compared )\bwith(?= (?:an?|the|only|just|minimal|comparable|high|similar)\b)",
        "without",
    ),
]
_UNNEGATED = [
    (r"\b(is|are|was|were|could|will|has|have|may|do|does|did) not\b(?! (?:only|just|merely|nec))",
     r"\1"),
    (r"\bcannot\b", "can"), (r"\bwithout\b", "with"), (r"\bnever\b", "always"),
    (r"\bunable to\b", "able to"), (r"\bfails? to\b", "manages to"),
    (r"\b([Rr]equir\w+|[Nn]eed\w*|with|introduc\w+|has|have|incur\w*) no\b", r"\1"),
]  # fmt: skip


def negated(line: Line, _: Sequence[Line], rng: random.Random) -> Made | None:
    """A negation put in, or one taken out."""
    if re.search(r"\b(?:whether|if)\b", line.text):
        return None  # 'depends on whether' says the same of both
    removed = _replaced(line, _UNNEGATED, rng)
    return removed if removed and rng.random() < 0.8 else _replaced(line, _NEGATED, rng)


_OPPOSITES = """increases/decreases increase/decrease increasing/decreasing improves/worsens
improve/worsen improving/worsening improved/worsened improvement/deterioration
improvements/setbacks improvements/degradations higher/lower better/worse faster/slower more/less
larger/smaller outperforms/trails outperforms/underperforms outperform/trail outperforming/trailing
surpasses/lags_behind surpassing/lagging_behind reduces/raises reduces/increases reduce/raise
reducing/increasing reduced/raised reduction/rise enhances/weakens enhance/weaken
enhancing/weakening superior/inferior efficient/inefficient efficient/costly
efficiently/inefficiently efficiently/at_great_cost effective/ineffective effective/useless
effectively/ineffectively effectively/poorly high/low best/worst strong/weak accelerates/slows
accelerate/slow_down accelerating/slowing longer/shorter positive/negative significantly/hardly
substantially/barely minimal/severe minimal/large negligible/considerable speedup/slowdown
speedups/slowdowns gains/losses savings/extra_costs robust/fragile advantage/drawback
advantages/drawbacks scarce/abundant mitigates/aggravates mitigate/aggravate
alleviates/aggravates alleviate/aggravate preserving/sacrificing preserving/losing
maintaining/sacrificing preserves/sacrifices maintains/sacrifices lossless/lossy
accurate/inaccurate easy/hard simple/complex simple/intricate cheaper/costlier expensive/cheap
limited/unlimited successfully/unsuccessfully comparable/far_inferior consistently/inconsistently
fewer/more lower/higher low/high smaller/larger less/more enables/prevents enable/prevent
enabling/preventing allows/forbids boosts/hurts boost/hurt boosting/hurting saves/wastes
saving/wasting crucial/irrelevant critical/unimportant challenging/trivial difficult/easy
dense/sparse earlier/later before/after shrinks/grows costly/cheap slow/fast"""
_DIRECTIONS = [
    # 'Large language models' and 'the field of efficient inference' are names, not findings.
    (
        rf"(?<![\w-])(?<!field of )(?<!how ){one}(?![\w-])(?! language| model)",
        other.replace("_", " "),
    )
    for one, other in (pair.split("/") for pair in _OPPOSITES.split())
]


def direction_turned(line: Line, _: Sequence[Line], rng: random.Random) -> Made | None:
    """The opposite in place of one word that says which way."""
    return _replaced(line, _DIRECTIONS, rng)


def cited_elsewhere(line: Line, lines: Sequence[Line], rng: random.Random) -> Made | None:
    """A true sentence cited to another paper, which lacks its figures or names."""
    others = [o for o in lines if o.title != line.title and _telltale(line.text, o)]
    return (line.text, (rng.choice(others).n,), "cites another paper") if others else None


_SYLLABLES = "zor vel quin dax mur teb lan hex ri pol fen gar sil vok".split()
_AUTHORS = "Okonjo Lindqvist Baranov Tsukuda Ferreira Halloran Mbeki Szabo".split()
_THINGS = [
    "the GPU memory",
    "the training cost",
    "decoding latency",
    "energy use",
    "the parameters",
]


def invented(line: Line, lines: Sequence[Line], rng: random.Random) -> Made | None:
    """A paper that does not exist, with a figure or with somebody's findings."""
    name = "".join(rng.sample(_SYLLABLES, 2)).capitalize() + rng.choice(["Net", "LM", "Former", ""])
    author, year = rng.choice(_AUTHORS), rng.randint(2019, 2025)
    held = " ".join(o.text for o in lines)
    figure = f"{rng.uniform(11, 97):.1f}"
    while figure in held:
        figure = f"{rng.uniform(11, 97):.1f}"
    known = sorted(set(_names(line.text)) or {"the baseline"})
    made = [
        (f"{name} reaches {figure}% accuracy, ahead of {rng.choice(known)}.", "paper and figure"),
        (f"{author} et al. ({year}) cut {rng.choice(_THINGS)} by {figure}%.", "authors and figure"),
        (f"{author} et al. ({year}) report that {_lower_first(line.text)}", "false authors"),
        (f"According to {name}, {_lower_first(line.text)}", "false paper"),
    ]
    text, how = rng.choice(made)
    n = rng.choice([99, line.n])
    return text, (n,), f"{how}, {'no such number' if n == 99 else 'real number'}"


def joined(line: Line, lines: Sequence[Line], rng: random.Random) -> Made | None:
    """What two papers say in one sentence that cites one of them."""
    others = [
        o for o in lines
        if o.title != line.title and _usable(o.text) and _telltale(o.text, line)
        and len(o.text) + len(line.text) < 420
    ]  # fmt: skip
    if not others:
        return None
    other = rng.choice(others)
    first, then = (line, other) if rng.random() < 0.5 else (other, line)
    link = rng.choice([", and ", "; ", ", while "])
    return (
        first.text[:-1] + link + _lower_first(then.text),
        (line.n,),
        f"joined by '{link.strip()}'",
    )


LIES: dict[str, Rule] = {
    "number changed": number_changed,
    "unit or bound changed": measure_changed,
    "name of another paper": name_swapped,
    "negation added or removed": negated,
    "direction turned": direction_turned,
    "true, cited to another paper": cited_elsewhere,
    "invented paper": invented,
    "two papers joined": joined,
}

EDITS = {kind: rule for kind, rule in LIES.items() if list(LIES).index(kind) < 5}
"""The lies that change words within a sentence."""

# ------------------------------------------------------------------------------------- honesty


def _third_person(text: str) -> str:
    for rule, to in (
        (r"^In this (?:paper|work), we\b", "The authors"), (r"^We\b", "The authors"),
        (r"^Our\b", "Their"), (r"\bwe\b", "they"), (r"\bour\b", "their"), (r"\bours\b", "theirs"),
    ):  # fmt: skip
        text = re.sub(rule, to, text)
    return text


def reported(line: Line, _: Sequence[Line], __: random.Random) -> Made | None:
    """Led by who says it."""
    they = re.sub(r"^The authors\b", "they", _third_person(line.text))
    return f"The authors report that {_lower_first(they)}", (line.n,), "reported"


def other_person(line: Line, _: Sequence[Line], __: random.Random) -> Made | None:
    """We become the authors."""
    text = _third_person(line.text)
    return (text, (line.n,), "person") if text != line.text else None


def led_by_name(line: Line, _: Sequence[Line], __: random.Random) -> Made | None:
    """The paper's name before its sentence."""
    name = _short(line.title)
    if name is None or name in line.text:
        return None
    return f"{name}: {_lower_first(_third_person(line.text))}", (line.n,), "name"


def without_lead_in(line: Line, _: Sequence[Line], __: random.Random) -> Made | None:
    """What only links a sentence to the one before is left out."""
    text = re.sub(
        r"^(?:Specifically|Moreover|Furthermore|However|Additionally|In addition|Finally|Notably|"
        r"Therefore|In particular|To this end|Consequently|As a result|Thus|Hence|In contrast|"
        r"For example|For instance|Remarkably|Empirically), ", "", line.text)  # fmt: skip
    return (text[0].upper() + text[1:], (line.n,), "lead-in") if text != line.text else None


def other_format(line: Line, _: Sequence[Line], __: random.Random) -> Made | None:
    """The same numbers, written otherwise."""
    text = line.text
    for rule, to in (
        (r"(?<=\d)\\?%", " percent"), (r"(?<=\d) ?times\b(?! ?\d)", "x"),
        (r"(?<=\d)x\b(?! ?\d)", " times"), (r"(?<=\d),(?=\d{3}\b)", ""),
        (r"(?<![\w.,-])(\d+)B\b", r"\1 billion"),
        (r"(?<![\w.,-])(\d+)K\b", r"\1,000"), (r"(?<![\w.,-])(\d+)M\b", r"\1 million"),
        (r"\btwo\b", "2"), (r"\bthree\b", "3"),
    ):  # fmt: skip
        if re.search(rule, text):
            text = re.sub(rule, to, text)
            return text, (line.n,), "number format"
    return None


_SYNONYMS = [
    ("utilizes", "uses"), ("utilizing", "using"), ("utilize", "use"), ("leverages", "uses"),
    ("leveraging", "using"), ("demonstrate", "show"), ("demonstrates", "shows"),
    ("in order to", "to"), ("novel", "new"), ("numerous", "many"), ("various", "different"),
    ("large language models", "LLMs"), ("Large language models", "LLMs"), ("propose", "present"),
    ("proposes", "presents"), ("introduce", "present"), ("introduces", "presents"),
    ("significantly", "considerably"), ("approach", "method"), ("obtain", "get"),
    ("surpasses", "outperforms"), ("surpassing", "outperforming"), ("crucial", "essential"),
    ("due to", "because of"), ("accelerate", "speed up"), ("accelerates", "speeds up"),
    ("enhances", "improves"), ("enhance", "improve"), ("substantial", "considerable"),
    ("requires", "needs"), ("enables", "allows"), ("entire", "whole"), ("whilst", "while"),
]  # fmt: skip


def with_synonyms(line: Line, _: Sequence[Line], __: random.Random) -> Made | None:
    """Two or more words replaced by others that mean the same."""
    text, count = line.text, 0
    for old, new in _SYNONYMS:
        text, changed = re.subn(rf"(?<![\w-]){old}(?![\w-])(?! \()", new, text)
        count += changed
    return (text, (line.n,), "synonyms") if count > 1 else None


def main_clause(line: Line, _: Sequence[Line], __: random.Random) -> Made | None:
    """A sentence without what hangs on behind."""
    head = re.split(r"; |, (?:which|while|thereby|thus|enabling|resulting|making|achieving|leading"
                    r"|and (?:we|it|they|the)|allowing)\b", line.text)[0]  # fmt: skip
    long_enough = len(head.split()) >= 8 and re.search(
        r"\b(?:is|are|can|has|have|we|We)\b|[a-z]s (?:a|the|an|in|on|to|by)\b", head
    )
    if head == line.text or not long_enough or re.match(r"(?:While|Although|If|Since|As)\b", head):
        return None
    return head + ".", (line.n,), "main clause"


def two_of_one(line: Line, lines: Sequence[Line], rng: random.Random) -> Made | None:
    """Two sentences of one paper in one, citing both."""
    others = [
        o for o in lines
        if o.title == line.title and o.n > line.n and _usable(o.text)
        and len(o.text) + len(line.text) < 420
    ]  # fmt: skip
    if not others:
        return None
    other = rng.choice(others)
    return f"{line.text[:-1]}, and {_lower_first(other.text)}", (line.n, other.n), "joined"


HONEST: dict[str, Rule] = {
    "reported": reported,
    "we -> the authors": other_person,
    "led by the paper's name": led_by_name,
    "lead-in dropped": without_lead_in,
    "numbers written otherwise": other_format,
    "synonyms": with_synonyms,
    "main clause alone": main_clause,
    "two sentences joined": two_of_one,
}

_FIRST_REWORDED: tuple[Rule, ...] = (
    with_synonyms, reported, other_person, without_lead_in, led_by_name
)  # fmt: skip


def _reworded(line: Line, lines: Sequence[Line], rng: random.Random) -> Line | None:
    """A line in other words, honestly so, to be corrupted then."""
    for rule in rng.sample(_FIRST_REWORDED, len(_FIRST_REWORDED)):
        made = rule(line, lines, rng)
        if made:
            return Line(line.n, line.title, made[0], line.text)
    return None


# ------------------------------------------------------------------------------------- asking


@dataclass(slots=True)
class Quota:
    """Speaks by the rule that is furthest behind and fits the evidence."""

    rules: dict[str, Rule]
    each: int
    rng: random.Random
    per_answer: int = 1
    made: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)

    @property
    def done(self) -> bool:
        """Whether every rule has had its turns."""
        return all(self.made[kind] >= self.each for kind in self.rules)

    def speak(self, lines: Sequence[Line], of: Sequence[Line] | None = None) -> Iterator[Said]:
        """Sentences made from the evidence, or from ``of`` that rests on it; none twice."""
        titles = {line.n: line.title for line in lines}
        usable = [line for line in (lines if of is None else of) if _usable(line.text)]
        self.rng.shuffle(usable)
        count = 0
        kinds = sorted(self.rules, key=lambda kind: (self.made[kind], self.rng.random()))
        for kind in kinds:
            if self.made[kind] >= self.each:
                continue
            reworded = kind in EDITS and of is None and self.rng.random() < 0.5
            for line in usable:
                base = _reworded(line, lines, self.rng) if reworded else line
                made = self.rules[kind](base, lines, self.rng) if base else None
                if made is None or made[0] in self.seen:
                    continue
                text, numbers, how = made
                self.seen.add(text)
                self.made[kind] += 1
                cited = tuple(titles.get(n, "") for n in numbers)
                how = f"{how}, reworded" if reworded else how
                yield Said(kind, how, line.origin or line.text, text, numbers, cited)
                count += 1
                break
            if count >= self.per_answer:
                return


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def judged(said: Said, answer: Answer, first: Sequence[Sentence]) -> Case:
    """What became of a sentence in the final answer; ``first`` are those of the first draft.

    A sentence of the answer that stands word for word in what it cites is true, whatever it was cut
    from, and is no trace of a lie.
    """
    whole = _letters(said.text)
    papers = {c.n: c for c in answer.citations}
    found = []
    for sentence in answer.sentences:
        text = _letters(sentence.text)
        cited = [papers[n] for n in sentence.citations]
        within = whole in text and {c.paper.title for c in cited} <= {*said.titles}
        true = any(text in _letters(span.text) for c in cited for span in c.spans)
        if (text in whole or within) and not true:
            found.append(sentence)
    backed = [s for s in found if s.verdict is Verdict.SUPPORTED]
    if backed:
        return Case(said, "supported", backed[0].support, ())
    return _unbacked(said, bool(found), first)


def judged_honest(said: Said, answer: Answer, first: Sequence[Sentence]) -> Case:
    """The same for an honest sentence: all of it must be there, and be supported."""
    left = _letters(said.text)
    parts = [s for s in answer.sentences if _letters(s.text) in left]
    # Longest first: a shorter one of the same answer may stand within this one.
    backed = [s for s in parts if s.verdict is Verdict.SUPPORTED]
    for sentence in sorted(backed, key=lambda s: -len(s.text)):
        left = left.replace(_letters(sentence.text), "", 1)
    if parts and not left:
        return Case(said, "supported", min(s.support for s in backed), ())
    return _unbacked(said, bool(parts), first)


def _unbacked(said: Said, shown: bool, first: Sequence[Sentence]) -> Case:
    whole = _letters(said.text)
    drafts = [s for s in first if _letters(s.text) in whole and s.verdict is not Verdict.SUPPORTED]
    support = min((s.support for s in drafts), default=0.0)
    reasons = tuple(dict.fromkeys(r for s in drafts for r in s.reasons))
    return Case(said, "marked" if shown else "gone", support, reasons)


def _asked(assistant: Assistant, question: str) -> tuple[Answer, list[Sentence]]:
    """An answer, and the sentences of its first draft as they were shown."""
    first = []
    for event in assistant.stream(question):
        if isinstance(event, SentenceReady) and event.sentence:
            first.append(event.sentence)
        if isinstance(event, Done):
            return event.answer, first
    raise AssertionError("a stream ends with Done")


def _question(paper: Paper) -> str:
    return f"What does {' '.join(paper.title.split())} report?"


def lies(library: Library, n: int, seed: int) -> list[Case]:
    """``n`` corruptions, in turn of each kind, through the whole pipeline."""
    return _through(library, Quota(LIES, math.ceil(n / len(LIES)), random.Random(seed)), n, seed)


def honest_by_rule(library: Library, n: int, seed: int) -> list[Case]:
    """``n`` rewordings made by rule, a few to an answer."""
    each = math.ceil(n / len(HONEST))
    quota = Quota(HONEST, each, random.Random(seed), per_answer=HONEST_PER_ANSWER)
    return _through(library, quota, n, seed + 1)


def _through(library: Library, quota: Quota, n: int, seed: int) -> list[Case]:
    papers = sorted(library.papers(), key=lambda paper: paper.id)
    rng = random.Random(seed)
    dishonest = quota.rules is LIES
    cases: list[Case] = []
    with _Scripted(library) as (assistant, model):

        def speak(lines: Sequence[Line]) -> list[Said]:
            said = list(quota.speak(lines))
            # Every other lie stands behind a true sentence.
            true = [line for line in lines if _usable(line.text)]
            mixed = dishonest and said and true and rng.random() < 0.5
            chosen = rng.choice(true) if mixed else None
            model.before = [f"{chosen.text[:-1]} [{chosen.n}]."] if chosen else []
            return said

        model.speak = speak
        for paper in (p for _ in range(5) for p in rng.sample(papers, len(papers))):
            if quota.done or len(cases) >= n:
                break
            model.said = []
            answer, first = _asked(assistant, _question(paper))
            judge = judged if dishonest else judged_honest
            cases += [judge(said, answer, first) for said in model.said]
    return cases[:n]


class _Scripted:
    """An assistant whose model is scripted, behind a server of its own."""

    def __init__(self, library: Library) -> None:
        titles = sorted({" ".join(p.title.split()) for p in library.papers()}, key=len)[::-1]
        self._model = ScriptedModel(titles)
        self._server = OpenAIServer(replying(self._model.reply))
        self._library = library

    def __enter__(self) -> tuple[Assistant, ScriptedModel]:
        server = self._server.__enter__()
        return Assistant(self._library, backend=server.spec("scripted")), self._model

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)


def honest_by_hand(library: Library, most: int | None = None) -> list[Case]:
    """The rewordings written by hand, each in an answer of its own."""

    def speak(lines: Sequence[Line], line: Line, kind: str) -> list[Said]:
        return [Said(kind, "by hand", line.origin, line.text, (line.n,), (line.title,))]

    return _over_rewordings(library, speak, judged_honest, most)


def lies_by_hand(library: Library, seed: int, most: int | None = None) -> list[Case]:
    """The rewordings written by hand, each with one thing changed."""
    quota = Quota(EDITS, 10_000, random.Random(seed))

    def speak(lines: Sequence[Line], line: Line, _: str) -> list[Said]:
        return list(quota.speak(lines, [line]))

    return _over_rewordings(library, speak, judged, most)


def _over_rewordings(
    library: Library,
    speak: Callable[[Sequence[Line], Line, str], list[Said]],
    judge: Callable[[Said, Answer, Sequence[Sentence]], Case],
    most: int | None,
) -> list[Case]:
    """Ask for each sentence that was reworded by hand, and judge what ``speak`` makes of it."""
    records = [json.loads(line) for line in REWORDINGS.read_text(encoding="utf-8").splitlines()]
    papers = library.papers_by_id([record["paper"] for record in records])
    cases = []
    with _Scripted(library) as (assistant, model):
        for record in records[:most]:
            source = _letters(record["source"])
            came: list[Line] = []

            def say(
                lines: Sequence[Line],
                record: dict[str, Any] = record,
                source: str = source,
                came: list[Line] = came,
            ) -> list[Said]:
                came += [line for line in lines if _letters(line.text) == source][:1]
                made = [Line(i.n, i.title, record["rewording"], i.text) for i in came]
                return [said for line in made for said in speak(lines, line, record["kinds"][0])]

            model.speak = say
            question = _question(papers[record["paper"]])
            # Where the plain question does not bring the sentence up, one with its words does.
            for text in (question, f"{question} {record['source']}"):
                model.said = []
                answer, first = _asked(assistant, text)
                if came:
                    cases += [judge(said, answer, first) for said in model.said]
                    break
            else:
                raise SystemExit(f"never offered as evidence: {record['source']}")
    return cases


# ----------------------------------------------------------------------------------- reporting


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    p = hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _table(cases: Sequence[Case], *, lying: bool) -> list[str]:
    wanted = "kept out" if lying else "let through"
    rows = [f"| kind | n | shown as supported | shown, marked | not shown | {wanted} | 95 % |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    for kind in [*dict.fromkeys(sorted(c.said.kind for c in cases)), "all"]:
        those = [c for c in cases if kind in ("all", c.said.kind)]
        count = Counter(c.outcome for c in those)
        good = len(those) - count["supported"] if lying else count["supported"]
        low, high = wilson(good, len(those))
        name = "**all**" if kind == "all" else kind
        rows.append(
            f"| {name} | {len(those)} | {count['supported']} | {count['marked']} | {count['gone']} "
            f"| {good / max(1, len(those)):.1%} | [{low:.3f}, {high:.3f}] |"
        )
    return rows


def rate(cases: Sequence[Case]) -> float:
    """Share of sentences that the reader sees as supported."""
    return sum(case.outcome == "supported" for case in cases) / max(1, len(cases))


@dataclass(frozen=True, slots=True)
class Result:
    """All cases of a run."""

    lies: Sequence[Case]
    lies_by_hand: Sequence[Case]
    ruled: Sequence[Case]
    hand: Sequence[Case]

    @property
    def all_lies(self) -> list[Case]:
        """Both kinds of lies."""
        return [*self.lies, *self.lies_by_hand]

    @property
    def honest(self) -> list[Case]:
        """Both kinds of rewordings."""
        return [*self.ruled, *self.hand]


def measure(library: Library, n: int, seed: int) -> Result:
    """``n`` lies, half as many rewordings by rule, and both over those written by hand."""
    return Result(
        lies(library, n, seed),
        lies_by_hand(library, seed),
        honest_by_rule(library, n // 2, seed),
        honest_by_hand(library),
    )


def page(result: Result, command: str, by_hand: str) -> str:
    """The page with the figures."""
    told, honest = result.all_lies, result.honest
    lines = [
        "# What a lying model gets past the checker",
        "",
        "Generated; edit only what stands below the last rule. A **scripted** model on the "
        "loopback writes these answers: the figures measure the checker and the pipeline, not how "
        "well any real model answers. Errors that a real model makes are made otherwise, and "
        "may be caught less often.",
        "",
        f"Command: `{command}`",
        "",
        'Questions: "What does TITLE report?" over the 475 sample papers. The model gets the real '
        "prompt, picks an offered sentence, corrupts it and cites it; asked to rewrite, it repeats "
        "the lie. Half of the changed sentences were reworded by rule before; the second table "
        "starts from paraphrases written by hand. Every other lie stands behind a true sentence. "
        "Counted as reaching the reader: the final answer holds the sentence, or a part of it that "
        "is not in the cited words, with the verdict *supported*. Intervals: Wilson, 95 %.",
        "",
        f"- Lies kept out: **{1 - rate(told):.1%}** of {len(told)} (target {KEPT_OUT:.0%}); from "
        f"evidence {1 - rate(result.lies):.1%} of {len(result.lies)}, from paraphrases "
        f"{1 - rate(result.lies_by_hand):.1%} of {len(result.lies_by_hand)}",
        f"- Honest rewordings let through: **{rate(honest):.1%}** of {len(honest)} (target "
        f"{LET_THROUGH:.0%}); by rule {rate(result.ruled):.1%} of {len(result.ruled)}, by hand "
        f"{rate(result.hand):.1%} of {len(result.hand)}",
    ]
    for heading, cases, lying in (
        ("Lies made from the evidence", result.lies, True),
        ("Lies made from paraphrases written by hand", result.lies_by_hand, True),
        ("Honest rewordings by rule", result.ruled, False),
        ("Honest rewordings by hand", result.hand, False),
    ):
        lines += ["", f"## {heading}", "", *_table(cases, lying=lying)]
    lines += ["", "## Lies that got through", ""]
    lines += _pairs([c for c in told if c.outcome == "supported"])
    lines += ["", "## Honest rewordings that did not", ""]
    lines += _pairs([c for c in honest if c.outcome != "supported"])
    return "\n".join(lines).rstrip() + "\n\n---\n" + by_hand


def _pairs(cases: Sequence[Case]) -> Iterator[str]:
    for case in cases:
        yield f"- {case.said.kind} ({case.said.how}), {case.outcome}, support {case.support:.2f}"
        yield f"  - evidence: {case.said.source}"
        yield f"  - written: {case.said.text}"
        if case.reasons:
            yield f"  - reasons: {'; '.join(case.reasons[:3])}"
    if not cases:
        yield "None."


def main() -> int:
    """Run all passes, print the page, and write it where asked; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--n", type=int, default=360, help="lies; half as many rewordings by rule")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, help="where to write the page, as Markdown")
    parser.add_argument("--cases", type=Path, help="where to write every case, as JSON lines")
    args = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder) / "library") as library:
        library.ingest(sample_folder())
        result = measure(library, args.n, args.seed)
    command = f"python eval/dishonest.py --n {args.n} --seed {args.seed}"
    kept = args.out.read_text(encoding="utf-8") if args.out and args.out.exists() else ""
    text = page(result, command, kept.rpartition("\n---\n")[2] if kept else "")
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    if args.cases:
        cases = [*result.all_lies, *result.honest]
        rows = [json.dumps(asdict(case), ensure_ascii=False) for case in cases]
        args.cases.write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(text)
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    missed = 1 - rate(result.all_lies) < KEPT_OUT or rate(result.honest) < LET_THROUGH
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
