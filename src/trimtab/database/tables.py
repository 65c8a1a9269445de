"""The tables of the registry; rows of history are only ever added."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from trimtab.database.columns import Json, Time

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite makes a row id of INTEGER only; PostgreSQL wants the wider one.
_Serial = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="Single facts of the installation: lineage, installation_secret, adopted policies.",
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("secret_sha256", Text, nullable=False, unique=True),
    Column("scopes", Json, nullable=False),
    Column("environments", Json),
    Column("created_at", Time, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", Time),
    Column("revoked_by", Text),
    comment="API keys; environments NULL means all of them.",
)

prompts = Table(
    "prompts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", Time, nullable=False),
    Column("created_by", Text, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("prompt", Text, ForeignKey("prompts.name"), nullable=False),
    Column("sha", Text, nullable=False, index=True),
    Column("semver", Text, nullable=False),
    Column("tag", Text),
    Column("kind", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("meta", Json, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", Time, nullable=False),
    UniqueConstraint("prompt", "sha"),
    UniqueConstraint("prompt", "semver"),
    UniqueConstraint("prompt", "tag"),
    comment="Immutable versions; body is the canonical JSON whose sha256 is sha.",
)

releases = Table(
    "releases",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("sha", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("taken_back", Text),
    Column("promotion", Text, ForeignKey("promotions.id")),
    Column("plan", Text, ForeignKey("plans.id")),
    Column("revision", Integer, nullable=False),
    UniqueConstraint("environment", "prompt", "generation"),
    ForeignKeyConstraint(["prompt", "sha"], ["versions.prompt", "versions.sha"]),
    comment="Moves of the release pointers; the newest generation is live.",
)

switches = Table(
    "switches",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("prompt", Text, ForeignKey("prompts.name"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("serving", Text),
    Column("plan", Text, ForeignKey("plans.id")),
    Column("generation", Integer, nullable=False),
    Column("at", Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Index(None, "environment", "prompt"),
    comment="Kill and unkill; serving is the sha that a kill serves, decided at once.",
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("sha", Text, nullable=False),
    Column("expected_generation", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("status", Text, nullable=False, index=True),
    Column("requested_at", Time, nullable=False),
    Column("decided_at", Time),
    Column("decided_by", Text),
    Column("reason", Text),
    Column("generation", Integer),
    ForeignKeyConstraint(["prompt", "sha"], ["versions.prompt", "versions.sha"]),
    Index(None, "environment", "prompt"),
)

plans = Table(
    "plans",
    metadata,
    Column("id", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("document", Json, nullable=False),
    Column("document_sha", Text, nullable=False),
    Column("frozen", Json),
    Column("plan_sha", Text),
    Column("baseline", Text),
    Column("seed", Text, nullable=False),
    Column("status", Text, nullable=False, index=True),
    Column("author", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    ForeignKeyConstraint(["prompt", "candidate"], ["versions.prompt", "versions.sha"]),
    ForeignKeyConstraint(["prompt", "baseline"], ["versions.prompt", "versions.sha"]),
    Index(None, "environment", "prompt"),
    comment="Plans as written and, once started, as frozen; status is that of the newest move.",
)

plan_moves = Table(
    "plan_moves",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("plan", Text, ForeignKey("plans.id"), nullable=False, index=True),
    Column("action", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("generation", Integer),
    Column("step", Integer, nullable=False),
    Column("step_started_at", Time),
    Column("at", Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("revision", Integer),
    comment="The life of a plan; generation is the release pointer's after the move.",
)

epochs = Table(
    "epochs",
    metadata,
    Column("plan", Text, ForeignKey("plans.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("shares", Json, nullable=False),
    Column("audience", Json),
    Column("filters", Json),
    Column("unit", Text, nullable=False),
    Column("seed", Text, nullable=False),
    Column("variants", Json, nullable=False),
    Column("metric_shas", Json, nullable=False),
    Column("first_revision", Integer, nullable=False),
    Column("at", Time, nullable=False),
    comment="One row for each allocation of a plan; shares are in 1/10,000 by variant.",
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("promotion", Text, ForeignKey("promotions.id"), index=True),
    Column("plan", Text, ForeignKey("plans.id"), index=True),
    Column("document_sha", Text),
    Column("shas", Json, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Time, nullable=False),
    Column("why", Text, nullable=False),
    UniqueConstraint("promotion", "actor"),
    comment="Consent of one principal to exactly these shas (and this plan document).",
)

revisions = Table(
    "revisions",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("published_at", Time, nullable=False),
    Column("audit_count", Integer, nullable=False),
    Column("audit_head", Text, nullable=False),
    comment="Published changes of an environment, with the audit chain at each.",
)

audit = Table(
    "audit",
    metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=False),
    Column("at", Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("environment", Text),
    Column("prompt", Text, index=True),
    Column("details", Json, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    comment="What people and the autopilot decided, hash-chained from the first row.",
)

eval_runs = Table(
    "eval_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("prompt", Text, nullable=False),
    Column("sha", Text, nullable=False),
    Column("baseline", Text),
    Column("suite", Text, nullable=False),
    Column("suite_sha", Text, nullable=False),
    Column("scores", Json, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Time, nullable=False),
    ForeignKeyConstraint(["prompt", "sha"], ["versions.prompt", "versions.sha"]),
    Index(None, "prompt", "sha"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("response", Json),
    Column("at", Time, nullable=False, index=True),
    comment="Answers to writes that named an idempotency key; NULL while the first one runs.",
)
