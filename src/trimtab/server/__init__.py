"""The server: HTTP for people, for applications, and for events."""
