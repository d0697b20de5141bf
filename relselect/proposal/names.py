"""Splits the names of columns and tables into words, and scores how well a column's name matches a table.

Only names are compared; values are the work of `relselect.proposal.containment`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["ID_WORDS", "SELF", "NameMatch", "is_generic", "match_names", "stem_of", "table_words", "words_of"]

#: Words that mark a key, as in customer_id, id_customer, PARK_KEY.
ID_WORDS = frozenset({"id", "ids", "key", "fk", "pk", "sk", "uuid", "guid", "ref", "upc", "oid", "uid"})
#: Words that may mark a key, as in team_code, or something else, as in shirt_number.
_CODE_WORDS = frozenset({"code", "cd", "no", "nr", "num", "number", "abbr"})
#: Names of keys that do not name a table.
_GENERIC = frozenset({*ID_WORDS, *_CODE_WORDS, "name", "index", "idx", "row", "rowid", "title", "label", "value"})
#: Prefixes of table names that say the kind of table.
_TABLE_PREFIXES = frozenset({"tbl", "tb", "dim", "fact", "fct", "stg", "t"})
#: Words in the names of foreign keys of a table to itself.
_SELF = frozenset(
    {"parent", "report", "manager", "supervisor", "boss", "superior", "predecessor", "previous", "prev", "next"}
    | {"successor", "original", "root", "duplicate", "reply", "replace", "replaced", "related", "ancestor", "mother"}
    | {"father", "sire", "dam", "spouse", "referred", "referrer", "inviter", "invited", "introducer", "introduced"}
)
_STAFF = ("employee", "staff", "worker", "user", "person", "agent")
_PEOPLE = ("user", "person", "account", "member", "employee", "player", "contact", "customer", "contributor")
_SIDES = ("team", "player", "club", "party", "competitor")
#: Role -> names of tables that may hold whoever plays it, the likeliest first.
_ROLES = {
    role: people
    for roles, people in (
        ("rep manager supervisor boss assignee approver seller salesperson clerk operator", _STAFF),
        ("owner author creator sender recipient editor reviewer reporter poster voter writer follower", _PEOPLE),
        ("rater committer merger maintainer submitter uploader commenter moderator subscriber", _PEOPLE),
        ("winner loser opponent home away host visitor challenger", _SIDES),
        ("buyer payer purchaser client shopper", ("customer", "client", "user", "account")),
        ("origin destination dest", ("airport", "station", "location", "city", "place")),
    )
    for role in roles.split()
}
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^A-Z]+|[A-Z]+")
_IRREGULAR = {"people": "person", "children": "child", "men": "man", "women": "woman"}


class NameMatch(NamedTuple):
    """How well a column's name matches a table, from 0 to 1, and the reason."""

    score: float
    why: str


NOTHING = NameMatch(0.0, "")
#: The score of a name such as parent_id, in the table itself.
SELF = 0.72


@lru_cache(maxsize=65_536)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case.

    >>> words_of("OwnerUserId"), words_of("home_team_id"), words_of("playerID")
    (('owner', 'user', 'id'), ('home', 'team', 'id'), ('player', 'id'))
    """
    return tuple(word.lower() for piece in _PIECE.findall(name) for word in _CAMEL.findall(piece))


@lru_cache(maxsize=65_536)
def singular(word: str) -> str:
    """Return the singular of an English word by suffix rules, good enough to compare two names.

    >>> [singular(word) for word in ("countries", "matches", "customers", "class", "people")]
    ['country', 'match', 'customer', 'class', 'person']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2 else word


@lru_cache(maxsize=65_536)
def table_words(table: str) -> tuple[str, ...]:
    """Return the words of a table's name in the singular, without its schema and prefix.

    >>> table_words("public.dim_OrderItems")
    ('order', 'item')
    """
    words = tuple(singular(word) for word in words_of(table.rpartition(".")[2]))
    return words[1:] if len(words) > 1 and words[0] in _TABLE_PREFIXES else words


@lru_cache(maxsize=65_536)
def stem_of(column: str) -> tuple[tuple[str, ...], str]:
    """Return the words of a column's name without those that mark a key, and their kind: "id", "code" or "".

    >>> stem_of("home_team_id"), stem_of("atom1_id"), stem_of("fk_customer"), stem_of("customerid"), stem_of("total")
    ((('home', 'team'), 'id'), (('atom',), 'id'), (('customer',), 'id'), (('customer',), 'id'), (('total',), ''))
    """
    words = [word for word in words_of(column) if not word.isdigit()]
    sign = ""
    while words and words[-1] in ID_WORDS | _CODE_WORDS:
        sign = "id" if words.pop() in ID_WORDS else sign or "code"
    while words and words[0] in ("id", "fk", "ref", "key"):
        words.pop(0)
        sign = "id"
    if not sign and words and len(words[-1]) > 4 and words[-1].endswith("id"):
        words[-1], sign = words[-1][:-2], "id"
    return tuple(singular(word) for word in words), sign


def is_generic(column: str) -> bool:
    """Whether the name of a key names no table, as `id` and `code`."""
    return all(word in _GENERIC or word.isdigit() for word in words_of(column))


def match_names(column: str, table: str, key: str, own: bool = False) -> NameMatch:
    """Return how well the name of a column matches the key of a table.

    Args:
        column: The column that may refer.
        table: The table that it may refer to.
        key: That table's key column.
        own: Whether the column is in that table itself.

    >>> match_names("OwnerUserId", "users", "Id")
    NameMatch(score=0.9, why="is named after users, as 'owner'")
    """
    found = [_by_key(column, table, key), _by_table(column, table), _by_role(column, table, own)]
    best = max(found, key=lambda match: match.score)
    if best.score == 0.0 and stem_of(column)[1] == "id":
        return NameMatch(0.2, "is named like a key")
    return best


def _by_key(column: str, table: str, key: str) -> NameMatch:
    if is_generic(key):
        return NOTHING
    if words_of(column) == words_of(key):
        named = stem_of(key)[0] == table_words(table)
        return NameMatch(0.97 if named else 0.95, f"has the name of the key of {table}")
    mine, sign = stem_of(column)
    theirs = stem_of(key)[0]
    numbered = mine == theirs and set(words_of(column)) ^ set(words_of(key))  # A5 is no other name of A1
    if theirs and mine[-len(theirs) :] == theirs and sign != "code" and not (numbered and not sign):
        role = " ".join(mine[: -len(theirs)])
        score = 0.88 if sign == "id" else 0.8
        return NameMatch(score, f"ends in the name of the key of {table}" + (f", as '{role}'" if role else ""))
    return NOTHING


def _by_table(column: str, table: str) -> NameMatch:
    mine, sign = stem_of(column)
    theirs = table_words(table)
    if not mine or not theirs:
        return NOTHING
    if mine == theirs or "".join(mine) == "".join(theirs):
        return NameMatch({"id": 0.95, "code": 0.6, "": 0.85}[sign], f"is named after {table}")
    if mine[-len(theirs) :] == theirs:
        role = " ".join(mine[: -len(theirs)])
        return NameMatch({"id": 0.9, "code": 0.5, "": 0.7}[sign], f"is named after {table}, as '{role}'")
    if sign == "id" and theirs[-len(mine) :] == mine:
        return NameMatch(0.78, f"is named after {table}, in short")
    if sign == "id" and any(_shortens(mine[-1], word) for word in (theirs[0], theirs[-1])):
        return NameMatch(0.65, f"is an abbreviation of {table}")
    return NOTHING


def _by_role(column: str, table: str, own: bool) -> NameMatch:
    words = stem_of(column)[0]
    if own and any(word in _SELF for word in words):
        return NameMatch(SELF, f"is named like a reference of {table} to itself")
    people = _ROLES.get(words[-1], ()) if words else ()
    last = table_words(table)[-1:]
    if last and last[0] in people:
        return NameMatch(0.6 - 0.01 * people.index(last[0]), f"names a role that {table} may play")
    return NOTHING


def _shortens(short: str, word: str) -> bool:
    """Whether one word abbreviates another: `cust` customer, `dept` department."""
    if not 3 <= len(short) < len(word) or short[0] != word[0]:
        return False
    letters = iter(word)
    return word.startswith(short) or (len(short) >= 4 and all(letter in letters for letter in short))
