"""The network: row encoders, message passing layers, and their ensemble."""
