"""Entry point of `framewire`, also `python -m framewire`."""

from console.__main__ import main

if __name__ == "__main__":
    main()
