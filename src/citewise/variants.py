"""British and American spellings of a word.

People ask and claim in the one, papers are written in the other, and no stemmer brings them
together: 'optimise' finds no paper that optimizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_ENDINGS = "(?=(?:e|ed|es|er|ers|ing|ation|ations|ational)$)"
_DOUBLED = "(?<=abel|odel|avel|gnal|ncel|nnel|fuel|nsel|evel|otal|dial)"
_RULES = tuple(
    (
        re.compile(before + british + behind),
        re.compile(before + american + behind),
        british,
        american,
    )
    for before, british, american, behind in (
        ("(?<=[A-Za-z]{3})", "is", "iz", _ENDINGS),
        ("(?<=[a-z]ly)", "s", "z", "(?=(?:e|ed|er|ers|ing)$)"),
        ("(?<=[A-Za-z]{2})", "ae", "e", "(?=mi(?:a|as|c)$)"),
        ("(?<=pn)", "oea", "ea", "(?=s?$)"),
        ("(?<!aramet)(?<!diamet)(?<=met|lit)", "re", "er", "(?=s?$)"),
        ("(?<=pract)", "is", "ic", "(?=(?:e|ed|es|ing)$)"),
        ("(?<=program)", "me", "", "(?=s?$)"),
        ("(?<=[nt]alog)", "ue", "", "(?=s?$)"),
        ("(?<=sti|lfi)", "l", "ll", "(?=s?$)"),
        (_DOUBLED, "l", "", "(?=(?:ed|er|ers|ing|or|ors)$)"),
    )
)
"""What stands for what at the end of a word."""
_IN_BOTH = re.compile(
    r"[a-z]*(?:[aouw]|adv|advert|appr|chast|compr|comprom|conc|dem|dev|emp|enterpr|exc|exerc|expert"
    r"|franch|improv|inc|merchand|parad|pract|prec|prem|prom|repr|rev|superv|surm|surpr|telev|tort"
    r"|treat|upr)is[a-z]+$"
)
"""Words with 'is' in both."""
_WORDS = (
    ("arbour", "arbor"), ("ardour", "ardor"), ("armour", "armor"), ("behaviour", "behavior"),
    ("candour", "candor"), ("clamour", "clamor"), ("colour", "color"), ("demeanour", "demeanor"),
    ("endeavour", "endeavor"), ("favour", "favor"), ("fervour", "fervor"), ("flavour", "flavor"),
    ("harbour", "harbor"), ("honour", "honor"), ("humour", "humor"), ("labour", "labor"),
    ("neighbour", "neighbor"), ("odour", "odor"), ("rigour", "rigor"), ("rumour", "rumor"),
    ("savour", "savor"), ("tumour", "tumor"), ("valour", "valor"), ("vapour", "vapor"),
    ("vigour", "vigor"),
    ("centred", "centered"), ("centring", "centering"), ("centre", "center"), ("fibre", "fiber"),
    ("manoeuvri", "maneuveri"), ("manoeuvre", "maneuver"),
    ("defence", "defense"), ("offence", "offense"), ("licence", "license"),
    ("pretence", "pretense"), ("fulfilment", "fulfillment"),
    ("artefact", "artifact"), ("ageing", "aging"),
    ("judgement", "judgment"), ("acknowledgement", "acknowledgment"), ("sulph", "sulf"),
    ("aluminium", "aluminum"), ("grey", "gray"), ("mould", "mold"), ("sceptic", "skeptic"),
    ("enrolment", "enrollment"), ("skilful", "skillful"),
    ("tyre", "tire"), ("plough", "plow"), ("sizeable", "sizable"), ("learnt", "learned"),
    ("haem", "hem"), ("paediatr", "pediatr"), ("orthopaed", "orthoped"),
    ("anaesth", "anesth"), ("oedema", "edema"), ("oestr", "estr"), ("foet", "fet"),
    ("oesophag", "esophag"), ("gynaec", "gynec"), ("faec", "fec"), ("caec", "cec"),
    ("aetiolog", "etiolog"), ("palaeo", "paleo"), ("diarrhoea", "diarrhea"),
    ("homoeo", "homeo"), ("coeliac", "celiac"), ("leucocyt", "leukocyt"),
    ("encyclopaed", "encycloped"), ("amoeb", "ameb"),
)  # fmt: skip
"""How words begin, British and American."""
_BEFORE = "dis|mis|multi|non|un"
_AMERICAN = dict(_WORDS)
_BRITISH = {american: british for british, american in _WORDS}
_BEGINS_BRITISH = re.compile(f"(?P<before>{_BEFORE})?(?P<begin>{'|'.join(_AMERICAN)})")
_BEGINS_AMERICAN = re.compile(f"(?P<before>{_BEFORE})?(?P<begin>{'|'.join(_BRITISH)})")
_WORD = re.compile(r"(?<![^\W\d_])[A-Za-z][a-z]{3,23}(?![^\W\d_])")


def american(text: str) -> str:
    """The text in American spelling; words in capitals stay."""
    return _WORD.sub(lambda match: _american(match[0]), text)


@lru_cache(maxsize=50_000)
def _american(word: str) -> str:
    for form in _american_forms(word):
        return form
    return word


def other_spellings(word: str) -> Iterator[str]:
    """What may be the American or the British spelling of a word; some are no words."""
    yield from _american_forms(word)
    yield from _british_forms(word)


def _american_forms(word: str) -> Iterator[str]:
    fixed = _IN_BOTH.match(word.lower())
    for pattern, _, _, other in _RULES:
        if pattern.search(word) and not (fixed and other == "iz"):
            yield pattern.sub(other, word)
    yield from _begun_otherwise(word, _BEGINS_BRITISH, _AMERICAN)


def _british_forms(word: str) -> Iterator[str]:
    for _, pattern, other, _ in _RULES:
        if pattern.search(word):
            yield pattern.sub(other, word)
    yield from _begun_otherwise(word, _BEGINS_AMERICAN, _BRITISH)


def _begun_otherwise(word: str, begins: re.Pattern[str], others: dict[str, str]) -> Iterator[str]:
    if found := begins.match(word.lower()):
        other = (found["before"] or "") + others[found["begin"]] + word[found.end() :]
        yield word[0] + other[1:] if other[0] == word[0].lower() else other
