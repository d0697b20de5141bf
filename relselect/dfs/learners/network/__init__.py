"""A tabular network: encoding of features, the network, its training, its files. Imports PyTorch; `tabm.py` does so lazily."""
