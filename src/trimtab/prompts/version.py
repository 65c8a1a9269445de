"""A version: everything that decides what the model sees and how it samples, and its sha."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trimtab.errors import IdentityError
from trimtab.prompts.canonical import canonical_json, digest
from trimtab.prompts.change import changes, next_semver
from trimtab.prompts.shape import check_shape
from trimtab.prompts.text import normal_template

FIRST_SEMVER = "1.0.0"

ENGINE = "jinja2/1"
"""The template language, as an identity names it."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable state of a prompt; `identity` is exactly the stored body (never change it)."""

    sha: str
    # JSON of many shapes: the keys of an identity are listed in `shape.KEYS`.
    identity: dict[str, Any]

    def __hash__(self) -> int:
        return hash(self.sha)

    @property
    def kind(self) -> str:
        """`prompt`, `fragment` or `chain`."""
        return str(self.identity["kind"])

    @property
    def model(self) -> str | None:
        """`provider/name`, or None where the caller chooses."""
        model: str | None = self.identity.get("model")
        return model

    @property
    def sampling(self) -> dict[str, Any]:
        """Sampling fields of the model call, such as `temperature`; empty when none."""
        return dict(self.identity.get("sampling", {}))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """`{"role", "template"}` or `{"history": true}` in order; a fragment's has no role."""
        return list(self.identity.get("messages", []))

    @property
    def variables(self) -> dict[str, Any] | None:
        """The JSON Schema of the values `render` takes, or None for a prompt without variables."""
        variables: dict[str, Any] | None = self.identity.get("variables")
        return variables

    @property
    def includes(self) -> dict[str, str]:
        """Name as written in the template → sha of the fragment; direct ones only."""
        return dict(self.identity.get("includes", {}))

    @property
    def steps(self) -> list[dict[str, Any]]:
        """A chain's steps; empty for the other kinds."""
        return list(self.identity.get("steps", []))

    @property
    def tools(self) -> list[Any]:
        """Tool definitions as the provider takes them; empty when none."""
        return list(self.identity.get("tools", []))

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The response format as the provider takes it, or None."""
        wanted: dict[str, Any] | None = self.identity.get("response_format")
        return wanted

    def body(self) -> bytes:
        """The canonical JSON whose sha256 is `sha`: what is stored and sent."""
        return canonical_json(self.identity)


def version_from_identity(identity: Mapping[str, Any]) -> Version:
    """The version of an identity that comes from outside.

    Top-level keys that are null, `{}` or `[]` are dropped, as is a variables schema without
    properties; `kind` and `engine` are filled in where absent; templates get LF line ends, Unicode
    NFC and no BOM, so that a body in a request has the same sha as a file.

    Raises:
        IdentityError: A key is unknown, a part has another shape, or a value has no canonical form;
            the message names the part.
    """
    whole: dict[str, Any] = {"kind": "prompt", "engine": ENGINE}
    whole.update((key, part) for key, part in identity.items() if not _is_empty(part))
    variables = whole.get("variables")
    if isinstance(variables, Mapping) and variables.get("properties") == {}:
        del whole["variables"]
    if isinstance(whole.get("messages"), list | tuple):
        whole["messages"] = [_normal_message(entry) for entry in whole["messages"]]
    body = canonical_json(whole)
    stored: dict[str, Any] = msgspec.json.decode(body)
    check_shape(stored)
    return Version(sha=digest(stored), identity=stored)


def stored_version(sha: str, body: bytes) -> Version:
    """The version of a stored body, byte for byte as it was registered.

    Raises:
        IdentityError: The bytes are not the body of this sha.
    """
    try:
        identity = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise IdentityError(f"the body stored for sha {sha} is not JSON: {error}") from error
    if (found := digest(identity)) != sha:
        raise IdentityError(
            f"the body stored for sha {sha} has sha {found}; it was changed or damaged, "
            "fetch or register it again"
        )
    return Version(sha=sha, identity=identity)


def suggest_semver(previous: Version | None, new: Version, *, previous_semver: str | None) -> str:
    """The version number that fits the change; a person may choose another.

    Major: a variable is removed, retyped, narrowed or newly required; the tools, the response
    format, the kind or the model's family change. Minor: what else the model sees, or how it
    samples. Patch: the rest. The first version is 1.0.0; equal identities keep their number.

    Raises:
        BadReference: `previous_semver` is not a semver.
    """
    if previous is None or previous_semver is None:
        return FIRST_SEMVER
    return next_semver(previous_semver, changes(previous.identity, new.identity))


def variables_schema(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """The identity's `variables` from a front matter's: name → schema, as written.

    `trusted` stays in the property, since previews of a stored version need it. None when empty.
    """
    if not properties:
        return None
    return {
        "type": "object",
        "properties": {name: dict(schema) for name, schema in properties.items()},
        "required": sorted(name for name, schema in properties.items() if "default" not in schema),
        "additionalProperties": False,
    }


def _is_empty(part: object) -> bool:
    return part is None or (isinstance(part, dict | list | tuple) and not part)


def _normal_message(entry: object) -> object:
    if isinstance(entry, Mapping) and isinstance(entry.get("template"), str):
        return {**entry, "template": normal_template(entry["template"])}
    return entry
