"""Parses addresses of databases, resolves ${VARIABLES} in them, and hides their passwords.

No password is ever stored or shown: `redact` replaces it by `***`, and an address with `***` as its password reads it from
the environment (PGPASSWORD, ~/.pgpass), as one without a password does. An address that the caller gave may name any
variable; one that a file names (`check_variables`) only those of a list. No connection is made here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from relselect.errors import ConfigError, DataNotFound

__all__ = [
    "VARIABLES",
    "Address",
    "check_variables",
    "exists",
    "is_uri",
    "literal_password",
    "parse_uri",
    "redact",
    "redact_all",
    "scrub",
]

#: The text in place of a password.
HIDDEN = "***"

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://(.*)$", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
#: Variables that the address of a manifest may name, besides those that begin with RELSELECT_ and those that the
#: variable RELSELECT_VARIABLES lists.
VARIABLES = ("DATABASE_URL", "PGDATABASE", "PGHOST", "PGPASSWORD", "PGPORT", "PGUSER")
_MORE_VARIABLES = "RELSELECT_VARIABLES"
_SECRET_NAMES = r"password|passwd|pwd|sslpassword|passphrase|token|secret|oauth_client_secret"
#: A parameter whose name holds one of these words is hidden, unless it names a file.
_SECRET_WORD = re.compile(r"pass|pwd|token|secret|key|auth|cred|signature", re.IGNORECASE)
_FILE_NAMES = {"passfile", "sslkey", "sslkeylogfile", "require_auth", "sslcertmode"}
#: Settings that the parameter `options` of PostgreSQL may show.
_SHOWN_OPTIONS = re.compile(
    r"(\s*(-c\s*|--)(search_path|statement_timeout|lock_timeout|timezone|datestyle|intervalstyle|role|work_mem|"
    r"application_name|jit|geqo|default_transaction_read_only)\s*=\s*[\w.,\"$/+-]*)*\s*",
    re.IGNORECASE,
)
_SECRET_FIELD = re.compile(rf"\b({_SECRET_NAMES})(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'\"]*)", re.IGNORECASE)
#: libpq's grammar: a user ends at the first colon, the password at the first @, and neither holds a slash.
_POSTGRES = re.compile(
    r"^(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^@/?]*)(?:/(?P<name>[^?@]*))?(?:\?(?P<query>.*))?$",
    re.DOTALL,
)
#: Text with a colon and an @ that is no address may be a mistyped one.
_CREDENTIALS = re.compile(r"(:)(?!\$\{)[^/\\][^@]*@|(?<=/)()[^/:]+:[^@]+@")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/[^\s'\"]+")
_HOST = re.compile(r"^(\[[^\]]*\]|[^:\[\]]*)(:\d*)?$")
_POSTGRES_SCHEMES = {"postgresql", "postgres"}
_FILE_SCHEMES = {"sqlite", "duckdb", "file"}
_MAGIC = {"sqlite": (0, b"SQLite format 3\0"), "duckdb": (8, b"DUCK")}
_POSTGRES_FIX = (
    "Write postgresql://user@host:5432/database, with the password in PGPASSWORD or ${VARIABLE} in its place; "
    "in the address itself @ / : ? # and % of a password are percent-encoded (@ as %40)"
)


@dataclass(frozen=True)
class Address:
    """Where a database is.

    Attributes:
        kind: "postgresql", "sqlite", "duckdb" or "file" (a folder, a data file or a glob).
        shown: The address as the caller wrote it, without its password.
        name: A short name for the database.
        path: The file or folder; None for a server.
        secret_uri: The address with all variables resolved, for the driver alone; never shown.
        secrets: Texts that no message may contain.
    """

    kind: str
    shown: str
    name: str
    path: Path | None = None
    secret_uri: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def has_schemas(self) -> bool:
        """Whether databases of this kind have schemas."""
        return self.kind in ("postgresql", "duckdb")

    @property
    def origin(self) -> str:
        """The text that opens the database again: its path, or the address without its password."""
        return self.shown if self.path is None else str(self.path)


def is_uri(text: str) -> bool:
    """Whether `text` is an address with a scheme, or an environment placeholder alone, rather than a path."""
    return bool(_SCHEME.match(text) or _PLACEHOLDER.fullmatch(text))


def redact(uri: str) -> str:
    """Return an address without its password; placeholders such as ${PGPASSWORD} stay.

    Of an address that does not follow the grammar, more than the password may be hidden, never less.

    >>> redact("postgresql://ann:secret@db.example.org/shop?sslpassword=x")
    'postgresql://ann:***@db.example.org/shop?sslpassword=***'
    """
    found = _SCHEME.match(uri)
    if found is None:
        return _SECRET_FIELD.sub(_hide_field, _CREDENTIALS.sub(rf"\1{HIDDEN}@", uri))
    if found[1].lower() in _FILE_SCHEMES:
        return _SECRET_FIELD.sub(_hide_field, _hide_parameters(uri))
    scheme, rest = found[1], found[2]
    parts = _POSTGRES.match(rest)
    if parts is not None and _well_formed(parts["hosts"]):
        password = parts["password"]
        if password and not _PLACEHOLDER.fullmatch(password):
            rest = f"{parts['user']}:{HIDDEN}@{rest[parts.end('password') + 1 :]}"
    elif "@" in rest:
        before, _, after = rest.rpartition("@")
        user, colon, _ = before.partition(":")
        rest = f"{user}:{HIDDEN}@{after}" if colon else f"{HIDDEN}@{after}"
    elif ":" in rest:
        rest = f"{rest.partition(':')[0]}:{HIDDEN}"
    return f"{scheme}://{_SECRET_FIELD.sub(_hide_field, _hide_parameters(rest))}"


def _hide_parameters(text: str) -> str:
    """Return an address with the values of its secret parameters hidden, whatever is percent-encoded in their names."""
    place, mark, query = text.partition("?")
    return place + mark + "&".join(map(_hide_parameter, query.split("&")))


def _hide_parameter(part: str) -> str:
    name, mark, value = part.partition("=")
    return f"{name}{mark}{HIDDEN}" if value and _is_secret(name, value) else part


def _is_secret(name: str, value: str) -> bool:
    """Whether a parameter of an address has a value that nobody may see."""
    plain = _unquoted(name).strip().lower()
    if _PLACEHOLDER.fullmatch(value) or plain in _FILE_NAMES:
        return False
    if plain == "options":
        return _SHOWN_OPTIONS.fullmatch(_unquoted(value)) is None
    return bool(_SECRET_WORD.search(plain))


def _unquoted(text: str) -> str:
    """Return a text without percent-encoding, which may have been applied several times."""
    for _ in range(4):
        text = unquote(text)
    return text


def redact_all(text: str) -> str:
    """Return a text with every address in it redacted."""
    return _IN_TEXT.sub(lambda match: redact(match[0]), text)


def scrub(text: str, address: Address) -> str:
    """Return a message without the secrets of an address."""
    for secret in sorted(address.secrets, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return _SECRET_FIELD.sub(_hide_field, text)


def literal_password(uri: str) -> bool:
    """Whether an address contains a password itself, rather than a placeholder or none."""
    return redact(uri) != uri


def check_variables(uri: str, argument: str = "uri") -> None:
    """Check that an address that a file names reads only variables that files may read.

    Raises:
        ConfigError: It names another one.
    """
    further = {name.strip() for name in os.environ.get(_MORE_VARIABLES, "").split(",")}
    for name in _PLACEHOLDER.findall(uri):
        if name not in VARIABLES and not name.startswith("RELSELECT_") and name not in further:
            raise ConfigError(
                argument,
                redact(uri),
                f"names the variable {name}, and an address in a file may read {', '.join(VARIABLES)} and RELSELECT_... alone",
                f"Rename it, or allow it: `export {_MORE_VARIABLES}={name}`",
            )


def parse_uri(uri: str | Path, base: Path | None = None) -> Address:
    """Parse an address.

    Args:
        uri: `postgresql://user@host:5432/database`, `sqlite:///file`, `duckdb:///file` (three slashes before a
            relative path, four before an absolute one), `file:///folder`, or a plain path to any of these files, to
            a folder of data files or to a glob. ${VARIABLE} is read from the environment.
        base: The folder that relative paths start from.

    Raises:
        ConfigError: It is none of these.
        DataNotFound: An environment variable is not set, or a file does not exist.
    """
    text = os.fspath(uri)
    shown = redact(text)
    resolved = _resolve(text, shown)
    found = _SCHEME.match(resolved)
    if found is None:
        if not isinstance(uri, Path) and re.search(r"\b(host|dbname|user)\s*=", resolved) and not Path(text).exists():
            raise ConfigError("uri", shown, "is a connection string of keywords", _POSTGRES_FIX)
        return _of_path(Path(resolved), shown, base, None)
    scheme = found[1].lower()
    if scheme.split("+")[0] in _POSTGRES_SCHEMES:
        return _of_postgres(found[2], shown)
    if scheme not in _FILE_SCHEMES:
        raise ConfigError("uri", shown, f"{found[1]} databases are not read", _export(scheme))
    return _of_path(_path_of(scheme, found[2], shown), shown, base, None if scheme == "file" else scheme)


def _export(scheme: str) -> str:
    """Return which addresses are read, and how to bring the tables of another database into one of them."""
    supported = (
        "Use postgresql://user@host/database, sqlite:///file, duckdb:///file, file:///folder or the path of a folder of "
        "Parquet or CSV files"
    )
    if scheme.split("+")[0] in ("mysql", "mariadb"):
        return (
            f"{supported}. To export: duckdb shop.duckdb \"INSTALL mysql; LOAD mysql; ATTACH 'host=HOST user=USER "
            "database=NAME' AS source (TYPE mysql, READ_ONLY); COPY FROM DATABASE source TO shop\", then duckdb:///shop.duckdb"
        )
    return (
        f"{supported}. To export: write each table as TABLE.parquet or TABLE.csv into one folder, and pass the folder"
    )


def _resolve(uri: str, shown: str) -> str:
    """Replace ${NAMES} by values from the environment, percent-encoded so that they stay one part of the address."""
    whole = _PLACEHOLDER.fullmatch(uri)
    if whole:
        return _variable(whole[1], shown)
    found = _SCHEME.match(uri)
    server = found is not None and found[1].lower() not in _FILE_SCHEMES
    credentials = uri.rfind("@") if server else -1

    def value(match: re.Match[str]) -> str:
        text = _variable(match[1], shown)
        return quote(text, safe="" if match.start() < credentials else ":,[]") if server else text

    return _PLACEHOLDER.sub(value, uri)


def _variable(name: str, shown: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise DataNotFound("uri", shown, f"the environment variable {name} is not set", f"Set it: `export {name}=...`")
    return value


def _well_formed(hosts: str) -> bool:
    return all(_HOST.match(host) for host in hosts.split(","))


def _of_postgres(rest: str, shown: str) -> Address:
    parts = _POSTGRES.match(rest)
    if parts is None or not _well_formed(parts["hosts"]):
        raise ConfigError("uri", redact(shown), "is no PostgreSQL address", _POSTGRES_FIX)
    password = parts["password"] or ""
    fields = [part for part in (parts["query"] or "").split("&") if part and part.partition("=")[2] != HIDDEN]
    query = "&".join(fields)
    secrets = [password, *(match[3].strip("'") for match in _SECRET_FIELD.finditer(query))]
    secrets += [value for name, _, value in (part.partition("=") for part in fields) if _is_secret(name, value)]
    kept = [secret for secret in {*secrets, *map(unquote, secrets)} if secret and secret != HIDDEN]
    credentials = ""
    if parts["user"] is not None:
        credentials = f"{parts['user']}:{password}@" if password not in ("", HIDDEN) else f"{parts['user']}@"
    name = unquote(parts["name"] or "") or unquote(parts["user"] or "") or "postgresql"
    place = f"postgresql://{credentials}{parts['hosts']}/{parts['name'] or ''}"
    return Address("postgresql", shown, name, None, f"{place}?{query}" if query else place, tuple(kept))


def _path_of(scheme: str, rest: str, shown: str) -> Path:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash or not path:
        example = (
            f"{scheme}:///data/shop" if scheme == "file" else f"{scheme}:///shop.{scheme} or {scheme}:////data/shop"
        )
        raise ConfigError("uri", shown, f"is no {scheme} address", f"Write {example}")
    path = path.partition("?")[0] if scheme != "file" else unquote(path)
    return Path(f"/{path}") if scheme == "file" else Path(path)


def _of_path(path: Path, shown: str, base: Path | None, kind: str | None) -> Address:
    path = path.expanduser()
    full = path if base is None else base / path
    there = exists(full)
    glob = any(sign in str(full) for sign in "*?[") and not there
    if not glob and not there:
        raise DataNotFound("uri", shown, "there is no such file or folder", "Correct the path")
    if kind is not None and not full.is_file():
        raise DataNotFound("uri", shown, f"is no {kind} file", "Correct the path")
    name = full.name.split(".")[0] or full.resolve().name
    if glob:
        name = next((part.name for part in full.parents if not any(sign in str(part) for sign in "*?[")), "files")
    return Address(kind or _kind_of_file(full), shown, name, full)


def exists(path: Path) -> bool:
    """Return whether there is such a file or folder.

    Raises:
        DataNotFound: The name is invalid, or the folder may not be entered.
    """
    try:
        return path.exists()
    except OSError as error:
        why = f"cannot be looked at ({error.strerror})"
        raise DataNotFound("uri", str(path), why, "Correct the path, or its permissions") from None


def _kind_of_file(path: Path) -> str:
    if path.is_file():
        try:
            with path.open("rb") as file:
                head = file.read(32)
        except OSError as error:
            raise DataNotFound(
                "uri", str(path), f"cannot be read ({error.strerror})", "Check its permissions"
            ) from None
        for kind, (start, magic) in _MAGIC.items():
            if head[start : start + len(magic)] == magic:
                return kind
    return "file"


def _hide_field(match: re.Match[str]) -> str:
    value = match[3]
    return match[0] if not value or _PLACEHOLDER.fullmatch(value) else f"{match[1]}{match[2]}{HIDDEN}"
