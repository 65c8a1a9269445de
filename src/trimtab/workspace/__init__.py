"""The workspace: everything a server is made of, wired from its data folder and settings."""

from trimtab.workspace.workspace import Workspace

__all__ = ["Workspace"]
