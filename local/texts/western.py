"""Whether a text that was read as Windows-1252 is one: Polish, Turkish or Cyrillic bytes can be read so, too, but give no words.

Every byte has a character in Latin-1 and nearly every one in Windows-1252. So only the words tell: a Western language has few letters
beyond ASCII, and each has its place. What is judged are words with such a letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MOST_WORDS = 20_000
"""Different words that are judged; the first of a file are as good as any."""
MOST_ODD = 0.03
"""Share of odd words that a Western file may have: names from elsewhere, and slips of the keyboard. Garbled texts have 20 % and more."""
_LETTERS = {
    "German": "äöüßéà",
    "French": "àâæçéèêëîïôœùûüÿñ",
    "Spanish": "áéíóúñü",
    "Portuguese": "áâãàçéêíóôõúü",
    "Italian": "àèéìíîòóùú",
    "Danish, Norwegian": "æøåéèêóòôàü",
    "Swedish, Finnish": "åäöéüáàè",
    "Dutch": "éëïöüèêáíóúàç",
    "Icelandic, Faroese": "áéíóúýðþæöø",
    "Catalan": "àçèéíïòóúü",
    "Galician, Asturian": "áéíóúñïü",
}
_ICELANDIC = frozenset("ðþý")
_WITH_ICELANDIC = re.compile("[áíóúæ]")
_FEWEST_WITH = 0.2
"""Words with these letters for each word with one of Iceland's own; Turkish and Baltic texts have hardly any."""
_WORD = re.compile(r"[A-Za-z\xa1-\xac\xae-\uffff]+")
_PART = re.compile("[A-Za-zÀ-ÖØ-öø-ÿŠšŽžŒœŸ]+")
_V = "aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿ"
_INSIDE = "¡¢£¤¥¦¨©ª¬¯°±²³µ¶¸¹º¼½¾¿×÷ƒ‚„“”†‡ˆ‰‹›˜"  # noqa: RUF001  (these signs are meant, and so below)
_BEFORE = "¢£¤¥¦¨¬¯±¶¸¹¾ƒ†‡ˆ˜ªº³"  # noqa: RUF001
_AFTER = "¢£¤¥¦¨¬¯¶¸¼½¾¿ƒ†‡ˆ˜"  # noqa: RUF001
_ODD_SIGN = re.compile(
    "|".join(
        (
            rf"[A-Za-zß-öø-ÿ][{_INSIDE}][a-zß-öø-ÿ]",  # inside a word
            rf"(?<![A-Za-zÀ-ÿ])[{_BEFORE}][a-zß-öø-ÿ]",  # before a word
            rf"[a-zß-öø-ÿ][{_AFTER}](?![A-Za-z])",  # after a word
            r"[a-zß-öø-ÿ]{3}[¹³](?!\w)",  # the same, and no unit such as km³
            r"^¤$",
            r"[a-zß-öø-ÿ][À-ÖØ-ÞŠŒŽŸ]",  # a capital after a small letter
        )
    )
)
_ODD_LETTER = re.compile(
    "|".join(
        (
            rf"ñ(?![{_V}])",
            r"ç(?![aouàáâãäåòóôõöúùûü]|$)",
            r"õ(?!e)",
            r"ã(?!o|e|i|s?$|z)",
            r"[âîôàáùú]{2}|[âî]$",
            r"ì(?!$)",
            rf"(?<![{_V}])ï",
            rf"(?<![{_V}])ë(?!s?$)",
            r"œ(?![uistndcfr])",
            rf"þ(?![{_V}rvj])|ý\w*ý|\w{{4}}ý$",
            r"[šž]",
        )
    )
)
"""Places in which no Western language has the letter, in a word of small letters."""
_RUN = re.compile(r"[¡-ÿ]{4,}")


@dataclass(frozen=True)
class Odd:
    """A word that no Western language has, and the line on which it stands first."""

    line: int
    word: str


def odd_words(lines: Iterable[str]) -> list[Odd]:
    """Words that show that lines, read as Windows-1252, are no Western text; none where they may be one."""
    seen, found = set[str](), dict[str, int]()
    for number, line in enumerate(lines, 1):
        if line.isascii():
            continue
        for piece in line.split():
            if not piece.isascii() and piece not in seen:
                seen.add(piece)
                for word in _WORD.findall(piece):
                    if not word.isascii():
                        found.setdefault(word, number)
        if len(seen) > MOST_WORDS:
            break
    icelandic = _is_icelandic(found)
    odd = [Odd(number, word) for word, number in found.items() if _is_odd(word, icelandic=icelandic)]
    judged = sum(any(_parts(word)) for word in found)
    return odd if len(odd) > MOST_ODD * judged else []


def _is_icelandic(words: Iterable[str]) -> bool:
    own = others = 0
    for word in words:
        lower = word.lower()
        own += not _ICELANDIC.isdisjoint(lower)
        others += _WITH_ICELANDIC.search(lower) is not None
    return others > _FEWEST_WITH * own


def _is_odd(word: str, *, icelandic: bool) -> bool:
    run = _RUN.search(word)
    if run is not None and len(set(run[0].lower())) > 2:
        return True
    if _ODD_SIGN.search(word):
        return True
    return any(_ODD_LETTER.search(part) or not _is_western(part, icelandic=icelandic) for part in _parts(word.lower()))


def _parts(word: str) -> Iterator[str]:
    yield from (part for part in _PART.findall(word) if not part.isascii())


def _is_western(word: str, *, icelandic: bool) -> bool:
    special = {letter for letter in word if not letter.isascii()}
    if not icelandic and not _ICELANDIC.isdisjoint(special):
        return False
    return any(special <= set(letters) for letters in _LETTERS.values())
