"""A language model of a real architecture with random weights, small enough for tests."""

from __future__ import annotations

from pathlib import Path

import torch

WORDS = ("users", "orders", "shops", "city", "born", "price", "when", "state", "kept", "returned", "shop", "c")


def write_model(folder: Path, seed: int = 0) -> Path:
    """Write a BERT of one layer and sixteen channels, with its tokenizer, and return the folder."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [f"##{sign}" for sign in (*letters, *"0123456789")]
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *dict.fromkeys([*WORDS, *"0123456789.-:;", *letters, *pieces]),
    ]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)
    return folder
