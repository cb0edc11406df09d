"""The way in."""

from mesh_watchdog.cli import main

if __name__ == "__main__":
    main()
