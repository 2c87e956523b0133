import pytest

from pumphouse.cli.logs import masked


@pytest.mark.parametrize(
    "text",
    [
        '{"user": {"name": "ann", "password": "s3cret\\"x"}}',
        "{'adminPass': 's3cret', 'name': 'web'}",
        "{'user_data': 's3cret'}",
        "X-Auth-Token: s3cret",
        "mysql://keystone:s3cret@db/keystone",
        "password=s3cret&x=1",
        '{"original_password": "s3cret"}',
    ],
)
def test_secrets_are_masked(text):
    assert "s3cret" in text
    assert "s3cret" not in masked(text)
    assert "***" in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "source compute GET /servers/detail: 200 in 0.012 s req-5f",
        "http://127.0.0.1:4711/identity/v3",
        "no password could be kept for user ann",
    ],
)
def test_the_rest_stays(text):
    assert masked(text) == text
