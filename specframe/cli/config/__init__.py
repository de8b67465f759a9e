"""Files of settings (`-c`): read, checked against a command, printed."""
