"""`python -m relselect`."""

from relselect.cli import main

if __name__ == "__main__":
    main()
