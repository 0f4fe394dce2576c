"""The pool's users as a sign-in sees them: password, new password, authenticator. Over ministack's records; nobody else reads passwords."""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

from ministack.services import cognito

WRONG = "Incorrect username or password."
_STEP_SECONDS = 30
_USED = "_embedded_totp_step"


class SignInRefused(Exception):
    """The text is for the person who signs in."""


class Wrong(SignInRefused):
    """A wrong password or code, which counts."""


@dataclass(frozen=True)
class User:
    """A user of a pool, by a reference to ministack's own record."""

    pool: dict[str, Any]
    record: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.record["Username"])

    @property
    def sub(self) -> str:
        return str(cognito._attr_list_to_dict(self.record.get("Attributes", [])).get("sub", ""))

    @property
    def must_change_password(self) -> bool:
        return bool(self.record.get("UserStatus") == "FORCE_CHANGE_PASSWORD")

    @property
    def has_authenticator(self) -> bool:
        return "SOFTWARE_TOKEN_MFA" in self.record.get("_mfa_enabled", []) and bool(self.record.get("_totp_secret"))

    @property
    def needs_code(self) -> bool:
        """Whether the pool wants a code: always when MFA is required, else from who has an authenticator."""
        setting = self.pool.get("MfaConfiguration", "OFF")
        return bool(setting == "ON" or (setting == "OPTIONAL" and self.has_authenticator))

    def set_password(self, password: str) -> None:
        """Raises SignInRefused: the pool's policy refuses the new password."""
        names = {"UserPoolId": self.pool["Id"], "Username": self.name}
        status, _, body = cognito._admin_set_user_password({**names, "Password": password, "Permanent": True})
        if status != 200:
            raise SignInRefused(str(json.loads(body).get("message", "The password was not taken.")))

    def check_code(self, code: str, secret: str = "") -> None:
        """Compare a code of the user's authenticator, or of one to set up whose ``secret`` is given. A code counts once.

        Raises:
            Wrong: another code, or one that has been used.
        """
        step = _matching_step(secret or str(self.record.get("_totp_secret", "")), code)
        if step is None:
            raise Wrong("The code is wrong. Enter the one that your authenticator app shows now.")
        if step <= self.record.get(_USED, -1):
            raise Wrong("This code has been used already. Wait for the next one.")
        self.record[_USED] = step

    def set_up_authenticator(self, secret: str) -> None:
        enabled = self.record.setdefault("_mfa_enabled", [])
        self.record["_totp_secret"], self.record["_preferred_mfa"] = secret, "SOFTWARE_TOKEN_MFA"
        if "SOFTWARE_TOKEN_MFA" not in enabled:
            enabled.append("SOFTWARE_TOKEN_MFA")

    def delete_authenticator(self) -> None:
        for name in ("_totp_secret", _USED):
            self.record.pop(name, None)
        self.record["_mfa_enabled"] = [factor for factor in self.record.get("_mfa_enabled", []) if factor != "SOFTWARE_TOKEN_MFA"]
        if self.record.get("_preferred_mfa") == "SOFTWARE_TOKEN_MFA":
            self.record["_preferred_mfa"] = ""

    def require_authenticator_apps(self) -> None:
        """Raises SignInRefused where the pool asks for a second factor that managed login does not offer here."""
        if not (self.pool.get("SoftwareTokenMfaConfiguration") or {}).get("Enabled"):
            raise SignInRefused("This user pool requires a code by SMS or mail. The embedded AWS offers authenticator apps only.")


def authenticate(pool_id: str, username: str, password: str) -> User:
    """The user of this name and password.

    Raises:
        Wrong: no such user, or another password; the same text for both.
        SignInRefused: the password is right and the user may not sign in.
    """
    pool = cognito._user_pools.get(pool_id) or {"_users": {}}
    record, _ = cognito._resolve_user(pool, username)
    expected = str((record or {}).get("_password") or "")
    same = hmac.compare_digest(expected.encode("utf-8", "replace"), password.encode("utf-8", "replace"))
    if record is None or not expected or not same:
        raise Wrong(WRONG)
    if not record.get("Enabled", True):
        raise SignInRefused("User is disabled.")
    if record.get("UserStatus") not in ("CONFIRMED", "FORCE_CHANGE_PASSWORD"):
        raise SignInRefused(f"User is not confirmed ({record.get('UserStatus')}): ask whoever runs the user pool for a new password.")
    return User(pool, record)


def name_of(pool_id: str, username: str) -> str:
    """The one name of a user who may be named by an alias too; what was typed, if nobody has it."""
    pool = cognito._user_pools.get(pool_id) or {"_users": {}}
    record, _ = cognito._resolve_user(pool, username)
    return str(record["Username"]) if record else username


def find(pool_id: str, username: str, sub: str) -> User | None:
    """The same user as before, if they may still sign in."""
    pool = cognito._user_pools.get(pool_id) or {"_users": {}}
    record = pool["_users"].get(username)
    if record is None or not record.get("Enabled", True):
        return None
    user = User(pool, record)
    return user if user.sub == sub else None


def _matching_step(secret: str, code: str) -> int | None:
    """Number of the time step that ``code`` is of; the one before and the one after now are taken too (RFC 6238, 5.2)."""
    given, now = code.replace(" ", "").encode("utf-8", "replace"), int(time.time() // _STEP_SECONDS)
    offsets = (0, -1, 1) if secret else ()
    return next((now + offset for offset in offsets if hmac.compare_digest(cognito._totp_code(secret, offset).encode(), given)), None)
