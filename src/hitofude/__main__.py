"""`python -m hitofude` is the command `hitofude`."""

from hitofude.cli import main

if __name__ == "__main__":
    main()
