"""The program. Each of Tocsin's processes starts from here and loads only what it runs."""


def main() -> None:
    """Run the command line."""
    # Here and not above: processes that are spawned import this module, and no command.
    from tocsin.cli import main as run_command_line  # noqa: PLC0415

    run_command_line()


if __name__ == "__main__":
    main()
