"""How the tests run commands: in this process, with a clean environment."""

import json
from typing import Any

from click.testing import CliRunner, Result

from trimtab.cli.commands import trimtab

NO_SERVER = {
    "TRIMTAB_URL": None,
    "TRIMTAB_KEY": None,
    "TRIMTAB_PROVIDER_URL": None,
    "TRIMTAB_PROVIDER_KEY": None,
}


def run(*arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
    """Run one command; a traceback of ours fails the test."""
    result = CliRunner(env={**NO_SERVER, **(env or {})}).invoke(trimtab, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_json(*arguments: str, env: dict[str, str] | None = None, code: int = 0) -> Any:
    """Run one command with --json, check its exit code, and give its one document."""
    result = run(*arguments, "--json", env=env)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)
