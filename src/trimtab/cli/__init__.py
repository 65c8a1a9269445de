"""The command line: each command asks the server or calls a rule, and prints the answer."""
