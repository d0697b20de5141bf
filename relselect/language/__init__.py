"""Rows as sentences, and their vectors by a language model on this machine; nothing is ever downloaded.

PyTorch and transformers (the extra `text`) are imported when a model is first asked for vectors.
"""

from __future__ import annotations

from relselect.language.encoder import SentenceEncoder, identified_encoder, sentence_encoder
from relselect.language.sentences import SentenceColumn, row_sentences, value_spans
from relselect.language.store import VectorStore, distinct_texts, sentence_vectors
from relselect.language.weights import find_language_model

__all__ = [
    "SentenceColumn",
    "SentenceEncoder",
    "VectorStore",
    "distinct_texts",
    "find_language_model",
    "identified_encoder",
    "row_sentences",
    "sentence_encoder",
    "sentence_vectors",
    "value_spans",
]
