"""Translates errors of PostgreSQL and its driver into errors with a way out and without secrets.

An unknown error keeps the server's own message; nothing is retried.
"""

from __future__ import annotations

import re

from relselect.database.sources.catalog import TableScan
from relselect.database.sources.uri import Address, scrub
from relselect.errors import ConfigError, DataNotFound, SourceError, UserError

__all__ = ["as_source_error"]

_SHOWN = 300
#: Long values in a message are cut, so that the rest stays readable.
_LONG = re.compile(r"(\w{30})\w{30,}")
_CREDENTIALS = "Check the user in the address and the password in PGPASSWORD, ~/.pgpass or the address"
_UNCOMPUTED = "Correct the view or the value, or leave it out with tables= or columns="
_CHANGED = "Read again, or correct tables= and columns="
_AGAIN = "Run it again; nothing was written"
#: (SQLSTATE or a part of the message, rule, way out); the first that fits.
_KNOWN = (
    ("28", "the server refuses the user or the password", _CREDENTIALS),
    ("password authentication failed", "the server refuses the user or the password", _CREDENTIALS),
    ("no password supplied", "the server asks for a password and none was given", _CREDENTIALS),
    ("no pg_hba.conf entry", "the server accepts no such connection", "Ask its administrator, or add ?sslmode=require"),
    ("role \"", "the server does not know the user", _CREDENTIALS),
    ("42501", "this user may not read it", "GRANT SELECT on it to the user, or leave it out with tables= or columns="),
    ("57014", "it took longer than the time allowed", "Raise statement_timeout=, or read less with where= or columns="),
    ("statement timeout", "it took longer than the time allowed", "Raise statement_timeout=, or read less with where="),
    ("55P03", "it is locked by another session", "Run it again when the other session is done"),
    ("lock timeout", "it is locked by another session", "Run it again when the other session is done"),
    ("40001", "the server gave the read up for a conflict with its replication", "Run it again, or read the primary"),
    ("conflict with recovery", "the server gave the read up for a conflict with its replication", "Run it again"),
    ("53300", "the server has no connection left", "Close other sessions, or try again later"),
    ("too many clients", "the server has no connection left", "Close other sessions, or try again later"),
    ("57P03", "the server is starting up or shutting down", "Try again in a moment"),
    ("starting up", "the server is starting up or shutting down", "Try again in a moment"),
    ("shutting down", "the server is starting up or shutting down", "Try again in a moment"),
    ("timeout expired", "the server did not answer in time", "Check host, port and firewall"),
    ("could not translate host name", "there is no such host", "Check the host in the address"),
    ("Connection refused", "nothing listens at this host and port", "Check host and port, and that the server runs"),
    ("No such file or directory", "nothing listens at this socket", "Check host and port, and that the server runs"),
    ("No route to host", "the host cannot be reached", "Check host, port and firewall"),
    ("Network is unreachable", "the host cannot be reached", "Check host, port and firewall"),
    ("SSL", "no encrypted connection could be made", "Check sslmode= and the certificates in the address"),
    ("certificate", "no encrypted connection could be made", "Check sslmode= and the certificates in the address"),
    ("57P01", "the connection was ended by the server", _AGAIN),
    ("terminating connection", "the connection was ended by the server", _AGAIN),
    ("server closed the connection", "the connection was lost", _AGAIN),
    ("connection to server was lost", "the connection was lost", _AGAIN),
    ("no connection to the server", "the connection was lost", _AGAIN),
    ("08", "the connection was lost", _AGAIN),
    ("invalid byte sequence", "it holds text that is not UTF-8", "Leave the column out with drop=, or convert it in a view"),
    ("22003", "a number is beyond what 64 bits hold", "Leave the column out with columns= or drop="),
    ("42P01", "the table is not there any more", _CHANGED),
    ("42703", "a column is not there any more", _CHANGED),
    ("out of range", "a value is beyond what 64 bits hold", "Leave the column out with columns= or drop="),
    ("22", "a value cannot be computed", _UNCOMPUTED),
)  # fmt: skip


def as_source_error(error: BaseException, address: Address, scan: TableScan | None = None) -> UserError:
    """Return the error to raise for a failure of the driver.

    Args:
        error: What the driver raised.
        address: The database; its secrets are removed from the message.
        scan: What was being read; None outside a scan.
    """
    state = getattr(error, "sqlstate", None) or ""
    message = _message_of(scrub(str(error), address))
    if state == "3D000" or ('database "' in message and "does not exist" in message):
        return DataNotFound("uri", address.shown, "the server has no such database", "Correct its name in the address")
    if "invalid URI query parameter" in message or "invalid connection option" in message:
        return ConfigError("uri", address.shown, f"is not understood by the driver ({message})", "Correct the address")
    if scan is not None and scan.where and (state[:2] in ("42", "22") and state != "42501"):
        fix = "Correct the predicate; it is SQL in PostgreSQL's dialect over the table's own columns"
        return ConfigError(f"where[{scan.table!r}]", scan.where, f"PostgreSQL refuses it: {message}", fix)
    argument, value = ("uri", address.shown) if scan is None else ("table", scan.table)
    for sign, rule, fix in _KNOWN:
        if _fits(sign, state, message):
            return SourceError(argument, value, f"{rule} ({message})", fix)
    fix = "Correct the address or ask the administrator" if scan is None else _UNCOMPUTED
    return SourceError(argument, value, f"PostgreSQL says: {message}", fix)


def _fits(sign: str, state: str, message: str) -> bool:
    code = sign[0].isdigit() and " " not in sign
    return state.startswith(sign) if code else sign.lower() in message.lower()


def _message_of(text: str) -> str:
    """Return the server's message on one line, without the query and the driver's prefixes."""
    text = text.split("\nQuery was:")[0].split("\nLINE ")[0]
    for marker in ("ERROR:", "FATAL:", "Failed to connect:"):
        if marker in text:
            text = text.partition(marker)[2]
    for noise in (". SQLSTATE:", "\nCONTEXT:", "\nSTATEMENT:"):
        text = text.split(noise)[0]
    line = " ".join(_LONG.sub(r"\1…", text).split()).removeprefix("IO: ").removeprefix("[libpq] ")
    line = line.split(" This probably means")[0]
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
