"""Users: one e-mail address each, passwords that are hashed and kept to date."""

from __future__ import annotations

import sys

import argon2
import pytest
from models_explained import indexes_used
from mongoengine.errors import NotUniqueError, ValidationError

from datalayer.errors import ConfigurationError
from datalayer.models import User
from datalayer.models.business.user import password_hasher

PASSWORD = "correct horse battery"


@pytest.fixture
def member() -> User:
    user = User(email="member@example.com")
    user.set_password(PASSWORD)
    return user.save()


def test_an_address_is_unique_in_all_spellings(ann: User) -> None:
    with pytest.raises(NotUniqueError):
        User(email=" ANN@example.com").save()


def test_an_address_is_required() -> None:
    with pytest.raises(ValidationError, match="email"):
        User().save()


def test_a_user_is_found_by_address(ann: User) -> None:
    assert User.by_email("Ann@Example.com") == ann
    assert User.by_email("nobody@example.com") is None


def test_finding_by_address_uses_its_index(ann: User) -> None:
    assert indexes_used(User.objects(email="ann@example.com")) == {"email_1"}


def test_listing_by_status_uses_its_index(ann: User) -> None:
    assert indexes_used(User.with_status("active")) == {"status_1_created_at_-1"}


def test_users_with_a_status_come_newest_first(ann: User, bob: User) -> None:
    User(email="gone@example.com", status="closed").save()
    assert list(User.with_status("active")) == [bob, ann]


def test_only_an_active_user_is_active(ann: User) -> None:
    assert ann.is_active is True
    ann.status = "suspended"
    assert ann.is_active is False


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValidationError, match="status"):
        User(email="a@example.com", status="admin").save()


def test_the_right_password_is_accepted(member: User) -> None:
    assert User.by_email(member.email).verify_password(PASSWORD) is True


@pytest.mark.parametrize("wrong", ["", "correct horse batterY", PASSWORD + " ", "x" * 100_000])
def test_a_wrong_password_is_not(member: User, wrong: str) -> None:
    assert member.verify_password(wrong) is False


def test_a_user_without_a_password_cannot_sign_in_with_one(ann: User) -> None:
    assert ann.verify_password(PASSWORD) is False


def test_a_damaged_hash_accepts_nothing(ann: User) -> None:
    ann.password_hash = "not a hash"
    assert ann.verify_password("not a hash") is False


def test_a_password_is_the_same_in_both_unicode_forms(ann: User) -> None:
    ann.set_password("cafe\u0301 au lait")
    assert ann.verify_password("caf\u00e9 au lait") is True


@pytest.mark.parametrize("password", ["short", "", "x" * 1025])
def test_passwords_too_short_or_too_long_are_refused(ann: User, password: str) -> None:
    with pytest.raises(ValidationError, match="8 to 1024"):
        ann.set_password(password)


def test_the_hash_is_argon2id_and_salted(ann: User, bob: User) -> None:
    ann.set_password(PASSWORD)
    bob.set_password(PASSWORD)
    assert ann.password_hash.startswith("$argon2id$")
    assert ann.password_hash != bob.password_hash


def test_neither_password_nor_hash_is_shown(member: User) -> None:
    shown = f"{member!r} {member.to_json()} {User.objects.to_json()}"
    assert [each for each in (PASSWORD, "argon2", "password") if each in shown] == []


def outdated(password: str) -> str:
    return argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


def test_an_outdated_hash_is_renewed_when_the_password_is_verified(member: User) -> None:
    member.modify(password_hash=outdated(PASSWORD))
    assert member.verify_password(PASSWORD) is True
    stored = User.by_email(member.email)
    assert password_hasher().check_needs_rehash(stored.password_hash) is False
    assert stored.password_hash == member.password_hash
    assert stored.verify_password(PASSWORD) is True


def test_an_outdated_hash_stays_when_the_password_is_wrong(member: User) -> None:
    old = outdated(PASSWORD)
    member.modify(password_hash=old)
    assert member.verify_password("wrong password") is False
    assert User.by_email(member.email).password_hash == old


def test_renewing_does_not_undo_a_change_made_meanwhile(member: User) -> None:
    member.modify(password_hash=outdated(PASSWORD))
    elsewhere = User.by_email(member.email)
    elsewhere.set_password("another password")
    elsewhere.save()
    assert member.verify_password(PASSWORD) is True
    assert User.by_email(member.email).verify_password("another password") is True


def test_an_up_to_date_hash_is_not_written_again(member: User) -> None:
    before = User.by_email(member.email).updated_at
    member.verify_password(PASSWORD)
    assert User.by_email(member.email).updated_at == before


def test_without_argon2_the_error_names_the_extra(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    password_hasher.cache_clear()
    monkeypatch.setitem(sys.modules, "argon2", None)
    with pytest.raises(ConfigurationError, match=r"datalayer\[security\]"):
        ann.set_password(PASSWORD)
