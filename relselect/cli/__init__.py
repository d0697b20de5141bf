"""The command line: `relselect.cli.main` is its entry point, one file per command or two."""

__all__: list[str] = []
