"""Word lists for column names: which words mark creation, end, update, state, amount, code or secret.

The words are English, with the commonest German, French and Spanish ones, and matched whole; values are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

from relselect.proposal.names import table_words, words_of

__all__ = [
    "AMOUNTS",
    "BIRTH",
    "CODES",
    "CREATED",
    "END",
    "KNOWN",
    "LINKS",
    "PLAIN_TIMES",
    "PLANNED",
    "POSTAL",
    "SECRETS",
    "STATES",
    "TALLIES",
    "YEARS",
    "is_log",
    "is_update",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: The time when a row became known.
KNOWN = _words(
    "known received recorded filed reported published posted entered inserted ingested loaded observed obs disclosed "
    "logged captured processed"
)
#: The time when the thing that a row describes was created.
CREATED = _words(
    "created create creation placed ordered issued registered registration joined signup signed opened open started "
    "start begin began first added submitted sent hired hire invoice since erstellt angelegt "
    "erstellungsdatum anlagedatum bestelldatum buchungsdatum beginn von debut creado creation inicio"
)
PLAIN_TIMES = _words("time date timestamp datetime day ts dt moment at on datum zeitpunkt zeit fecha")
YEARS = _words("year season yr epoch unix timestamp ts time date")
#: Birth and death: dates of a person, not of the row.
BIRTH = _words(
    "birth dob born birthday birthdate birthdt death died dod deceased "
    "geburt geburtsdatum geburtstag geboren naissance nacimiento todesdatum deces"
)
#: Times and facts that come after the row.
END = _words(
    "end ended ending closed close closing finish finished completed completion return returned resolved resolution "
    "cancelled canceled deleted removed left ended shipped delivered settled paid churned terminated stopped final last "
    "stop exit ende bis entlassung entlassen austritt geschlossen beendet erledigt fin cierre sortie"
)
#: Times that are set in advance.
PLANNED = _words(
    "due deadline expires expiry expiration until planned scheduled sched expected estimated target renewal "
    "faellig frist geplant echeance vencimiento"
)
_UPDATED = _words("updated update modified modification changed edited edit refreshed synced mutated upd")
_LATEST = _words(
    "edit editor edited update updated login seen access accessed activity modified modification changed active visit "
    "visited contact contacted sync refresh"
)
_LATEST_ALONE = _words("lastlogin lastseen lastupdate lastupdated lastmodified updatedat updatedby modifiedat")
SECRETS = _words("password passwd pwd secret token passphrase salt apikey ssn iban cvv pin")
LINKS = _words("url uri link href website guid uuid phone fax email mail hash path ip user_agent wikipedia wikidata")
POSTAL = _words("zip zipcode postal postcode plz")
#: Numbers that encode categories.
CODES = _words(
    "type code class category kind group status mode method region segment cluster zip postal postcode gender sex cd "
    "lang language country state district zone channel brand source jurisdiction disposition direction reason variant"
)
#: States, which are overwritten.
STATES = _words(
    "status active activebool inactive closed resolved deleted cancelled canceled churned enabled blocked "
    "zustand aktiv inaktiv gesperrt estado statut etat activo"
)
#: Amounts, which can be summed over rows.
AMOUNTS = _words("amount total price sales value revenue payment paid cost spend points salary turnover sum quantity")
#: Counts that keep growing.
TALLIES = _words("count views upvotes downvotes reputation balance karma likes followers")


_LOGS = _words(
    "history log audit journal trail change transition historie verlauf protokoll aenderung historique historial cambio"
)
#: Words before the same name that hold a value before a change and after it.
_BEFORE, _AFTER = _words("from old previous prev before von alt"), _words("to new next after current nach neu")


def is_log(table: str, columns: Iterable[str]) -> bool:
    """Whether a table is a log of changes: a row is written once, at the change, and holds what was true from then on.

    Its name says so, or two of its columns hold a value before the change and after it.

    >>> is_log("status_history", []), is_log("moves", ["old_price", "new_price"]), is_log("orders", ["status", "updated_at"])
    (True, True, False)
    """
    named = [words for words in map(words_of, columns) if len(words) > 1 and not set(words[1:]) & PLAIN_TIMES]
    before, after = ({words[1:] for words in named if words[0] in side} for side in (_BEFORE, _AFTER))
    return bool(set(table_words(table)) & _LOGS) or bool(before & after)


def is_update(column: str) -> bool:
    """Whether a name marks a column that is written at every update of the row or visit of its owner.

    >>> [is_update(name) for name in ("updated_at", "LastEditorUserId", "last_name", "last_seen", "LastAccessDate")]
    [True, True, False, True, True]
    """
    words = words_of(column)
    pairs = zip(words, words[1:], strict=False)
    return (
        bool(set(words) & _LATEST_ALONE)
        or any(word in _UPDATED for word in words[:1] + words[-1:])
        or any(word in _UPDATED and after in ("at", "on", "by", "date", "time", "ts") for word, after in pairs)
        or any(word in ("last", "latest") and after in _LATEST for word, after in zip(words, words[1:], strict=False))
    )
