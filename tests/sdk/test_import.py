import json
import subprocess
import sys

HEAVY = (
    "numpy",
    "pydantic",
    "sqlalchemy",
    "httpx",
    "duckdb",
    "yaml",
    "aiohttp",
    "asyncio",
    "scipy",
)


def loaded(program: str) -> set[str]:
    report = "import json, sys; print(json.dumps([m.partition('.')[0] for m in sys.modules]))"
    command = [sys.executable, "-c", f"{program}\n{report}"]
    out = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    return set(json.loads(out))


def test_an_application_loads_nothing_heavy() -> None:
    assert not loaded("import trimtab") & set(HEAVY)


def test_a_client_that_has_failed_to_connect_loads_nothing_heavy_either() -> None:
    program = "import trimtab\nwith trimtab.Client('http://127.0.0.1:9', 'k', cache_dir=''): pass"

    assert not loaded(program) & set(HEAVY)
