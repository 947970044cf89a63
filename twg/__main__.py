"""`python -m twg`: the command, where its script is not on PATH."""

from twg.cli.main import main

if __name__ == "__main__":
    main()
