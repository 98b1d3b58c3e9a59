"""What is asked of a whole matter: its drawbacks, benefits, risks, uses, causes, costs, open ends.

Papers on the matter all propose something; what is asked for stands in the sentence that says
where it fails or what it is good for, more often than not before the paper comes to its own work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facet:
    """Something asked of a matter: how questions ask for it and how abstracts say it."""

    asked: re.Pattern[str]
    said: re.Pattern[str]

    def said_in(self, sentence: str) -> bool:
        """Whether a sentence says it: not only that it was dealt with, or that it is not so."""
        if _DEALT_WITH.search(sentence):
            return False
        return any(
            _DENIED.search(sentence[max(0, one.start() - _NEAR) : one.start()]) is None
            for one in self.said.finditer(sentence)
        )

    def wants_several(self, question: str) -> bool:
        """Whether a question asks for all there is ('the drawbacks of', 'the main risk of')."""
        head = self.asked.search(question.strip())
        return head is not None and _OF_SEVERAL.search(head.group()) is not None

    def matter(self, question: str) -> str:
        """What a question is about besides: 'drawbacks' itself stands in few abstracts."""
        return self.asked.sub("", question.strip())


_TROUBLE = (
    r"(?:challenge|limitation|issue|problem|gap|drawback|shortcoming|weakness|question)e?s?\b"
)
MENDS = r"(?:overcom|address|mitigat|alleviat|circumvent|tackl|solv|remed|resolv)\w*"
"""Words that say a trouble is dealt with."""
_DEALT_WITH = re.compile(
    rf"\b{MENDS}|\b(?:this|these|those|such) (?:\w+ )?{_TROUBLE}",
    re.IGNORECASE,
)
_NEAR = 40
"""Characters before a word in which it may be denied."""
_DENIED = re.compile(
    r"\b(?:no|not|without|minimal|negligible|little|low|lower|lowers|less|small|reduc\w*|avoid\w*"
    r"|eliminat\w*|prevent\w*|cut|cuts|cutting|minimi[sz]\w*|decreas\w*|rather than|instead of)"
    r"(?: [\w-]+){0,2} $",
    re.IGNORECASE,
)
"""Before a trouble that is not there: 'negligible accuracy degradation'."""
_BEGINS = (
    r"^(?:(?:please|and|so|but|what|which|what's|are|is|do|does|tell me|show me|give me|list|name"
    r"|explain|describe|summari[sz]e|discuss|about|there|any|some|the|an?|known|main|key|major"
    r"|biggest|common|current|typical|potential|possible|important|overview of|summary of) )*"
)
_OF_SEVERAL = re.compile(r"s$|\b(?:main|key|major|biggest)\b", re.IGNORECASE)
_OF = (
    r"\b(?= (?:of|with|in|for|to|from|when|behind|facing|are there)\b"
    r"| (?:do|does|did) .*\b(?:have|face|pose|bring|carry|show|suffer)\b)"
)
_FAILS = (
    r"limit(?:s|ed|ation|ations|ing)?\b|drawback|weakness|shortcoming|disadvantage|caveat|downside"
    r"|fail(?:s|ed|ing|ures?)?\b|suffer|struggl|bottleneck|hinder|hamper|imped|overhead|prone to"
    r"|vulnerab|lack(?:s|ing)?\b|degrad|at the (?:cost|expense) of|challeng"
    r"|remains? (?:\w+ )?(?:difficult|unclear|elusive|open|poor|underexplored)|difficult"
    r"|cannot\b|can not\b|unable\b|inefficien|instab|unstable|unreliab|brittle|costly\b|expensive\b"
    r"|fac(?:e|es|ing) trade-?offs?|prohibitive|collaps|hallucinat|bias(?:es|ed)?\b|insufficient"
    r"|inadequate|inconsisten|worse"
)
_HELPS = (
    r"advantag|benefi|help(?:s|ed|ful)?\b|outperform|improv|superior|better\b|faster\b|reduc|efficien|enabl|gains?\b"
    r"|robust|strength|without (?:los|sacrific|degrad|compromis|additional|extra)|accelerat|boost"
    r"|enhanc|scalab|promising|effective"
)
_ENDS = (
    r"open (?:problem|question|challenge|issue)|remain|unclear\b|unknown\b|unexplored|underexplored"
    r"|future\b|challeng|limited understanding|little is known|poorly understood|yet to be|gaps?\b"
    r"|not (?:yet|well|fully) |lack(?:s|ing)?\b|needs?\b|opportunit|unsolved|unresolved|elusive"
)


def _facet(asked: str, said: str) -> Facet:
    begins = rf"{_BEGINS}(?:{asked}){_OF}"
    return Facet(re.compile(begins, re.IGNORECASE), re.compile(rf"\b(?:{said})", re.IGNORECASE))


_DRAWBACKS = _facet(
    r"(?:limitations?|limits|drawbacks?|weakness(?:es)?|shortcomings?|disadvantages?|downsides?"
    r"|challenges?|problems?|issues?|difficulties|pitfalls?|cons|caveats?|bottlenecks?"
    r"|failure modes?|wrong|catch)",
    _FAILS,
)
_FACETS = (
    _facet(
        r"(?:pros and cons|(?:dis)?advantages and (?:dis)?advantages|strengths and weaknesses"
        r"|benefits and (?:risks|drawbacks|limitations)|trade-?offs?)",
        rf"{_HELPS}|{_FAILS}|trade-?offs?",
    ),
    _DRAWBACKS,
    _facet(r"(?:benefits?|advantages?|strengths?|pros|upsides?|merits?)", _HELPS),
    _facet(
        r"(?:risks?|dangers?|harms?|threats?|hazards?|vulnerabilities|side[- ]effects?)",
        r"risk|danger|harm|threat|hazard|vulnerab|attack|adverse|side[- ]effect|unsafe|toxic|misuse"
        r"|malicious|privacy|leak|degrad|compromis|exploit|bias(?:es|ed)?\b",
    ),
    _facet(
        r"(?:open (?:problems?|questions?|issues?|challenges?)|future (?:work|research|directions?)"
        r"|research gaps?|gaps?|next steps?)",
        _ENDS,
    ),
    _facet(
        r"(?:applications?|use[- ]cases?|uses)",
        r"appl(?:y|ied|ication|ications)\b|used (?:in|for|to|as)\b|use[- ]cases?|deploy|real-world"
        r"|in practice|enabl|support|assist|power",
    ),
    _facet(
        r"(?:causes?|reasons?|sources?|roots?)",
        r"caus|due to\b|because\b|stem|aris|reason|driven by\b|attribut|leads? to\b|led to\b"
        r"|result(?:s|ed|ing)? (?:from|in)|owing to\b|origin|root",
    ),
    _facet(
        r"costs?",
        r"cost|expens|\bGPU|hours?\b|memory|budget|overhead|price|energy|dollars?\b|carbon|resources?",
    ),
)


def says_trouble(sentence: str) -> bool:
    """Whether a sentence says where something fails or is hard."""
    return _DRAWBACKS.said_in(sentence)


def facet_asked(question: str) -> Facet | None:
    """What a question asks of a matter, if it begins with it ('the drawbacks of ...')."""
    return next((one for one in _FACETS if one.asked.search(question.strip())), None)
