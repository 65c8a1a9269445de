"""`trimtab demo`: from a prompt file to an automatic rollback on live traffic, in front of you."""

from trimtab.cli.demo.command import demo

__all__ = ["demo"]
