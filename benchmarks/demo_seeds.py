"""The demo over many seeds: are the verdicts right every time, and how fast is harm caught?

    python -m benchmarks.demo_seeds [SEEDS] [--chaos]

Prints a line a seed and the distribution; exits 1 if any verdict is wrong.
"""

import json
import statistics
import subprocess
import sys
import time

TIMEOUT_S = 240.0


def tell(seed: int, *options: str) -> dict[str, object]:
    """One demo; its JSON object with its wall time."""
    command = [sys.executable, "-m", "trimtab", "demo", "--once", "--json", "--seed", str(seed)]
    started = time.monotonic()
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    lines = done.stdout.strip().splitlines()
    result: dict[str, object] = json.loads(lines[-1]) if lines else {"error": done.stderr[-500:]}
    return {**result, "wall_s": time.monotonic() - started, "exit": done.returncode}


def main() -> None:
    """Seeds 1 … n, one after the other."""
    numbers = [argument for argument in sys.argv[1:] if argument.isdecimal()]
    options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    n = int(numbers[0]) if numbers else 20
    treated: list[float] = []
    walls: list[float] = []
    p99: list[float] = []
    wrong = 0
    for seed in range(1, n + 1):
        result = tell(seed, *options)
        right = result["exit"] == 0
        wrong += not right
        print(f"seed {seed:2d}: {'right' if right else 'WRONG'}", brief(result), flush=True)
        if right:
            treated.append(result["harmful"]["treated_requests"])  # type: ignore[index]  # JSON
            walls.append(float(result["wall_s"]))  # type: ignore[arg-type]  # the same
            p99.append(result["propagation_ms"]["p99"])  # type: ignore[index]  # the same
    print(f"{n - wrong} of {n} right")
    if treated:
        print(
            f"treated requests until rollback: median {statistics.median(treated):.0f}, "
            f"most {max(treated):.0f}; demo {statistics.median(walls):.0f} s, most "
            f"{max(walls):.0f} s; propagation p99 median {statistics.median(p99):.0f} ms, "
            f"most {max(p99):.0f} ms"
        )
    if wrong:
        sys.exit(1)


def brief(result: dict[str, object]) -> str:
    """A seed's numbers on one line."""
    keep = {key: result.get(key) for key in ("requests", "failed_requests", "seconds", "error")}
    for side in ("good", "harmful"):
        found = result.get(side)
        if isinstance(found, dict):
            names = ("outcome", "exposures", "guardrail", "treated_requests", "seconds_to_rollback")
            keep[side] = {name: found[name] for name in names if name in found}
    keep["propagation_ms"] = result.get("propagation_ms")
    return json.dumps(keep)


if __name__ == "__main__":
    main()
