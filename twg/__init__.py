"""Sign-in to Atlassian for people and their AI agents, as a library and a command."""

__version__ = "0.1.0"
