"""trimtab: prompts in production with the life of code.

An application imports this name only; it loads `jinja2` and `msgspec` and nothing heavier.
"""

from trimtab.errors import TrimtabError
from trimtab.sdk.client import Client
from trimtab.sdk.prompt import GenerationTimer, Prompt

__all__ = ["Client", "GenerationTimer", "Prompt", "TrimtabError", "__version__"]

__version__ = "0.1.0"
