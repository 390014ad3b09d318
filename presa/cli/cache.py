"""The command `presa cache`; app.py registers it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from safefeedback.terminal import Json


def cache(
    empty: Annotated[bool, typer.Option("--empty", help="Delete all of it; the next trainings make it again.")] = False,
    as_json: Json = False,
) -> None:
    """Show what trainings keep between commands in $PRESA_CACHE: unpacked segments and cloned policies.

    At most $PRESA_CACHE_LIMIT gigabytes are kept (20 if that is not set); the least recently used are deleted first.
    """
    from presa import cache as store

    if empty:
        store.empty()
    by_kind = {kind: [size for path, size, _ in store.cached_files() if path.parent.name == kind] for kind in store.KINDS}
    total, most = sum(map(sum, by_kind.values())), store.size_limit()
    if as_json:
        parts = {kind: {"files": len(sizes), "bytes": sum(sizes)} for kind, sizes in by_kind.items()}
        print(json.dumps({"folder": str(store.cache_folder()), "bytes": total, "limit": most, **parts}))
        return
    print(store.cache_folder())
    for kind, sizes in by_kind.items():
        print(f"  {store.KINDS[kind]:<18} {sum(sizes) / 1e6:10,.1f} MB  in {len(sizes)} files")
    print(f"  {'in all':<18} {total / 1e6:10,.1f} MB  of {most / 1e6:,.0f} MB ($PRESA_CACHE_LIMIT, in GB)")
