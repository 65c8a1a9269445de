import pytest

from tests.server.house import House, problem_of

READ = (
    *(
        "/api/v1/status",
        "/api/v1/audit",
        "/api/v1/audit/verify",
        "/api/v1/prompts",
        "/api/v1/plans",
    ),
    *("/api/v1/promotions", "/api/v1/rollup", "/api/v1/settings", "/api/v1/evals", "/"),
)


@pytest.mark.parametrize("path", READ)
def test_whoever_sits_at_this_machine_reads_without_a_key(house: House, path: str) -> None:
    assert house.ask("GET", path, key=None).status == 200


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize(
    "header",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8321"},
        {"host": "localhost.evil.example"},
        {"x-forwarded-for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"authorization": "Bearer wrong"},
        {"authorization": ""},
    ],
    ids=str,
)
def test_a_foreign_name_a_proxy_or_a_wrong_key_does_not_read(
    house: House, path: str, header: dict[str, str]
) -> None:
    assert problem_of(house.ask("GET", path, key=None, headers=header))["status"] == 401


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost", "LOCALHOST:1", "[::1]:8321"])
def test_this_machine_may_be_called_by_each_of_its_names(house: House, host: str) -> None:
    assert house.ask("GET", "/api/v1/status", key=None, headers={"host": host}).status == 200


def test_acting_needs_a_key_even_here(house: House) -> None:
    before = house.audit_count()

    answer = house.ask(
        "POST", "/api/v1/push", {"items": [{"prompt": "a", "identity": {}}]}, key=None
    )

    assert problem_of(answer)["status"] == 401
    assert house.audit_count() == before


def test_keys_are_listed_for_an_admin_only(house: House) -> None:
    assert house.ask("GET", "/api/v1/keys", key=None).status == 401
    assert house.ask("GET", "/api/v1/keys", key="approver").status == 403
    assert house.ask("GET", "/api/v1/keys").status == 200


@pytest.mark.parametrize("key", ["app-dev", "client-prod"])
def test_an_application_s_key_does_not_read_what_people_read(house: House, key: str) -> None:
    assert house.ask("GET", "/api/v1/status", key=key).status == 403


@pytest.mark.parametrize(
    "path", ["audit", "plans", "promotions", "rollup", "feedback", "status", "prompts/x/log"]
)
def test_an_unknown_environment_is_told_instead_of_an_empty_list(house: House, path: str) -> None:
    if path.startswith("prompts"):
        house.push(name="x")

    problem = problem_of(house.ask("GET", f"/api/v1/{path}?environment=pord"))

    assert problem["status"] == 404
    assert 'no environment "pord"; choose from dev, staging, prod' in problem["detail"]
