"""One revision of one environment, ready to decide and render: what a client swaps as a whole."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from trimtab.errors import UnknownVersion
from trimtab.prompts.template import CompiledTemplate, compile_version
from trimtab.prompts.version import Version, version_from_identity
from trimtab.routing.evaluator import Context, Decision, Table, compile_table
from trimtab.routing.payload import Payload, PromptState, TrimtabBlock


class Library:
    """Versions and their compiled templates by sha; only ever grows, shared by snapshots.

    Filled by one thread (the feed, or a publisher); read by all. Reads are single dict look-ups.
    """

    def __init__(self) -> None:
        self._versions: dict[str, Version] = {}
        self._templates: dict[str, CompiledTemplate] = {}

    def add(self, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        """Take identity objects; each is checked against the sha it is said to have."""
        for sha, identity in bodies.items():
            if sha in self._versions:
                continue
            version = version_from_identity(identity)
            if version.sha != sha:
                raise UnknownVersion(
                    f"the body sent for {sha} has the sha {version.sha}; the transfer was damaged"
                )
            self._versions[sha] = version

    def version(self, sha: str) -> Version | None:
        """The version with this full sha, if its body is here."""
        return self._versions.get(sha)

    def missing(self, shas: Iterable[str]) -> set[str]:
        """Those of the shas, and of the fragments they include, whose bodies are not here."""
        absent: set[str] = set()
        todo = list(shas)
        seen: set[str] = set()
        while todo:
            sha = todo.pop()
            if sha in seen:
                continue
            seen.add(sha)
            version = self._versions.get(sha)
            if version is None:
                absent.add(sha)
            else:
                todo.extend(version.includes.values())
        return absent

    def template(self, sha: str) -> CompiledTemplate:
        """The compiled template of a version; compiled at the first use, kept after."""
        template = self._templates.get(sha)
        if template is None:
            version = self._versions.get(sha)
            if version is None:
                raise UnknownVersion(f"the body of version {sha[:12]} is not here")
            template = compile_version(version, self._versions)
            self._templates[sha] = template
        return template

    def bodies(self, shas: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The identity objects of the shas and of all they include."""
        found: dict[str, dict[str, Any]] = {}
        todo = list(shas)
        while todo:
            sha = todo.pop()
            version = self._versions.get(sha)
            if version is not None and sha not in found:
                found[sha] = version.identity
                todo.extend(version.includes.values())
        return found


def served_shas(block: TrimtabBlock) -> set[str]:
    """Every sha a decision from this payload can name (fragments not included)."""
    shas: set[str] = set()
    for state in block.prompts.values():
        shas.update(sha for sha in (state.live, state.last_good, state.serving) if sha)
        shas.update(state.versions)
    for plan in block.plans.values():
        shas.update(variant.sha for variant in plan.variants)
    return shas


class Snapshot:
    """A payload compiled to a decision table, with the library that can render what it names."""

    def __init__(self, payload: Payload, library: Library) -> None:
        block = payload.trimtab
        if block is None:
            raise UnknownVersion("the payload has no `trimtab` block; is this a trimtab server?")
        self.payload = payload
        self.block: TrimtabBlock = block
        self.table: Table = compile_table(payload)
        self.library = library

    @property
    def lineage(self) -> str:
        """Id of the server's history; revisions compare within one."""
        return self.block.lineage

    @property
    def revision(self) -> int:
        """Number of the environment's published changes."""
        return self.block.revision

    def decide(self, prompt: str, context: Context) -> Decision:
        """The decision for a context; in a strict environment a missing unit id is an error."""
        return self.table.decide(prompt, context)

    def pinned(self, prompt: str, reference: str) -> Decision:
        """The decision that serves a version by reference (sha:…, semver or tag), reason `pin`."""
        state = self.block.prompts.get(prompt)
        if state is None:
            return self.table.decide(prompt, Context())
        sha = find_pinned(state, reference)
        if sha is None:
            known = ", ".join(sorted(label.version for label in state.versions.values()))
            raise UnknownVersion(
                f"{self.block.environment!r} does not serve {prompt}@{reference};"
                f" it has {known or 'no version'}; promote the version there first"
            )
        version = self.library.version(sha)
        return Decision(
            prompt=prompt,
            reason="pin",
            sha=sha,
            version=state.versions[sha].version,
            model=version.model if version else None,
            sampling=version.sampling if version else {},
        )

    def warm(self, prompts: Collection[str]) -> None:
        """Compile every template these prompts can be served from."""
        for name in prompts:
            state = self.block.prompts.get(name)
            for sha in state.versions if state else ():
                if self.library.version(sha) is not None:
                    self.library.template(sha)


def find_pinned(state: PromptState, reference: str) -> str | None:
    """The full sha among the versions served here that a reference names."""
    if reference.startswith("sha:"):
        prefix = reference[4:]
        hits = [sha for sha in state.versions if len(prefix) >= 8 and sha.startswith(prefix)]
        return hits[0] if len(hits) == 1 else None
    for sha, label in state.versions.items():
        if reference in {label.version, label.tag}:
            return sha
    return None


def decision_fields(decision: Decision, snapshot: Snapshot) -> dict[str, Any]:
    """The columns of an event that say what was decided, without empty ones."""
    fields = {
        "prompt": decision.prompt,
        "environment": snapshot.block.environment,
        "lineage": snapshot.block.lineage,
        "revision": snapshot.block.revision,
        "version": decision.version,
        "sha": decision.sha,
        "reason": decision.reason,
        "plan_id": decision.plan_id,
        "epoch": decision.epoch,
        "variant": decision.variant,
        "bucket": decision.bucket,
        "unit_kind": decision.unit_kind,
    }
    return {key: value for key, value in fields.items() if value is not None}


def without_bodies(payload: Payload) -> Payload:
    """The same payload with its bodies left out (they live in the library)."""
    block = payload.trimtab
    if block is None or block.bodies is None:
        return payload
    return msgspec.structs.replace(payload, trimtab=msgspec.structs.replace(block, bodies=None))
