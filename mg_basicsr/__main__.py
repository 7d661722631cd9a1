"""`python -m mg_basicsr`: the same as the console script."""

from mg_basicsr.cli.main import main

if __name__ == '__main__':
    main()
