"""The one settings object: everything a team may choose, typed and bounded.

``settings/<stage>.yaml`` is read by :func:`load_settings`; a bad value raises :class:`SettingsError`
whose text names the field path, the value, what is allowed and what to do.
"""

from stacks.settings.file import SettingsError, load_settings, settings_text
from stacks.settings.stage import Region, Settings

__all__ = ["Region", "Settings", "SettingsError", "load_settings", "settings_text"]
