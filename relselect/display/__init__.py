"""What terminals show: progress lines, tables, and how the commands write to standard output and standard error."""

__all__: list[str] = []
