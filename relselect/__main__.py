"""`python -m relselect`."""

from relselect.cli.main import main

if __name__ == "__main__":
    main()
