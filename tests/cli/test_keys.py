from tests.cli.conftest import Running
from tests.cli.running import run, run_json


def test_a_key_is_made_used_listed_and_revoked(server: Running) -> None:
    made = run_json("keys", "create", "reader", "--scope", "read", env=server.env())
    env = {**server.env(), "TRIMTAB_KEY": made["secret"]}

    used = run("ls", env=env)
    listed = run_json("keys", "list", env=server.env())["keys"]
    run_json("keys", "revoke", "reader", env=server.env())
    after = run("ls", env=env)

    assert used.exit_code == 0
    assert "reader" in [key["name"] for key in listed]
    assert all("secret" not in key for key in listed)
    assert after.exit_code == 2
    assert "revoked" in after.stderr


def test_keys_are_listed_for_people_with_scopes_and_environments(server: Running) -> None:
    result = run("keys", "list", env=server.env())

    assert result.exit_code == 0
    assert "app-prod" in result.stdout


def test_a_key_that_cannot_be_made_is_refused(server: Running) -> None:
    unknown_scope = run("keys", "create", "x", "--scope", "fly", env=server.env())
    two_places = run(
        *("keys", "create", "x", "--scope", "render"),
        *("--environment", "dev", "--environment", "prod"),
        env=server.env(),
    )
    not_admin = run("keys", "create", "x", "--scope", "read", env=server.env("approver"))

    assert [each.exit_code for each in (unknown_scope, two_places, not_admin)] == [2, 2, 2]
    assert "exactly one" in two_places.stderr
    assert 'lacks scope "admin"' in not_admin.stderr
