"""Every promise of speed: `python -m benchmarks [NAME …]` runs all, or those named."""

import importlib
import pkgutil
import sys

import benchmarks

# Whole demos over many seeds take half an hour: run by name.
BY_NAME_ONLY = {"demo_seeds"}


def main() -> None:
    """Run them one after the other, so that none disturbs another."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    known = [name for name in names if not name.startswith("_")]
    wanted = sys.argv[1:] or [name for name in known if name not in BY_NAME_ONLY]
    for name in wanted:
        if name not in known:
            sys.exit(f"no benchmark {name!r}; there are {', '.join(known)}")
    for name in wanted:
        print(f"\n== {name} ==", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
