"""What learns from a feature matrix."""
