"""Which features: their definitions, their English, and the plans made of them. Nothing here computes values."""
