"""The first tables: all of the registry."""

import sqlalchemy as sa
from alembic import op

from trimtab.database.columns import Json, Time

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    _audit()
    _idempotency()
    _keys()
    _meta()
    _prompts()
    _revisions()
    _versions()
    _eval_runs()
    _plans()
    _promotions()
    _approvals()
    _epochs()
    _plan_moves()
    _releases()
    _switches()


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", _SERIAL, autoincrement=False, nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("details", Json(), nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        comment="What people and the autopilot decided, hash-chained from the first row.",
    )
    op.create_index("ix_audit_prompt", "audit", ["prompt"])


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("response", Json(), nullable=True),
        sa.Column("at", Time(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name="pk_idempotency"),
        comment="Answers to writes that named an idempotency key; NULL while the first one runs.",
    )
    op.create_index("ix_idempotency_at", "idempotency", ["at"])


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("scopes", Json(), nullable=False),
        sa.Column("environments", Json(), nullable=True),
        sa.Column("created_at", Time(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", Time(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("secret_sha256", name="uq_keys_secret_sha256"),
        comment="API keys; environments NULL means all of them.",
    )
    op.create_index("ix_keys_name", "keys", ["name"])


def _meta() -> None:
    op.create_table(
        "meta",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
        comment="Single facts of the installation: lineage, installation_secret, adopted policies.",
    )


def _prompts() -> None:
    op.create_table(
        "prompts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", Time(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_prompts"),
    )


def _revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("published_at", Time(), nullable=False),
        sa.Column("audit_count", sa.Integer(), nullable=False),
        sa.Column("audit_head", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("environment", "revision", name="pk_revisions"),
        comment="Published changes of an environment, with the audit chain at each.",
    )


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("semver", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("meta", Json(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.ForeignKeyConstraint(["prompt"], ["prompts.name"], name="fk_versions_prompt_prompts"),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.UniqueConstraint("prompt", "semver", name="uq_versions_prompt_semver"),
        sa.UniqueConstraint("prompt", "sha", name="uq_versions_prompt_sha"),
        sa.UniqueConstraint("prompt", "tag", name="uq_versions_prompt_tag"),
        comment="Immutable versions; body is the canonical JSON whose sha256 is sha.",
    )
    op.create_index("ix_versions_sha", "versions", ["sha"])


def _eval_runs() -> None:
    op.create_table(
        "eval_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("baseline", sa.Text(), nullable=True),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("suite_sha", sa.Text(), nullable=False),
        sa.Column("scores", Json(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt", "sha"],
            ["versions.prompt", "versions.sha"],
            name="fk_eval_runs_prompt_sha_versions",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_eval_runs"),
    )
    op.create_index("ix_eval_runs_prompt_sha", "eval_runs", ["prompt", "sha"])


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("candidate", sa.Text(), nullable=False),
        sa.Column("document", Json(), nullable=False),
        sa.Column("document_sha", sa.Text(), nullable=False),
        sa.Column("frozen", Json(), nullable=True),
        sa.Column("plan_sha", sa.Text(), nullable=True),
        sa.Column("baseline", sa.Text(), nullable=True),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", Time(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt", "baseline"],
            ["versions.prompt", "versions.sha"],
            name="fk_plans_prompt_baseline_versions",
        ),
        sa.ForeignKeyConstraint(
            ["prompt", "candidate"],
            ["versions.prompt", "versions.sha"],
            name="fk_plans_prompt_candidate_versions",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_plans"),
        comment="Plans as written and, once started, as frozen; status is that of the newest move.",
    )
    op.create_index("ix_plans_environment_prompt", "plans", ["environment", "prompt"])
    op.create_index("ix_plans_status", "plans", ["status"])


def _promotions() -> None:
    op.create_table(
        "promotions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("expected_generation", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("evidence", Json(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("requested_at", Time(), nullable=False),
        sa.Column("decided_at", Time(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["prompt", "sha"],
            ["versions.prompt", "versions.sha"],
            name="fk_promotions_prompt_sha_versions",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
    )
    op.create_index("ix_promotions_environment_prompt", "promotions", ["environment", "prompt"])
    op.create_index("ix_promotions_status", "promotions", ["status"])


def _approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("promotion", sa.Text(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("document_sha", sa.Text(), nullable=True),
        sa.Column("shas", Json(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name="fk_approvals_plan_plans"),
        sa.ForeignKeyConstraint(
            ["promotion"], ["promotions.id"], name="fk_approvals_promotion_promotions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.UniqueConstraint("promotion", "actor", name="uq_approvals_promotion_actor"),
        comment="Consent of one principal to exactly these shas (and this plan document).",
    )
    op.create_index("ix_approvals_plan", "approvals", ["plan"])
    op.create_index("ix_approvals_promotion", "approvals", ["promotion"])


def _epochs() -> None:
    op.create_table(
        "epochs",
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("shares", Json(), nullable=False),
        sa.Column("audience", Json(), nullable=True),
        sa.Column("filters", Json(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("variants", Json(), nullable=False),
        sa.Column("metric_shas", Json(), nullable=False),
        sa.Column("first_revision", sa.Integer(), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name="fk_epochs_plan_plans"),
        sa.PrimaryKeyConstraint("plan", "epoch", name="pk_epochs"),
        comment="One row for each allocation of a plan; shares are in 1/10,000 by variant.",
    )


def _plan_moves() -> None:
    op.create_table(
        "plan_moves",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("step_started_at", Time(), nullable=True),
        sa.Column("at", Time(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("evidence", Json(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name="fk_plan_moves_plan_plans"),
        sa.PrimaryKeyConstraint("id", name="pk_plan_moves"),
        comment="The life of a plan; generation is the release pointer's after the move.",
    )
    op.create_index("ix_plan_moves_plan", "plan_moves", ["plan"])


def _releases() -> None:
    op.create_table(
        "releases",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("taken_back", sa.Text(), nullable=True),
        sa.Column("promotion", sa.Text(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name="fk_releases_plan_plans"),
        sa.ForeignKeyConstraint(
            ["promotion"], ["promotions.id"], name="fk_releases_promotion_promotions"
        ),
        sa.ForeignKeyConstraint(
            ["prompt", "sha"],
            ["versions.prompt", "versions.sha"],
            name="fk_releases_prompt_sha_versions",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_releases"),
        sa.UniqueConstraint(
            "environment", "prompt", "generation", name="uq_releases_environment_prompt_generation"
        ),
        comment="Moves of the release pointers; the newest generation is live.",
    )


def _switches() -> None:
    op.create_table(
        "switches",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("serving", sa.Text(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name="fk_switches_plan_plans"),
        sa.ForeignKeyConstraint(["prompt"], ["prompts.name"], name="fk_switches_prompt_prompts"),
        sa.PrimaryKeyConstraint("id", name="pk_switches"),
        comment="Kill and unkill; serving is the sha that a kill serves, decided at once.",
    )
    op.create_index("ix_switches_environment_prompt", "switches", ["environment", "prompt"])
